"""The user data stream: listen keys, and an account's events as Binance sends them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from opensqt.core.exchange.events import AccountChanged, Event, OrderChanged
from opensqt.core.exchange.orders import Change, Order
from opensqt.core.numbers import ZERO
from opensqt.ports import Clock
from services.paper_exchange import encode
from services.paper_exchange.wording import Wording, money, ms

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Publish = Callable[[str, Any], None]
"""Sends an event to a stream."""
Mark = Callable[[str], Decimal]
"""The mark price of a symbol."""


@dataclass(slots=True, kw_only=True)
class ListenKey:
    """A key under which an account's events are sent."""

    key: str
    account: str
    expires_ns: int


class ListenKeys:
    """The living listen keys; an account has one at most, as on Binance.

    Args:
        clock: The wall clock.
        life_s: How long a key lives without a keep-alive.
        rng: Makes the keys. They open no more than play money's events.
    """

    def __init__(self, clock: Clock, *, life_s: float, rng: Random) -> None:
        self._clock = clock
        self._life_ns = round(life_s * 1e9)
        self._rng = rng
        self._of_account: dict[str, ListenKey] = {}

    def open(self, account: str) -> str:
        """The account's key, made or kept alive."""
        key = self._of_account.get(account)
        if key is None:
            text = "".join(self._rng.choices(_ALPHABET, k=64))
            key = self._of_account[account] = ListenKey(key=text, account=account, expires_ns=0)
        key.expires_ns = self._clock.now_ns() + self._life_ns
        return key.key

    def keep_alive(self, account: str) -> str | None:
        """Prolong the account's key; None if it has none."""
        return self.open(account) if account in self._of_account else None

    def close(self, account: str) -> None:
        """End the account's key."""
        self._of_account.pop(account, None)

    def of(self, account: str) -> str | None:
        """The account's living key."""
        key = self._of_account.get(account)
        return key.key if key else None

    def expire(self) -> tuple[str, ...]:
        """End the keys whose time is over, and return them."""
        now = self._clock.now_ns()
        over = [key for key in self._of_account.values() if key.expires_ns <= now]
        for key in over:
            del self._of_account[key.account]
        return tuple(key.key for key in over)

    def expire_all(self) -> tuple[str, ...]:
        """End all keys now, and return them."""
        over = tuple(key.key for key in self._of_account.values())
        self._of_account.clear()
        return over


class UserStreams:
    """Sends what happens to an account to whoever listens under its key.

    Args:
        keys: The living listen keys.
        publish: Sends an event.
        mark: Tells mark prices.
        quotes: The quote asset of every symbol.
        wordings: How every symbol's numbers are written.
    """

    def __init__(
        self,
        keys: ListenKeys,
        publish: Publish,
        *,
        mark: Mark,
        quotes: Mapping[str, str],
        wordings: Mapping[str, Wording],
    ) -> None:
        self._keys = keys
        self._publish = publish
        self._mark = mark
        self._quotes = quotes
        self._wordings = wordings

    def send(self, events: Iterable[Event]) -> None:
        """Send the core's events, in their order."""
        for event in events:
            if isinstance(event, OrderChanged):
                self._send(event.order.account, self._order(event))
            elif isinstance(event, AccountChanged):
                self._send(event.account, self._account(event))

    def send_leverage(self, account: str, symbol: str, leverage: int, *, now_ms: int) -> None:
        """Tell an account that its leverage was set."""
        body = {"s": symbol, "l": leverage}
        event = {"e": "ACCOUNT_CONFIG_UPDATE", "E": now_ms, "T": now_ms, "ac": body}
        self._send(account, event)

    def send_expired(self, keys: Iterable[str], *, now_ms: int) -> None:
        """Tell the listeners of keys that they have expired."""
        for key in keys:
            self._publish(key, {"e": "listenKeyExpired", "E": now_ms, "listenKey": key})

    def _send(self, account: str, event: dict[str, Any]) -> None:
        key = self._keys.of(account)
        if key is not None:
            self._publish(key, event)

    def _order(self, event: OrderChanged) -> dict[str, Any]:
        order, fill, now = event.order, event.fill, ms(event.time_ns)
        word = self._wordings[order.symbol]
        body: dict[str, Any] = {
            "s": order.symbol,
            "c": order.client_order_id,
            "S": order.side,
            "o": "LIQUIDATION" if event.change is Change.CALCULATED else order.type,
            "f": encode.time_in_force(order),
            "q": word.quantity(order.quantity),
            "p": word.price(order.price or ZERO),
            "ap": word.price(order.average_price),
            "sp": "0",
            "x": Change.EXPIRED if order.expired_in_match else event.change,
            "X": encode.order_status(order),
            "i": order.order_id,
            "l": word.quantity(fill.quantity if fill else ZERO),
            "z": word.quantity(order.executed),
            "L": word.price(fill.price if fill else ZERO),
            "n": money(fill.fee if fill else ZERO),
            "N": self._quotes[order.symbol],
            "T": now,
            "t": fill.trade_id if fill else 0,
            "b": _notional(order, word, 1),
            "a": _notional(order, word, -1),
            "m": fill.maker if fill else False,
            "R": order.reduce_only,
            "wt": "CONTRACT_PRICE",
            "ot": order.type,
            "ps": "BOTH",
            "cp": False,
            "rp": money(fill.realised if fill else ZERO),
            "pP": False,
            "si": 0,
            "ss": 0,
            "V": "NONE",
            "pm": "NONE",
            "gtd": ms(order.good_till_ns or 0),
            "er": "0",
        }
        return {"e": "ORDER_TRADE_UPDATE", "T": now, "E": now, "o": body}

    def _account(self, event: AccountChanged) -> dict[str, Any]:
        now, word = ms(event.time_ns), self._wordings[event.symbol]
        balance = {
            "a": self._quotes[event.symbol],
            "wb": money(event.wallet),
            "cw": money(event.wallet),
            "bc": money(event.balance_change),
        }
        positions = []
        if event.position is not None:
            position = event.position
            entry = word.price(position.entry_price)
            positions.append(
                {
                    "s": position.symbol,
                    "pa": word.quantity(position.quantity),
                    "ep": entry,
                    "bep": entry,
                    "cr": money(position.realised),
                    "up": money(position.unrealised(self._mark(position.symbol))),
                    "mt": "cross",
                    "iw": "0",
                    "ps": "BOTH",
                    "ma": self._quotes[event.symbol],
                }
            )
        body = {"m": event.reason, "B": [balance], "P": positions}
        return {"e": "ACCOUNT_UPDATE", "T": now, "E": now, "a": body}


def _notional(order: Order, word: Wording, sign: int) -> str:
    """Notional of what is open on the side of `sign`: the event's ``b`` and ``a``."""
    if not order.open or order.side.sign != sign or order.price is None:
        return "0"
    return word.notional(order.remaining * order.price)

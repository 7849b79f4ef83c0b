"""Talks to the paper exchange's control endpoint, which only it has and no real exchange does."""

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp

from opensqt.core.numbers import ZERO, parse_decimal
from opensqt.embedded.paper.books import ExchangeBooks, OpenOrder

TIMEOUT_S = 10.0


class ExchangeControl:
    """The control endpoint; an async context manager.

    Args:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/control"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open it."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, raise_for_status=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        if self._session is not None:
            await self._session.close()

    async def is_ready(self) -> bool:
        """Whether it answers."""
        await self.status()
        return True

    async def status(self) -> Mapping[str, Any]:
        """How far the market is."""
        return await self._ask("GET", "status")

    async def set_faults(self, faults: str | Mapping[str, Any]) -> None:
        """Inject the faults of a preset, or those given, from now on."""
        body = {"preset": faults} if isinstance(faults, str) else faults
        await self._ask("POST", "faults", body)

    async def disconnect(self) -> None:
        """Cut every stream."""
        await self._ask("POST", "disconnect")

    async def expire_listen_keys(self) -> None:
        """End every listen key, and tell who listens."""
        await self._ask("POST", "expire_listen_keys")

    async def start_market(self) -> None:
        """Let the market begin."""
        await self._ask("POST", "market", {"action": "start"})

    async def pause_market(self) -> None:
        """Hold the market where it is."""
        await self._ask("POST", "market", {"action": "pause"})

    async def books(self, account: str, symbol: str) -> ExchangeBooks:
        """The books of an account on one market."""
        return read_books(await self.all_books(), account, symbol)

    async def all_books(self) -> Mapping[str, Any]:
        """The books of every account, as the exchange writes them."""
        return await self._ask("GET", "books")

    async def _ask(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        assert self._session is not None
        async with self._session.request(method, f"{self._base}/{path}", json=body) as answer:
            found: Mapping[str, Any] = await answer.json()
            return found


def read_books(answer: Mapping[str, Any], account: str, symbol: str) -> ExchangeBooks:
    """Read what the control endpoint says of an account, as far as it concerns one market.

    Raises:
        KeyError: It says nothing of the account.
        NotExactError: A number is not exact.
    """
    books = answer["accounts"][account]
    orders = [order for order in books["orders"] if order["symbol"] == symbol]
    fills = [fill for fill in books["fills"] if fill["symbol"] == symbol]
    position = books["positions"].get(symbol)  # a market that was never traded is not in there
    return ExchangeBooks(
        accepted=Counter(order["clientOrderId"] for order in orders),
        open_orders={
            order["clientOrderId"]: OpenOrder(
                client_oid=order["clientOrderId"],
                side=order["side"],
                price=parse_decimal(order["price"]),
                quantity=parse_decimal(order["origQty"]),
                filled=parse_decimal(order["executedQty"]),
            )
            for order in books["open_orders"]
            if order["symbol"] == symbol
        },
        position=parse_decimal(position["quantity"]) if position else ZERO,
        buys=sum(fill["side"] == "BUY" for fill in fills),
        sells=sum(fill["side"] == "SELL" for fill in fills),
        realised=parse_decimal(books["realised"]),
        unrealised=parse_decimal(books["unrealised"]),
        fees=parse_decimal(books["fees"]),
        funding=parse_decimal(books["funding"]),
    )

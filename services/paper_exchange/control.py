"""The control endpoint: for whoever runs the exchange, not for who trades on it.

Plain HTTP on loopback. ``GET /control/status`` says how far the market is; ``GET /control/books``
is the exchange's own view of every account, for comparing with what a bot believes;
``POST /control/market`` starts, pauses or stops the market, ``POST /control/faults`` sets faults,
``POST /control/disconnect`` and ``POST /control/expire_listen_keys`` break streams. What the
exchange can be told to do to an account is in `interventions`.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.orders import Order
from opensqt.core.numbers import plain
from services.paper_exchange import encode
from services.paper_exchange.faults import PRESETS, Faults
from services.paper_exchange.interventions import INTERVENTIONS, InterventionError, intervene
from services.paper_exchange.market.player import Player
from services.paper_exchange.venue import Venue
from services.paper_exchange.wording import ms

Json = dict[str, Any]


class ControlServer:
    """Answers the control endpoint.

    Args:
        venue: The exchange.
        player: The market that it plays.
        ports: The ports that it listens on, by name.
    """

    def __init__(self, venue: Venue, player: Player, ports: dict[str, int]) -> None:
        self._venue = venue
        self._player = player
        self._ports = ports

    def application(self) -> web.Application:
        """The endpoint as an application of its own."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/control/status", self._status),
                web.get("/control/books", self._books),
                web.get("/control/faults", self._faults),
                web.post("/control/faults", self._set_faults),
                web.post("/control/market", self._market),
                web.post("/control/disconnect", self._disconnect),
                web.post("/control/expire_listen_keys", self._expire_listen_keys),
                *(web.post(f"/control/{name}", self._intervene) for name in INTERVENTIONS),
            ]
        )
        return app

    async def _status(self, _: web.Request) -> web.Response:
        return _answer(self.status())

    def status(self) -> Json:
        """How far the market is, and what it shows."""
        progress = self._player.progress
        last = {
            symbol: plain(tape.last.price) if tape.last else None
            for symbol, tape in self._venue.tapes.items()
        }
        return {
            "market": {
                "state": progress.state,
                "ended": progress.state in ("ended", "stopped", "failed"),
                "failure": progress.failure,
                "ticks": progress.ticks,
                "elapsed_s": progress.offset_ns / 1e9,
                "lag_s": progress.lag_ns / 1e9,
                "speed": self._venue.config.market.speed,
            },
            "last_price": last,
            "orders": {name: len(self._venue.account(name).orders) for name in self._accounts()},
            "time_ms": ms(self._venue.clock.now_ns()),
            "connections": len(self._venue.hub.connections),
            "ports": self._ports,
        }

    async def _books(self, _: web.Request) -> web.Response:
        return _answer({"accounts": {name: self.books(name) for name in self._accounts()}})

    def books(self, name: str) -> Json:
        """All that the exchange knows of an account."""
        account, margin = self._venue.account(name), self._venue.exchange.margin(name)
        orders = list(account.orders.values())
        positions = {
            symbol: {
                "quantity": plain(position.quantity),
                "entry_price": self._venue.tapes[symbol].wording.price(position.entry_price),
                "realised": plain(position.realised),
                "unrealised": plain(
                    position.unrealised(self._venue.exchange.markets[symbol].mark or Decimal(0))
                ),
            }
            for symbol, position in account.positions.items()
        }
        return {
            "orders": [self._order(order) for order in orders],
            "open_orders": [self._order(order) for order in account.open_orders.values()],
            "fills": [
                encode.user_trade(
                    fill,
                    self._venue.tapes[fill.symbol].wording,
                    asset=self._venue.symbols[fill.symbol].quote,
                )
                for fill in account.fills
            ],
            "positions": positions,
            "deposit": plain(account.deposit),
            "realised": plain(account.realised),
            "fees": plain(account.fees),
            "funding": plain(account.funding),
            "wallet": plain(account.wallet),
            "unrealised": plain(margin.unrealised),
            "counts": _counts(account),
        }

    async def _faults(self, _: web.Request) -> web.Response:
        return _answer(self._venue.injector.faults.model_dump())

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            wanted = orjson.loads(await request.read())
            if isinstance(wanted, dict) and set(wanted) == {"preset"}:
                name = wanted["preset"]
                if name not in PRESETS:
                    return _refuse(f"preset {name!r}; allowed: {', '.join(PRESETS)}")
                faults = PRESETS[name]
            else:
                faults = Faults.model_validate(wanted)
        except ValidationError as error:
            return _refuse("; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors()))
        except orjson.JSONDecodeError as error:
            return _refuse(f"not JSON: {error}")
        self._venue.injector.faults = faults
        return _answer(faults.model_dump())

    async def _market(self, request: web.Request) -> web.Response:
        actions: dict[str, Callable[[], None]] = {
            "start": self._player.start,
            "pause": self._player.pause,
            "stop": self._player.stop,
        }
        try:
            wanted = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            return _refuse(f"not JSON: {error}")
        action = wanted.get("action") if isinstance(wanted, dict) else None
        if action not in actions:
            return _refuse(f"action {action!r}; allowed: {', '.join(actions)}")
        actions[action]()
        return _answer(self.status())

    async def _intervene(self, request: web.Request) -> web.Response:
        kind = INTERVENTIONS[request.path.rpartition("/")[2]]
        try:
            wanted = kind.model_validate_json(await request.read())
            return _answer(intervene(self._venue, wanted))
        except ValidationError as error:
            return _refuse("; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors()))
        except InterventionError as error:
            return _refuse(str(error))

    async def _disconnect(self, _: web.Request) -> web.Response:
        return _answer({"disconnected": self._venue.hub.cut_all()})

    async def _expire_listen_keys(self, _: web.Request) -> web.Response:
        expired = self._venue.listen_keys.expire_all()
        now_ms = ms(self._venue.clock.now_ns())
        self._venue.user_streams.send_expired(expired, now_ms=now_ms)
        return _answer({"expired": len(expired)})

    def _order(self, order: Order) -> Json:
        return encode.order(order, self._venue.tapes[order.symbol].wording)

    def _accounts(self) -> tuple[str, ...]:
        return tuple(self._venue.exchange.accounts)


def _counts(account: Account) -> Json:
    """How much happened; `duplicates` are orders beyond the first under one client order id."""
    ids = [order.client_order_id for order in account.orders.values()]
    return {
        "orders": len(ids),
        "open_orders": len(account.open_orders),
        "fills": len(account.fills),
        "buys": sum(fill.side.sign > 0 for fill in account.fills),
        "sells": sum(fill.side.sign < 0 for fill in account.fills),
        "duplicates": len(ids) - len(set(ids)),
    }


def _answer(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _refuse(text: str) -> web.Response:
    return web.Response(
        status=400, body=orjson.dumps({"error": text}), content_type="application/json"
    )

"""One stack's market: who listens, which orders are open, when they came."""

import itertools
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson
from aiohttp import web

SYMBOL: Final = "BTCUSDT"
BASE: Final = Decimal(60_000)
INTERVAL: Final = Decimal(10)
TICK: Final = Decimal("0.1")
PRICES: Final = f"{SYMBOL.lower()}@bookTicker"
TRADES: Final = (f"{SYMBOL.lower()}@aggTrade", f"{SYMBOL.lower()}@trade")
USER: Final = "user"

Json = dict[str, Any]


def now_ms() -> int:
    """Milliseconds since 1970, as Binance tells times."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Market:
    """A market that climbs: each trigger lifts it over one more level of the grid."""

    name: str
    level: int = 0
    """The highest level at or below the bid; a grid wants an order there."""
    sockets: dict[str, set[web.WebSocketResponse]] = field(default_factory=dict)
    requests: dict[web.WebSocketResponse, web.Request] = field(default_factory=dict)
    open: dict[str, Json] = field(default_factory=dict)
    """Open orders by client order id."""
    ended: dict[str, Json] = field(default_factory=dict)
    sent_ns: dict[Decimal, int] = field(default_factory=dict)
    """When the price that calls for an order at this price was sent."""
    arrived_ns: dict[Decimal, int] = field(default_factory=dict)
    """When the first order at this price came."""
    hops_ns: dict[Decimal, list[int]] = field(default_factory=dict)
    """What the bare stack says of the way of an order."""
    frames: int = 0
    leverage: int = 20
    dual: bool = False
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _jitter: int = 0

    def next_id(self) -> int:
        """A number that was not used before."""
        return int(next(self._ids))

    def listeners(self, stream: str) -> set[web.WebSocketResponse]:
        """The sockets that are subscribed to a stream."""
        return self.sockets.setdefault(stream, set())

    def leave(self, socket: web.WebSocketResponse) -> None:
        """Forget a socket."""
        self.requests.pop(socket, None)
        for listeners in self.sockets.values():
            listeners.discard(socket)

    @property
    def bid(self) -> Decimal:
        """The best bid: three and a bit above the level, trembling by a tick."""
        return BASE + self.level * INTERVAL + 3 + self._jitter * TICK

    async def tick(self, *, trigger: bool) -> None:
        """Send one price; a trigger's stands one level higher and calls for one order."""
        self._jitter ^= 1
        self.frames += 1
        if trigger:
            self.level += 1
        frame = price_frame(self.bid, self.next_id(), now_ms())
        if trigger:
            self.sent_ns[BASE + self.level * INTERVAL] = time.time_ns()
        for socket in tuple(self.listeners(PRICES)):
            await send(socket, frame)

    async def trade(self) -> None:
        """Send one trade at the bid, for those who want a last price as well."""
        now, number = now_ms(), self.next_id()
        for stream in TRADES:
            event = {"E": now, "T": now, "s": SYMBOL, "p": f"{self.bid}", "q": "0.001", "m": True}
            event |= {"e": stream.partition("@")[2], "a": number, "f": number, "l": number}
            event |= {"t": number, "X": "MARKET"}
            for socket in tuple(self.listeners(stream)):
                await send(socket, orjson.dumps(event).decode())

    async def tell_order(self, order: Json, execution: str) -> None:
        """Send an order's event to the account's own stream."""
        event = {
            "e": "ORDER_TRADE_UPDATE",
            "E": now_ms(),
            "T": order["updateTime"],
            "o": {
                "s": SYMBOL,
                "c": order["clientOrderId"],
                "S": order["side"],
                "o": "LIMIT",
                "f": order["timeInForce"],
                "q": order["origQty"],
                "p": order["price"],
                "ap": "0",
                "sp": "0",
                "x": execution,
                "X": order["status"],
                "i": order["orderId"],
                "l": "0",
                "z": "0",
                "L": "0",
                "n": "0",
                "N": "USDT",
                "T": order["updateTime"],
                "t": 0,
                "b": "0",
                "a": "0",
                "m": False,
                "R": order["reduceOnly"],
                "wt": "CONTRACT_PRICE",
                "ot": "LIMIT",
                "ps": "BOTH",
                "cp": False,
                "rp": "0",
                "pP": False,
                "si": 0,
                "ss": 0,
                "V": "NONE",
                "pm": "NONE",
                "gtd": 0,
            },
        }
        text = orjson.dumps(event).decode()
        for socket in tuple(self.listeners(USER)):
            await send(socket, text)


def price_frame(bid: Decimal, number: int, time_ms: int) -> str:
    """The text of a bookTicker event."""
    return (
        f'{{"e":"bookTicker","u":{number},"s":"{SYMBOL}","b":"{bid}","B":"1.000",'
        f'"a":"{bid + TICK}","A":"1.000","T":{time_ms},"E":{time_ms}}}'
    )


async def send(socket: web.WebSocketResponse, text: str) -> None:
    """Send to a socket that may just be closing."""
    if not socket.closed:
        await socket.send_str(text)

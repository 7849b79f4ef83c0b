"""ccxt's Binance clients, with their own opinions taken out of the way.

Frames are handed over raw, by the URL of their socket.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Final

import ccxt.pro

from opensqt.adapters.ccxt.egress import BINANCE_HOSTS
from opensqt.adapters.ccxt.raw_client import (
    PING_INTERVAL_MS,
    AnswerError,
    Expiry,
    Fault,
    Params,
    RawClient,
    text_of,
)

__all__ = ["PING_INTERVAL_MS", "AnswerError", "BinanceSpotClient", "BinanceUsdmClient", "Frame"]

Frame = Callable[[Any], None]

_FINE: Final = (None, 200, "200")


class BinanceClient(RawClient):
    """What spot and futures have in common: errors as `code` and `msg`, expiry by `recvWindow`."""

    hosts: ClassVar[frozenset[str]] = BINANCE_HOSTS

    def fault_in(self, body: Any) -> Fault | None:
        """An object with a `code`; a plain success has none, or 200."""
        if isinstance(body, list) or body.get("code") in _FINE:
            return None
        return Fault(code=text_of(body["code"]), text=text_of(body.get("msg")))

    def expiring_params(self, params: Params, expiry: Expiry) -> Params:
        """Refused when it comes more than `recvWindow` ms after its timestamp."""
        return {**params, "timestamp": expiry.stamp_ms, "recvWindow": expiry.window_ms}


class BinanceUsdmClient(BinanceClient, ccxt.pro.binanceusdm):  # type: ignore[misc]  # no types
    """Binance USD-M futures; arguments as of `RawClient`."""

    exchange: ClassVar[str] = "binanceusdm"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sinks: dict[str, Frame] = {}
        """Who takes the frames of a socket, by its URL."""

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.fapiPublicGetTime())["serverTime"])

    def handle_message(self, client: Any, message: Any) -> None:
        """Hand a frame to the taker of its socket, which must not raise."""
        sink = self.sinks.get(client.url)
        if sink is not None:
            sink(message)

    def ws_dial_delay(self, _url: str) -> float:
        """How long to wait before dialling: whoever dials has waited already."""
        return 0.0


class BinanceSpotClient(BinanceClient, ccxt.pro.binance):  # type: ignore[misc]  # no types
    """Binance spot; arguments as of `RawClient`."""

    exchange: ClassVar[str] = "binance"

    async def exchange_time_ms(self) -> int:
        """The time on the exchange's clock."""
        return int((await self.publicGetTime())["serverTime"])

"""`GrpcMarketData`: the market data service over a channel, as the `MarketData` port."""

from __future__ import annotations  # grpc is generic in its stubs only

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opensqt.core.errors import Refusal
from opensqt.market_maker.v1 import market_data_service_pb2 as pb
from opensqt.market_maker.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from opensqt.ports import DependencyError
from opensqt.runtime.errors import domain_errors
from opensqt.wire.events import decode_price_change
from opensqt.wire.resources import decode_candle, decode_instrument

if TYPE_CHECKING:
    import grpc.aio

    from opensqt.core.events import Candle, PriceChange
    from opensqt.core.instrument import Instrument

T = TypeVar("T")

PAGE: Final = 1000


class GrpcMarketData:
    """Implements `ports.MarketData`.

    Args:
        channel: To the market data service; stays the caller's to close.
        timeout_s: Deadline of each call.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_s: float = 5.0) -> None:
        self._stub = MarketDataServiceStub(channel)
        self._timeout_s = timeout_s

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol."""
        found: list[Instrument] = []
        token = ""
        while True:
            request = pb.ListInstrumentsRequest(page_size=PAGE, page_token=token)
            response = await self._ask(self._stub.ListInstruments, request)
            found += (_answer(decode_instrument, message) for message in response.instruments)
            token = response.next_page_token
            if not token:
                return tuple(sorted(found, key=lambda instrument: instrument.symbol))

    async def price(self, symbol: str) -> PriceChange:
        """The latest price."""
        response = await self._ask(self._stub.GetPrice, pb.GetPriceRequest(symbol=symbol))
        return _answer(decode_price_change, response.price)

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles of one minute, oldest first."""
        found: list[Candle] = []
        token = ""
        while True:
            request = pb.ListCandlesRequest(symbol=symbol, page_size=PAGE, page_token=token)
            response = await self._ask(self._stub.ListCandles, request)
            found += (_answer(decode_candle, message) for message in response.candles)
            token = response.next_page_token
            if not token:
                return tuple(candle for candle in found if candle.closed)[-limit:]

    async def _ask(self, call: Callable[..., Awaitable[T]], request: Any) -> T:
        with domain_errors():
            return await call(request, timeout=self._timeout_s)


def _answer(decode: Callable[[Any], T], message: Any) -> T:
    """What the service said; that we cannot read it is its fault, not our request's."""
    try:
        return decode(message)
    except Refusal as refusal:
        raise DependencyError(f"market_data's answer cannot be read: {refusal}") from None

"""`GrpcMarketData`: the market data service over a channel, as the `MarketData` port."""

from typing import Final

import grpc.aio

from opensqt.adapters.grpc.calls import Calls
from opensqt.core.events import Candle, FundingUpdate, PriceChange, StreamStatus
from opensqt.core.instrument import Instrument
from opensqt.market_maker.v1 import market_data_service_pb2 as pb
from opensqt.market_maker.v1.market_data_service_pb2_grpc import MarketDataServiceStub
from opensqt.wire.events import decode_funding_update, decode_price_change, decode_stream_status
from opensqt.wire.resources import decode_candle, decode_instrument

PAGE_SIZE: Final = 1000


class GrpcMarketData:
    """Implements `ports.MarketData`.

    Args:
        channel: To the market data service; stays the caller's to close.
        timeout_s: Deadline of each attempt of a call.
    """

    def __init__(self, channel: grpc.aio.Channel, *, timeout_s: float = 2.0) -> None:
        self._stub = MarketDataServiceStub(channel)
        self._calls = Calls("market data", timeout_s=timeout_s)

    async def instruments(self) -> tuple[Instrument, ...]:
        """Every instrument that trades now, by symbol."""
        found: list[Instrument] = []
        token = ""
        while True:
            request = pb.ListInstrumentsRequest(page_size=PAGE_SIZE, page_token=token)
            answer = await self._calls.repeated(self._stub.ListInstruments, request)
            found += (self._calls.read(decode_instrument, item) for item in answer.instruments)
            token = answer.next_page_token
            if not token:
                return tuple(found)

    async def price(self, symbol: str) -> PriceChange:
        """The latest price; `DependencyError` as long as none has come."""
        answer = await self._calls.repeated(self._stub.GetPrice, pb.GetPriceRequest(symbol=symbol))
        return self._calls.read(decode_price_change, answer.price)

    async def funding(self, symbol: str) -> FundingUpdate:
        """The latest funding rate; `DependencyError` as long as none has come."""
        answer = await self._calls.repeated(
            self._stub.GetFunding, pb.GetFundingRequest(symbol=symbol)
        )
        return self._calls.read(decode_funding_update, answer.funding)

    async def candles(self, symbol: str, limit: int) -> tuple[Candle, ...]:
        """The latest closed candles of one minute, oldest first; fewer while it has no more."""
        # One more than asked for, since the last one may not be closed.
        request = pb.ListCandlesRequest(symbol=symbol, page_size=min(limit + 1, PAGE_SIZE))
        answer = await self._calls.repeated(self._stub.ListCandles, request)
        found = (self._calls.read(decode_candle, candle) for candle in answer.candles)
        return tuple(candle for candle in found if candle.closed)[-limit:]

    async def stream_status(self) -> StreamStatus:
        """Whether the order stream can be relied upon."""
        answer = await self._calls.repeated(self._stub.GetStreamStatus, pb.GetStreamStatusRequest())
        return self._calls.read(decode_stream_status, answer.status)

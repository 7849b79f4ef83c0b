"""The market data service over gRPC: decode, call, encode."""

from typing import Any, Final

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.market_maker.v1 import market_data_service_pb2 as pb
from opensqt.market_maker.v1 import market_data_service_pb2_grpc as pb_grpc
from opensqt.runtime.authorisation import Allowlist
from opensqt.wire.events import encode_funding_update, encode_price_change, encode_stream_status
from opensqt.wire.fields import read_text
from opensqt.wire.resources import encode_candle, encode_instrument
from services.market_data.app import MarketDataApp

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["MarketDataService"]

ALLOWLIST: Final = Allowlist(
    {DESCRIPTOR.full_name: ("strategy", "execution", "state", "risk", "cli")}
)
"""Everyone of ours may read, and there is nothing else to do here."""

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000


class MarketDataServicer(pb_grpc.MarketDataServiceServicer):
    """Answers for the monitors."""

    def __init__(self, app: MarketDataApp) -> None:
        self._app = app

    async def ListInstruments(
        self, request: pb.ListInstrumentsRequest, context: Any
    ) -> pb.ListInstrumentsResponse:
        """Instruments by symbol; a page begins after the symbol that its token names."""
        size = _page_size(request.page_size)
        wanted = frozenset(request.symbols)
        listed = [
            instrument
            for instrument in self._app.instruments()
            if instrument.symbol > request.page_token
            and (not wanted or instrument.symbol in wanted)
        ]
        page = listed[:size]
        return pb.ListInstrumentsResponse(
            instruments=[encode_instrument(instrument) for instrument in page],
            next_page_token=page[-1].symbol if len(listed) > size else "",
        )

    async def GetPrice(self, request: pb.GetPriceRequest, context: Any) -> pb.GetPriceResponse:
        """The latest price of a symbol."""
        price = self._app.price(read_text(request, "symbol", ""))
        return pb.GetPriceResponse(price=encode_price_change(price))

    async def GetFunding(
        self, request: pb.GetFundingRequest, context: Any
    ) -> pb.GetFundingResponse:
        """The latest funding rate of a symbol."""
        funding = self._app.funding(read_text(request, "symbol", ""))
        return pb.GetFundingResponse(funding=encode_funding_update(funding))

    async def ListCandles(
        self, request: pb.ListCandlesRequest, context: Any
    ) -> pb.ListCandlesResponse:
        """The latest candles; the next page has those before them."""
        size = _page_size(request.page_size)
        symbol = read_text(request, "symbol", "")
        before_ns = _time_of(request.page_token) if request.page_token else None
        candles = self._app.candles(symbol, size + 1, before_ns=before_ns)
        page = candles[-size:]
        more = len(candles) > size
        return pb.ListCandlesResponse(
            candles=[encode_candle(candle) for candle in page],
            next_page_token=str(page[0].open_time_ns) if more else "",
        )

    async def GetStreamStatus(
        self, request: pb.GetStreamStatusRequest, context: Any
    ) -> pb.GetStreamStatusResponse:
        """Whether the order stream can be relied upon."""
        return pb.GetStreamStatusResponse(status=encode_stream_status(self._app.stream_status()))


def _page_size(asked: int) -> int:
    if not 0 <= asked <= PAGE_SIZE_MAX:
        raise Refusal(
            RefusalReason.VALUE_NOT_ALLOWED,
            field="page_size",
            value=asked,
            allowed=f"1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}",
        )
    return asked or PAGE_SIZE_DEFAULT


def _time_of(token: str) -> int:
    if not token.isascii() or not token.isdigit() or len(token) > 20:
        raise Refusal(
            RefusalReason.PAGE_TOKEN,
            field="page_token",
            value=token[:80],
            allowed="the next_page_token of the previous answer to the same request",
        )
    return int(token)

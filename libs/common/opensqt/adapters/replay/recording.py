"""A market from a recording of Binance's raw combined streams.

Lines are ``<local_ns> <json>``: when the message was received, and the message as it came,
``{"stream": ..., "data": ...}``. Trades, best prices and mark prices are played; other messages
(depth, snapshots) and the insurance fund's trades are passed over. What cannot be understood is an
error, not a gap.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opensqt.adapters.replay.lines import read_lines
from opensqt.adapters.replay.messages import boolean, received, stream_data
from opensqt.adapters.replay.source import DamagedData, Instruments, positive
from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import Happening, MarkPrice, Tick
from opensqt.core.numbers import NotExactError, parse_decimal

_MS = 1_000_000


class Recording:
    """A recording of raw streams.

    Args:
        path: The file, gzipped if its name ends in ``.gz``.
        instruments: The listed markets; a message of another one is an error.
    """

    def __init__(self, path: Path, instruments: Instruments) -> None:
        self._path = path
        self._instruments = instruments

    @property
    def description(self) -> str:
        """What is played, for people."""
        return f"recording {self._path.name}"

    def ticks(self) -> Iterator[Tick]:
        """The recorded market.

        Raises:
            DamagedData: With the line and the reason.
        """
        first_ns = last_ns = None
        number = 0
        for number, line in read_lines(self._path):
            if not line:
                continue
            try:
                local_ns, body = received(line)
                first_ns = local_ns if first_ns is None else first_ns
                if last_ns is not None and local_ns < last_ns:
                    raise ValueError(f"time goes back from {last_ns} to {local_ns}")  # noqa: TRY301
                found = self._parse(body)
            except KeyError as error:
                raise DamagedData(self._path, number, f"the key {error} is missing") from None
            except (ValueError, TypeError, NotExactError) as error:
                raise DamagedData(self._path, number, str(error)) from None
            last_ns = local_ns
            if found:
                yield Tick(offset_ns=local_ns - first_ns, symbol=found[0], happening=found[1])
        if first_ns is None:
            raise DamagedData(self._path, number + 1, "the recording is empty")

    def _parse(self, body: bytes) -> tuple[str, Happening] | None:
        data = stream_data(body)
        if data is None:
            return None
        read = _READERS.get(data.get("e", ""))
        happening = read(data) if read else None
        if happening is None:
            return None
        symbol = str(data["s"])
        if symbol not in self._instruments:
            listed = ", ".join(self._instruments)
            raise ValueError(f"{symbol} is not listed; symbols: {listed}")
        return symbol, happening


def _trade(data: Mapping[str, Any]) -> MarketTrade | None:
    if data.get("X", "MARKET") != "MARKET":
        return None
    return MarketTrade(
        price=positive(parse_decimal(data["p"], name="p"), "p"),
        quantity=positive(parse_decimal(data["q"], name="q"), "q"),
        buyer_is_maker=boolean(data["m"], "m"),
        time_ns=_time_ns(data["T"]),
        trade_id=int(data["t"] if "t" in data else data["a"]),
    )


def _quote(data: Mapping[str, Any]) -> Quote:
    bid = positive(parse_decimal(data["b"], name="b"), "b")
    ask = positive(parse_decimal(data["a"], name="a"), "a")
    if bid >= ask:
        raise ValueError(f"the bid {bid} is not below the ask {ask}")
    return Quote(
        bid=bid,
        bid_quantity=positive(parse_decimal(data["B"], name="B"), "B"),
        ask=ask,
        ask_quantity=positive(parse_decimal(data["A"], name="A"), "A"),
        time_ns=_time_ns(data["T"]),
    )


def _mark_price(data: Mapping[str, Any]) -> MarkPrice:
    return MarkPrice(
        price=positive(parse_decimal(data["p"], name="p"), "p"),
        rate=parse_decimal(data["r"], name="r") if data["r"] else None,
        time_ns=_time_ns(data["E"]),
    )


def _time_ns(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a time in milliseconds")
    return value * _MS


_READERS = {
    "trade": _trade,
    "bookTicker": _quote,
    "markPriceUpdate": _mark_price,
}

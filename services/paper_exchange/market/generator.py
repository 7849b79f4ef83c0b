"""A generated market: a random walk that is pulled back to where it began.

The same seed gives the same market, to the last trade. It is for trying things out: its prices have
no volatility clusters, jumps or memory.
"""

from collections.abc import Iterator
from decimal import Decimal
from random import Random

from opensqt.core.exchange.market import MarketTrade, Quote
from opensqt.core.exchange.ticks import Tick
from opensqt.core.instrument import Instrument
from services.paper_exchange.config import GeneratorConfig

_S = 1_000_000_000


class Generator:
    """A seeded random walk of trades with a quote around each."""

    def __init__(self, config: GeneratorConfig, instrument: Instrument) -> None:
        self._config = config
        self._instrument = instrument

    @property
    def description(self) -> str:
        """What is played, for people."""
        return f"random walk, seed {self._config.seed}"

    def ticks(self) -> Iterator[Tick]:
        """The market, for ever or for the configured time."""
        config, instrument = self._config, self._instrument
        rng = Random(config.seed)  # noqa: S311  # a market, not a secret
        centre = price = float(config.start_price)
        trade_id, now_ns = 0, 0
        end_ns = None if config.duration_s is None else round(config.duration_s * _S)
        shown: tuple[Decimal, Decimal] | None = None
        while end_ns is None or now_ns <= end_ns:
            move = rng.gauss(0, config.volatility) * centre
            price = max(price + move - (price - centre) * config.reversion, centre / 100)
            buyer_is_maker = rng.random() < 0.5
            traded = instrument.round_price(Decimal(str(round(price, 8))))
            bid = traded if buyer_is_maker else traded - instrument.tick_size
            ask = bid + instrument.tick_size
            if shown != (bid, ask):
                shown = (bid, ask)
                quote = Quote(
                    bid=bid,
                    bid_quantity=self._quantity(rng, mean=1.0),
                    ask=ask,
                    ask_quantity=self._quantity(rng, mean=1.0),
                    time_ns=now_ns,
                )
                yield Tick(offset_ns=now_ns, symbol=instrument.symbol, happening=quote)
            trade_id += 1
            trade = MarketTrade(
                price=traded,
                quantity=self._quantity(rng, mean=0.2),
                buyer_is_maker=buyer_is_maker,
                time_ns=now_ns,
                trade_id=trade_id,
            )
            yield Tick(offset_ns=now_ns, symbol=instrument.symbol, happening=trade)
            now_ns += max(1, round(rng.expovariate(config.trades_per_s) * _S))

    def _quantity(self, rng: Random, *, mean: float) -> Decimal:
        drawn = Decimal(str(round(rng.expovariate(1 / mean), 8)))
        return max(self._instrument.quantity_at_most(drawn), self._instrument.min_quantity)

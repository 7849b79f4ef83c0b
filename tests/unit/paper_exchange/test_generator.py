"""The generated market."""

from decimal import Decimal as D

from opensqt.core.exchange.market import Quote
from opensqt.core.exchange.ticks import Tick
from opensqt.core.instrument import Instrument
from services.paper_exchange.config import GeneratorConfig
from services.paper_exchange.market.generator import Generator

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=D("0.1"),
    step_size=D("0.001"),
    min_quantity=D("0.001"),
    max_quantity=D(1000),
    min_notional=D(100),
)


def test_the_generator_is_a_function_of_its_seed() -> None:
    def market(seed: int) -> list[Tick]:
        return list(Generator(GeneratorConfig(seed=seed, duration_s=10), INSTRUMENT).ticks())

    assert market(1) == market(1) != market(2)
    for tick in market(1):
        happening = tick.happening
        if isinstance(happening, Quote):
            assert happening.ask - happening.bid == INSTRUMENT.tick_size
    assert market(1)[-1].offset_ns <= 10 * 10**9

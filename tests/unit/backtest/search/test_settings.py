"""Keys of a space: known, on the exchange's lattice, and put into the configurations they are of."""

from decimal import Decimal as D

import pytest
from pydantic import ValidationError

from opensqt.backtest.search.settings import known_keys, read_space, with_settings
from opensqt.backtest.search.space import Choices, Range
from opensqt.backtest.search.space_config import SpaceConfig
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError
from opensqt.testing.tapes import INSTRUMENT

BOT = BotConfig.model_validate(
    {
        "bot_id": "btc",
        "symbol": "BTCUSDT",
        "grid": {
            "direction": "LONG",
            "interval": "2.5",
            "buy_levels": 5,
            "sell_levels": 5,
            "quantity": "0.01",
        },
    }
)
ASSUMED = BacktestConfig()


def space(**axes: object) -> SpaceConfig:
    return SpaceConfig.model_validate({"space": {k.replace("__", "."): v for k, v in axes.items()}})


def refusal(**axes: object) -> str:
    with pytest.raises(ConfigError) as raised:
        read_space(space(**axes), INSTRUMENT)
    return str(raised.value)


def test_ranges_stand_on_the_exchange_s_lattice() -> None:
    found = read_space(
        space(
            grid__interval={"low": "0.5", "high": "2"},
            grid__quantity={"low": "0.001", "high": "0.01"},
            grid__buy_levels={"low": 1, "high": 9, "step": 4},
            grid__sell_levels={"same_as": "grid.buy_levels"},
            grid__post_only={"choices": [True, False]},
            assume__leverage={"choices": [2, 10]},
            assume__latency__order={"choices": ["20ms", "1s"]},
        ),
        INSTRUMENT,
    )
    assert found.axes == (
        Range(key="grid.interval", low=D("0.5"), step=D("0.1"), count=16),
        Range(key="grid.quantity", low=D("0.001"), step=D("0.001"), count=10),
        Range(key="grid.buy_levels", low=D(1), step=D(4), count=3),
        Choices(key="grid.post_only", values=(True, False)),
        Choices(key="assume.leverage", values=(2, 10)),
        Choices(key="assume.latency.order", values=("20ms", "1s")),
    )
    assert found.same == {"grid.sell_levels": "grid.buy_levels"}


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"grid__intervall": {"low": 1, "high": 2}}, "meant grid.interval?"),
        ({"assume__candles": {"choices": ["worst"]}}, "space.assume.candles: unknown"),
        ({"grid__interval": {"low": "0.55", "high": "1.05"}}, "multiples of the tick 0.1"),
        ({"grid__interval": {"low": 1, "high": 2, "step": "0.25"}}, "multiples of the tick 0.1"),
        ({"grid__quantity": {"choices": ["0.0015"]}}, "multiples of the step 0.001"),
        ({"grid__interval": {"low": 1, "high": "1.25"}}, "low plus a whole number of steps"),
        ({"grid__interval": {"low": 0, "high": 1}}, "space.grid.interval.low = 0"),
        ({"grid__interval": {"low": "0.5", "high": 2, "step": "0.3", "log": True}}, "with log"),
        ({"grid__buy_levels": {"low": 1, "high": 501}}, "less than or equal to 500"),
        ({"grid__buy_levels": {"choices": ["1.5"]}}, "valid integer"),
        ({"grid__direction": {"choices": ["LONG", "UP"]}}, "'LONG', 'SHORT' or 'NEUTRAL'"),
        ({"grid__post_only": {"choices": [True, True]}}, "each value once"),
        ({"grid__quote_amount": {"low": 10, "high": 20}}, "this key has no step of its own"),
        ({"grid__buy_levels": {"same_as": "grid.interval"}}, "another searched key"),
        (
            {"grid__quantity": {"choices": [1]}, "grid__quote_amount": {"choices": [9]}},
            "a bot has one of them",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(axes: dict[str, object], said: str) -> None:
    assert said in refusal(**axes)


@pytest.mark.parametrize(
    "axis",
    [
        {},
        {"low": 1},
        {"low": 2, "high": 2},
        {"low": 1, "high": 2, "choices": [1]},
        {"choices": []},
        {"choices": [1], "log": True},
        {"low": 1, "high": 2, "step": 0},
        {"low": 0.1, "high": 2},
        {"low": "nan", "high": 2},
        {"same_as": "grid.interval", "points": 5},
    ],
)
def test_an_axis_that_says_nothing_or_too_much_is_refused(axis: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        space(grid__buy_levels=axis)


def test_every_problem_is_told_at_once() -> None:
    text = refusal(grid__x={"choices": [1]}, grid__interval={"low": "0.55", "high": "0.75"})
    assert "space.grid.x" in text
    assert "space.grid.interval" in text


def test_settings_go_where_they_belong() -> None:
    bot, assumed = with_settings(
        BOT,
        ASSUMED,
        {
            "grid.interval": D("0.5"),
            "grid.atr.period": 5,
            "grid.quote_amount": 50,
            "assume.leverage": 10,
            "assume.latency.order": "20ms",
            "assume.fees.maker": D("0.0001"),
            "assume.fees.taker": D("0.0003"),
        },
    )
    assert bot.grid.interval == D("0.5")
    assert bot.grid.atr is not None
    assert (bot.grid.atr.period, bot.grid.atr.multiple) == (5, 1)
    assert (bot.grid.quantity, bot.grid.quote_amount) == (None, 50)
    assert assumed.leverage == 10
    assert (assumed.latency.order, assumed.latency.market) == (20_000_000, 50_000_000)
    assert assumed.fees is not None
    assert assumed.fees.maker == D("0.0001")
    assert with_settings(BOT, ASSUMED, {}) == (BOT, ASSUMED)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="unless max_position says what full means"):
        with_settings(BOT, ASSUMED, {"grid.skew_levels": 2})


def test_every_number_of_a_grid_can_be_searched() -> None:
    assert {f"grid.{name}" for name in type(BOT.grid).model_fields} - set(known_keys()) == {
        "grid.atr"
    }

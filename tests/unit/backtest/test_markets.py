"""The file of trading rules: the bundled one, and what is said of a bad one."""

from decimal import Decimal as D
from pathlib import Path

import pytest

from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.markets import load_markets, pick_markets
from opensqt.runtime.config import ConfigError

BUNDLED = Path(__file__).parents[3] / "config" / "markets.binance_usdm.yaml"
RECORDINGS = Path(__file__).parents[3] / "recordings"


def test_the_bundled_rules_fit_the_bundled_data() -> None:
    markets = load_markets(BUNDLED)
    assert len(markets) == 12
    for symbol, name in (
        ("BTCUSDT", "btcusdt_perp_1m_202505.csv.gz"),
        ("LAYERUSDT", "layerusdt_perp_1m_20250505.csv.gz"),
        ("BTCUSDT", "btcusdt_usdm_20240808.jsonl.gz"),
    ):
        rules = markets[symbol]
        assert rules.instrument.symbol == symbol
        assert len(read_tape(RECORDINGS / name, rules.instrument, strict=True).trades) > 20_000
    assert markets["LAYERUSDT"].maintenance_rate == D("0.02")
    assert markets["BTCUSDT"].instrument.tick_size == D("0.1")


def test_the_funding_of_the_collapse_switches_from_four_hours_to_one() -> None:
    rules = load_markets(BUNDLED)["LAYERUSDT"]
    path = RECORDINGS / "layerusdt_perp_1m_20250505.csv.gz"
    fundings = read_tape(path, rules.instrument, strict=True).fundings
    assert fundings.interval_minutes.tolist() == [240] * 11 + [60] * 127


def test_a_symbol_without_rules_names_the_file_and_what_it_lists() -> None:
    markets = load_markets(BUNDLED)
    assert list(pick_markets(markets, ["ENAUSDT"], BUNDLED)) == ["ENAUSDT"]
    with pytest.raises(
        ConfigError, match=r"DOGEUSDT.*markets.binance_usdm.yaml lists BTCUSDT, .*LAYERUSDT"
    ):
        pick_markets(markets, ["BTCUSDT", "DOGEUSDT"], BUNDLED)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tick_size: 0.1", "tick_size: 0", "markets.BTCUSDT.tick_size"),
        ("tick_size: 0.1", "tick: 0.1", "markets.BTCUSDT.tick"),
        ("    maker_fee: 0.0002\n", "", "markets.BTCUSDT.maker_fee"),
        ("min_quantity: 0.001", "min_quantity: 0.0015", "no multiple of the step 0.001"),
        ("min_quantity: 0.001", "min_quantity: 2000", "min_quantity is more than max_quantity"),
        ("markets:", "market:", "market"),
    ],
)
def test_bad_rules(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = BUNDLED.read_text()
    assert old in text
    path = tmp_path / "markets.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_markets(path)
    assert said in str(caught.value)

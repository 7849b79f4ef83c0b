"""What the configuration must be."""

from pathlib import Path

import pytest

from opensqt.runtime.config import ConfigError, load_config
from services.market_data.config import MarketDataConfig

RIGHT = """
symbols: [BTCUSDT]
exchange: {}
state: {target: "localhost:1"}
tls: {ca: a, certificate: b, key: c}
"""
KEYS = {"OPENSQT_EXCHANGE__API_KEY": "key", "OPENSQT_EXCHANGE__API_SECRET": "secret"}

WRONG = {
    "symbol: BTCUSDT": "unknown key; meant symbols?",
    "symbols: []": "symbols",
    "symbols: [btcusdt]": "symbols[0]",
    "account: UPPER": "account",
    "monitors: {recheck_interval_s: -1}": "monitors.recheck_interval_s",
    "monitors: {candles_kept: 0}": "monitors.candles_kept",
}


def load(tmp_path: Path, text: str, environ: dict[str, str]) -> MarketDataConfig:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return load_config(MarketDataConfig, file, environ=environ)


def test_the_least_that_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, RIGHT, KEYS)
    assert config.symbols == ("BTCUSDT",)
    assert config.account == "paper"


@pytest.mark.parametrize(("line", "told"), WRONG.items())
def test_what_is_wrong_is_named(tmp_path: Path, line: str, told: str) -> None:
    key = line.partition(":")[0]
    kept = [have for have in RIGHT.strip().splitlines() if not have.startswith(f"{key}:")]
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, "\n".join([*kept, line]), KEYS)
    assert told in str(refused.value)


def test_an_account_cannot_be_followed_without_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="following orders needs api_key"):
        load(tmp_path, RIGHT, {})

"""What the execution service refuses to be told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from opensqt.runtime.config import ConfigError, load_config
from services.execution.config import ExecutionConfig

GOOD: dict[str, Any] = {
    "tls": {"ca": "ca.pem", "certificate": "execution.pem", "key": "execution.key"},
    "state": {"target": "127.0.0.1:5000"},
    "exchange": {"name": "binanceusdm"},
}
SECRETS = {
    "OPENSQT_EXCHANGE__API_KEY": "the-key",
    "OPENSQT_EXCHANGE__API_SECRET": "the-secret",
    "OPENSQT_SETTLEMENT__POSTGRES__DSN": "postgresql://u:hidden@localhost/db",
}


def load(tmp_path: Path, settings: dict[str, Any], environ: dict[str, str]) -> ExecutionConfig:
    path = tmp_path / "execution.yaml"
    path.write_text(yaml.safe_dump(settings))
    return load_config(ExecutionConfig, path, environ=environ)


def test_a_good_configuration(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD, SECRETS)
    assert config.account == "paper"
    assert config.rate_limits.orders_per_10s == 300
    assert "the-secret" not in repr(config)
    assert "hidden" not in repr(config)


@pytest.mark.parametrize(
    ("settings", "environ", "told"),
    [
        ({}, {"OPENSQT_SETTLEMENT__POSTGRES__DSN": "postgresql://localhost/db"}, "api_key"),
        ({"timing": {"placing_ms": -1}}, SECRETS, "timing.placing_ms = -1"),
        ({"timing": {"plaicing_ms": 1}}, SECRETS, "meant placing_ms?"),
        ({"rate_limits": {"reserve_share": "1"}}, SECRETS, "rate_limits.reserve_share"),
        ({"account": "Main Account"}, SECRETS, "account = 'Main Account'"),
        ({"settlement": {"schema_name": "a; drop"}}, SECRETS, "settlement.schema_name"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, settings: dict[str, Any], environ: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, GOOD | settings, environ)
    assert told in str(refused.value)
    assert "the-secret" not in str(refused.value)

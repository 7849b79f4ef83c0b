"""The configuration of every service of a paper run, made from a trader's bot configuration.

Secrets never go into the files; they travel in the environment of the one process that needs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from opensqt.embedded.nats_server import USER
from opensqt.embedded.paper.settings import SERVICES, ApiKey, PaperSettings
from opensqt.embedded.run_directory import CONNECTION
from opensqt.runtime.certificates import tls_config_of

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What one process is told.

    Attributes:
        settings: The content of its YAML file.
        environment: Its secrets, as variables.
    """

    settings: Settings
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def configurations(run: PaperSettings, databases: Mapping[str, str]) -> dict[str, Configuration]:
    """The configuration of every process, by name.

    Args:
        run: The run.
        databases: The URL of each service's own database.
    """
    state = {"target": run.address("state")}
    market_data = {"target": run.address("market_data")}
    account = run.bot.account
    return {
        "paper_exchange": _paper_exchange(run),
        "state": Configuration(
            settings=_service(run, "state") | _nats(run),
            environment=_secrets(run) | {"OPENSQT_POSTGRES__DSN": databases["state"]},
        ),
        "risk": Configuration(
            settings=_service(run, "risk") | _nats(run) | {"account": account},
            environment=_secrets(run) | {"OPENSQT_POSTGRES__DSN": databases["risk"]},
        ),
        "execution": Configuration(
            settings=_service(run, "execution")
            | _nats(run)
            | {"account": account, "exchange": _exchange(run), "state": state},
            environment=_secrets(run, run.trading_key)
            | {"OPENSQT_SETTLEMENT__POSTGRES__DSN": databases["execution"]},
        ),
        "market_data": Configuration(
            settings=_service(run, "market_data")
            | _nats(run)
            | {
                "account": account,
                "exchange": _exchange(run),
                "state": state,
                "symbols": [run.bot.symbol],
            },
            environment=_secrets(run, run.reading_key),
        ),
        "strategy": Configuration(
            settings=_service(run, "strategy")
            | _nats(run)
            | {
                "state": state,
                "market_data": market_data,
                "bots": [run.bot.model_dump(mode="json", exclude_none=True)],
            },
            environment=_secrets(run),
        ),
    }


def connection(run: PaperSettings) -> Settings:
    """What the command line needs to reach the services of this run."""
    return {"tls": _tls(run, "cli")} | {name: {"target": run.address(name)} for name in SERVICES}


def write_configurations(
    run: PaperSettings, databases: Mapping[str, str]
) -> dict[str, Configuration]:
    """Write what every process and the command line need; returns what `configurations` does."""
    run.configurations.mkdir(parents=True, exist_ok=True, mode=0o700)
    for key in (run.trading_key, run.reading_key):
        _write_private(run.secret_path(key), key.secret)
    found = configurations(run, databases)
    for name, configuration in found.items():
        _write_private(run.configuration_path(name), _yaml(configuration.settings))
    _write_private(run.directory / CONNECTION, _yaml(connection(run)))
    return found


def _yaml(settings: Settings) -> str:
    return yaml.safe_dump(settings, sort_keys=False)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _service(run: PaperSettings, name: str) -> Settings:
    return {
        "tls": _tls(run, name),
        "server": {"port": run.ports[name]},
        "telemetry": {"metrics_port": run.ports[f"{name}_metrics"]},
    }


def _tls(run: PaperSettings, identity: str) -> Settings:
    files = tls_config_of(run.certificates, identity)
    return {"ca": str(files.ca), "certificate": str(files.certificate), "key": str(files.key)}


def _nats(run: PaperSettings) -> Settings:
    return {"nats": {"url": f"nats://{run.address('nats')}", "user": USER}}


def _exchange(run: PaperSettings) -> Settings:
    endpoint = {
        "port": run.ports["paper_exchange"],
        "ca": str(tls_config_of(run.certificates, "paper_exchange").ca),
    }
    return {"name": "binanceusdm", "endpoint": endpoint}


def _secrets(run: PaperSettings, key: ApiKey | None = None) -> dict[str, str]:
    secrets = {"OPENSQT_NATS__PASSWORD": run.nats_password}
    if key is not None:
        secrets["OPENSQT_EXCHANGE__API_KEY"] = key.key
        secrets["OPENSQT_EXCHANGE__API_SECRET"] = key.secret
    return secrets


def _paper_exchange(run: PaperSettings) -> Configuration:
    files = tls_config_of(run.certificates, "paper_exchange")
    keys = ((run.trading_key, True), (run.reading_key, False))
    return Configuration(
        settings={
            "listen": {
                "tls_port": run.ports["paper_exchange"],
                "control_port": run.ports["paper_exchange_control"],
                "certificate": str(files.certificate),
                "key": str(files.key),
            },
            "telemetry": {"metrics_port": run.ports["paper_exchange_metrics"]},
            "accounts": [
                {
                    "name": run.bot.account,
                    "keys": [
                        {
                            "api_key": key.key,
                            "api_secret_file": str(run.secret_path(key)),
                            "trade": trade,
                        }
                        for key, trade in keys
                    ],
                }
            ],
            "market": {
                "source": dict(run.source),
                "speed": run.speed,
                "start": "when_told",  # once every service is ready, so that nothing is missed
            },
        }
    )

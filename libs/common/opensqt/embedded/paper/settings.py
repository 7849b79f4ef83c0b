"""Everything that is chosen for one paper run before anything is started."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opensqt.runtime.bot_config import BotConfig

SERVICES = ("state", "risk", "execution", "market_data", "strategy")
"""In the order of starting; each finds those it needs."""

PORT_NAMES = (
    "nats",
    "postgres",
    "paper_exchange",
    "paper_exchange_control",
    *SERVICES,
    *(f"{name}_metrics" for name in ("paper_exchange", *SERVICES)),
)
"""What listens; each gets a free port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key of the paper exchange, made for this run alone."""

    key: str = field(default_factory=lambda: secrets.token_hex(16))
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """One paper run.

    Attributes:
        bot: The trader's configuration.
        source: The market that is played, as the paper exchange's configuration names it.
        speed: How much faster than it happened.
        faults: Name of the paper exchange's set of faults, such as "mild"; "none" for none.
        ports: A free port for each of `PORT_NAMES`.
        certificates: Directory of the development certificates.
        directory: The run's own.
        trading_key: For the execution service alone.
        reading_key: For everyone else.
        nats_password: Keeps others on this machine from publishing.
        environment: Added to the environment of every service.
    """

    bot: BotConfig
    source: Mapping[str, Any]
    speed: float
    faults: str
    ports: Mapping[str, int]
    certificates: Path
    directory: Path
    trading_key: ApiKey = field(default_factory=ApiKey)
    reading_key: ApiKey = field(default_factory=ApiKey)
    nats_password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def configurations(self) -> Path:
        """Where the services' configuration files go."""
        return self.directory / "config"

    def configuration_path(self, name: str) -> Path:
        """The configuration file of a process."""
        return self.configurations / f"{name}.yaml"

    def secret_path(self, key: ApiKey) -> Path:
        """The file that holds a key's secret, for the exchange to know it by."""
        return self.configurations / f"{key.key}.secret"

    def address(self, name: str) -> str:
        """Host and port of something that listens."""
        return f"127.0.0.1:{self.ports[name]}"

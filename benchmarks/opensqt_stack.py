"""OpenSQT's own services on a benchmark's venue, configured as `opensqt up` configures them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from benchmarks.stage import PROJECT, Stage
from benchmarks.venue.market import INTERVAL
from opensqt.embedded.paper.configurations import write_configurations
from opensqt.embedded.paper.programs import service_program
from opensqt.embedded.paper.run import DATABASES
from opensqt.embedded.paper.settings import PORT_NAMES, SERVICES, PaperSettings
from opensqt.runtime.bot_config import BotConfig

BOT = "bench"
SPANS = "spans"
"""Directory of the services' spans, below the stage's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSqt:
    """The services that were started."""

    settings: PaperSettings
    start_s: Mapping[str, float]
    """From the start of each process until it said that it was ready."""

    def metrics_url(self, service: str) -> str:
        """Where a service tells its metrics."""
        return f"http://{self.settings.address(f'{service}_metrics')}/metrics"


async def start_opensqt(
    stage: Stage,
    venue_port: int,
    *,
    services: Sequence[str] = SERVICES,
    traced: bool = False,
    telemetry: Mapping[str, Any] | None = None,
) -> OpenSqt:
    """Start services one after the other, each once those before it are ready.

    Args:
        stage: The servers to use.
        venue_port: The market to trade on.
        services: Which; all by default.
        traced: Record every trace, to files.
        telemetry: Other settings of the telemetry.
    """
    ports = {name: stage.port() for name in PORT_NAMES}
    ports |= {"nats": stage.nats.port, "postgres": stage.postgres.port}
    ports |= {"paper_exchange": venue_port}
    settings = PaperSettings(
        bot=bot_config(),
        source={},
        speed=1.0,
        faults="none",
        ports=ports,
        certificates=stage.directory / "certificates",
        directory=stage.directory / "opensqt",
        nats_password=str(stage.nats.password),
    )
    settings.directory.mkdir(exist_ok=True)
    urls = {name: await stage.postgres.add_database(name) for name in DATABASES}
    written = write_configurations(settings, urls)
    start_s = {}
    for name in services:
        more = dict(telemetry or {})
        if traced:
            spans = stage.directory / SPANS
            spans.mkdir(exist_ok=True)
            more |= {"trace_file": str(spans / f"{name}.jsonl"), "trace_ratio": 1.0}
        _add_telemetry(settings.configuration_path(name), more)
        program = service_program(name, settings, written[name], PROJECT)
        started = time.perf_counter()
        await stage.stack.start(program)
        start_s[name] = time.perf_counter() - started
    return OpenSqt(settings=settings, start_s=start_s)


def bot_config() -> BotConfig:
    """A grid that wants exactly one new order when the price climbs over a level."""
    grid = {
        "direction": "LONG",
        "interval": INTERVAL,
        "buy_levels": 3,
        "sell_levels": 3,
        "quantity": Decimal("0.001"),
        "slack_levels": 1,
    }
    return BotConfig.model_validate(
        {"bot_id": BOT, "account": "bench", "symbol": "BTCUSDT", "grid": grid}
    )


def _add_telemetry(path: Path, more: Mapping[str, Any]) -> None:
    if not more:
        return
    content = yaml.safe_load(path.read_text())
    content["telemetry"] |= more
    path.write_text(yaml.safe_dump(content, sort_keys=False))

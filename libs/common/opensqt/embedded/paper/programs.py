"""The processes of a paper run, as programs that a stack can run."""

import sys
from pathlib import Path

import aiohttp

from opensqt.embedded.paper.configurations import Configuration
from opensqt.embedded.paper.settings import PaperSettings
from opensqt.embedded.program import Program, ReadyCheck

ORDER = {
    "paper_exchange": 20,
    "state": 30,
    "risk": 30,
    "execution": 40,
    "market_data": 40,
    "strategy": 50,
}
"""What stops first is what started last: nobody decides once those who carry it out are gone."""
DRAIN_WAIT_S = 20
ANSWER_TIMEOUT_S = 2.0


def service_program(
    name: str, run: PaperSettings, configuration: Configuration, directory: Path
) -> Program:
    """The program of a service.

    Args:
        name: The service.
        run: The run.
        configuration: What it is told; the file is written already.
        directory: Its working directory.
    """
    return Program(
        name=name,
        argv=(
            *(sys.executable, "-m", f"services.{name}"),
            *("--config", str(run.configuration_path(name))),
        ),
        environment={
            "PYTHONUNBUFFERED": "1",
            **run.environment,
            **configuration.environment,
        },
        directory=directory,
        ready=_is_ready(run.ports[f"{name}_metrics"]),
        order=ORDER[name],
        stop_wait_s=DRAIN_WAIT_S,
    )


def _is_ready(port: int) -> ReadyCheck:
    async def ask() -> bool:
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/health/ready") as answer,
        ):
            return answer.status == 200

    return ask

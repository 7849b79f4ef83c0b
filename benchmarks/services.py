"""Starts OpenSQT's own services for the benchmarks, each as `python -m services.<name>`."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.stage import PROJECT, Stage
from opensqt.embedded.program import Program


def service_program(
    stage: Stage,
    name: str,
    config: Mapping[str, Any],
    *,
    secrets: Mapping[str, str] | None = None,
    order: int = 100,
) -> Program:
    """A service that is ready once it says so itself.

    Args:
        stage: Where its files go.
        name: The service's.
        config: Its configuration, without secrets.
        secrets: Environment variables.
        order: When it starts.
    """
    path = stage.directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(config))), encoding="utf-8")
    ready = ready_file(stage, name)

    async def is_ready() -> bool:
        return ready.exists()

    return Program(
        name=name,
        argv=(
            *(sys.executable, "-m", f"services.{name}"),
            *("--config", str(path), "--ready-file", str(ready)),
        ),
        environment=secrets or {},
        directory=PROJECT,
        ready=is_ready,
        order=order,
    )


def ready_file(stage: Stage, name: str) -> Path:
    """What a service writes once it serves: pid and ports."""
    return stage.directory / f"{name}.ready"


def ports_of(stage: Stage, name: str) -> dict[str, int]:
    """The ports of a service that is ready."""
    ports: dict[str, int] = json.loads(ready_file(stage, name).read_text())["ports"]
    return ports

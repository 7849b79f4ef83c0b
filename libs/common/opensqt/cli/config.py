"""`opensqt config`: checks configuration files and says what may be in them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from opensqt.cli.connection import SERVICES, ConnectionConfig
from opensqt.cli.exit_codes import EPILOG, ExitCode
from opensqt.cli.output import CommandError, JsonOption, command
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, config_schema, load_config

app = typer.Typer(
    help="Check configuration files, and say what may be in them.",
    no_args_is_help=True,
    epilog=EPILOG,
)

PROCESSES = (*SERVICES, "paper_exchange")
KINDS: dict[str, type[BaseModel]] = {
    "bot": BotConfig,
    "backtest": BacktestConfig,
    "connection": ConnectionConfig,
}
KIND_HELP = f"One of: {', '.join((*KINDS, *PROCESSES))}."

KindOption = Annotated[str, typer.Option("--kind", "-k", help=f"Whose file it is. {KIND_HELP}")]


@app.command(epilog=EPILOG)
def check(
    path: Annotated[Path, typer.Argument(help="The YAML file.")],
    kind: KindOption = "bot",
    as_json: JsonOption = False,
) -> None:
    """Say whether a configuration file is usable, and if not: key, value, what is allowed."""
    with command(as_json=as_json) as output:
        if kind in KINDS:
            try:
                load_config(KINDS[kind], path)
            except ConfigError as error:
                problems = [
                    {"key": problem.key, "value": problem.value, "allowed": problem.allowed}
                    for problem in error.problems
                ]
                raise CommandError(str(error), ExitCode.USAGE, problems=problems) from error
        else:
            _ask_service(kind, "--check", "--config", str(path))
        if as_json:
            output.json({"usable": True, "path": str(path), "kind": kind})
        output.line(f"{path} is usable")


@app.command(epilog=EPILOG)
def schema(
    kind: Annotated[str, typer.Argument(help=KIND_HELP)] = "bot",
    as_json: JsonOption = False,
) -> None:
    """Print the JSON schema of a configuration: every key, its type, its bounds and its meaning."""
    with command(as_json=as_json) as output:
        if kind in KINDS:
            found = config_schema(KINDS[kind])
        else:
            found = json.loads(_ask_service(kind, "--schema"))
        if as_json:
            output.json(found)
        output.line(json.dumps(found, indent=2))


def _ask_service(name: str, *arguments: str) -> str:
    """Run a service's own check; this library knows the services by name only.

    Raises:
        CommandError: There is no such service, or it refused.
    """
    if name not in PROCESSES:
        raise CommandError(f"{name}: no such configuration. {KIND_HELP}", ExitCode.USAGE)
    answer = subprocess.run(  # noqa: S603 - a module of ours
        [sys.executable, "-m", f"services.{name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if answer.returncode != 0:
        raise CommandError(answer.stderr.strip() or f"{name} failed", ExitCode.USAGE)
    return answer.stdout

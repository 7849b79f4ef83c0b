"""Puts the commands together."""

import sys
from typing import Annotated

import typer

import opensqt
from opensqt.backtest.integer.notices import tell_of_compiling
from opensqt.cli import (
    backtest,
    certs,
    config,
    data,
    diff,
    doctor,
    export,
    fills,
    optimize,
    orders,
    quarantine,
    risk,
    run,
    slots,
    standing,
    status,
    up,
)
from opensqt.cli.exit_codes import EPILOG

app = typer.Typer(
    name="opensqt",
    help="OpenSQT: trades grids so that no crash ever doubles an order or loses a fill.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"opensqt {opensqt.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001  # it is eager: who asks for it comes no further
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Take the options that belong to no command."""
    tell_of_compiling(_compiling)


def _compiling() -> None:
    print("compiling the backtest's engine, once on this machine ...", file=sys.stderr, flush=True)


for command in (
    up.up,
    run.run,
    backtest.backtest,
    status.status,
    slots.slots,
    orders.orders,
    fills.fills,
    quarantine.quarantine,
    export.export,
    diff.diff,
    optimize.optimize,
    certs.certs,
    doctor.doctor,
):
    app.command(epilog=EPILOG)(command)
app.add_typer(standing.app, name="bots")
app.add_typer(risk.app, name="risk")
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")

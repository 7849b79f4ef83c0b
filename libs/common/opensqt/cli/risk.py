"""`opensqt risk`: the gate that lets exposure through."""

from typing import Annotated
from uuid import uuid4

import typer

from opensqt.cli.connection import ConnectionOption, RunOption, Services, ask
from opensqt.cli.exit_codes import EPILOG
from opensqt.cli.messages import as_row
from opensqt.cli.output import JsonOption, Output, command
from opensqt.market_maker.v1.events_pb2 import Gate
from opensqt.market_maker.v1.risk_service_pb2 import (
    GetGateRequest,
    ResetGateRequest,
    TripGateRequest,
)

app = typer.Typer(
    help="Show the risk gate, close it, open it again.", no_args_is_help=True, epilog=EPILOG
)


@app.command(epilog=EPILOG)
def status(
    connection: ConnectionOption = None, run: RunOption = None, as_json: JsonOption = False
) -> None:
    """Say whether new exposure is allowed, and why not."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> Gate:
            return (await (await services.risk()).GetGate(GetGateRequest())).gate

        _show(output, ask(connection, run, question))


@app.command(epilog=EPILOG)
def trip(
    reason: Annotated[str, typer.Argument(help="Why, for the people who will read it.")],
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close the gate: nothing adds exposure from here on; cancels and closing orders go on."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> Gate:
            request = TripGateRequest(request_id=str(uuid4()), reason=reason)
            return (await (await services.risk()).TripGate(request)).gate

        _show(output, ask(connection, run, question))


@app.command(epilog=EPILOG)
def reset(
    revision: Annotated[
        int | None,
        typer.Option(help="Refuse if the gate has changed since this revision; else the newest."),
    ] = None,
    connection: ConnectionOption = None,
    run: RunOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the gate again."""
    with command(as_json=as_json) as output:

        async def question(services: Services) -> Gate:
            risk = await services.risk()
            seen = revision
            if seen is None:
                seen = (await risk.GetGate(GetGateRequest())).gate.revision
            request = ResetGateRequest(request_id=str(uuid4()), expected_revision=seen)
            return (await risk.ResetGate(request)).gate

        _show(output, ask(connection, run, question))


def _show(output: Output, gate: Gate) -> None:
    row = as_row(gate)
    if output.as_json:
        output.json(row)
        return
    state = "open: new exposure is allowed" if gate.open else f"closed: {gate.reason}"
    changed = f", changed {row['changed_time']} by {gate.changed_by}" if gate.changed_by else ""
    output.line(f"{state} (revision {gate.revision}{changed})")

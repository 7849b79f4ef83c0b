"""`opensqt status`: what runs, whether it is ready, and how the bots stand."""

import typer

from opensqt.cli.connection import ConnectionOption, RunOption, Services, ask, find_run
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.messages import Row
from opensqt.cli.output import JsonOption, Output, command
from opensqt.cli.standing import described
from opensqt.cli.system import read_processes, read_system

BOT_COLUMNS = (
    *("bot", "symbol", "standing", "phase", "waits for"),
    *("price ", "fills ", "realised ", "fees "),
)


def status(
    connection: ConnectionOption = None, run: RunOption = None, as_json: JsonOption = False
) -> None:
    """Show services, gate, execution and bots; exit code 1 when a service is not ready."""
    with command(as_json=as_json) as output:
        here = None if connection else find_run(run)

        async def question(services: Services) -> Row:
            system = await read_system(services)
            socket = here.supervisor_socket if here else None
            system["run"] = here.name if here else None
            system["processes"] = await read_processes(socket) if socket else None
            return system

        system = ask(connection, run, question)
        if as_json:
            output.json(system)
        else:
            _show(output, system)
        if not all(service["ready"] for service in system["services"]):
            raise typer.Exit(ExitCode.FAILURE)


def _show(output: Output, system: Row) -> None:
    processes = {row["name"]: row for row in system["processes"] or ()}
    health = {row["name"]: row["problem"] or "ready" for row in system["services"]}
    names = [*processes, *(name for name in health if name not in processes)]
    rows = [
        [
            name,
            health.get(name, processes.get(name, {}).get("phase", "").lower()),
            processes.get(name, {}).get("pid"),
            processes.get(name, {}).get("uptime_s"),
            processes.get(name, {}).get("memory_mb"),
        ]
        for name in names
    ]
    output.table(("service", "state", "pid ", "up s ", "memory MB "), rows)
    output.table(BOT_COLUMNS, [_bot_row(bot) for bot in system["bots"] or ()])
    for bot in system["bots"] or ():
        if bot["standing"] == "HALTED":
            output.line(
                f"{bot['bot']} is {described(bot)}; "
                f"when that is mended: opensqt bots resume {bot['bot']}"
            )
    gate, execution = system["gate"], system["execution"]
    if gate is not None:
        output.line("gate open" if gate["open"] else f"gate CLOSED: {gate['reason']}")
    if execution is not None:
        output.line(
            f"execution: {execution['orders_sent']} orders sent, "
            f"{execution['in_flight']} in flight, {execution['unsettled']} unsettled"
        )


def _bot_row(bot: Row) -> list[object]:
    strategy, totals = bot["strategy"] or {}, bot["totals"] or {}
    return [
        bot["bot"],
        bot["symbol"],
        bot["standing"].lower(),
        strategy.get("phase"),
        ", ".join(strategy.get("waiting_for", ())) or None,
        strategy.get("last_price"),
        totals.get("fills"),
        totals.get("realised_pnl"),
        totals.get("fees"),
    ]

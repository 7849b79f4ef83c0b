"""How `up` shows a run: redrawn on a terminal, as lines everywhere else."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from opensqt.cli.messages import Row
from opensqt.cli.output import Output, make_table
from opensqt.cli.up_snapshot import Snapshot
from opensqt.core.numbers import parse_decimal, plain
from opensqt.embedded.paper.settings import PaperSettings
from opensqt.embedded.supervision import Phase

LINE_INTERVAL_S = 5.0
LADDER_ROWS_MAX = 24
FRAME_ROWS = 4
CENT = Decimal("0.01")


class View(Protocol):
    """Shows a run as it goes."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how it stands."""
        ...

    def note(self, text: str) -> None:
        """Say what has happened."""
        ...


@contextmanager
def open_view(output: Output, settings: PaperSettings) -> Iterator[View]:
    """The view that fits where the output goes."""
    if not output.is_terminal:
        yield LineView(output)
        return
    with Live(console=output.console, auto_refresh=False, transient=True) as screen:
        yield ScreenView(screen, settings)


class LineView:
    """A line every few seconds, for logs and pipes.

    Args:
        output: Where the lines go.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._next_s = 0.0

    def show(self, snapshot: Snapshot) -> None:
        """Print a line when it is time for one."""
        now_s = time.monotonic()
        if now_s < self._next_s and not snapshot.market_ended:
            return
        self._next_s = now_s + LINE_INTERVAL_S
        self._output.note(line(snapshot))

    def note(self, text: str) -> None:
        """Print it."""
        self._output.note(text)


class ScreenView:
    """A ladder of slots beside the figures, redrawn in place.

    Args:
        screen: Draws.
        settings: The run.
    """

    def __init__(self, screen: Live, settings: PaperSettings) -> None:
        self._screen = screen
        self._settings = settings

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        height = self._screen.console.height
        self._screen.update(picture(snapshot, self._settings, height), refresh=True)

    def note(self, text: str) -> None:
        """Print it above the picture."""
        self._screen.console.print(text, markup=False)


def line(snapshot: Snapshot) -> str:
    """One line that says how a run stands."""
    totals = snapshot.totals or {}
    ready = sum(service["ready"] for service in snapshot.services)
    waits = f" (waits for {', '.join(snapshot.waiting_for)})" if snapshot.waiting_for else ""
    return (
        f"{snapshot.market_elapsed_s:7.1f} s  {(snapshot.phase or 'no answer').lower()}{waits}  "
        f"price {_shown(snapshot.price)}  open {_shown(snapshot.open_orders)}  "
        f"position {_shown(snapshot.position)}  fills {_shown(totals.get('fills'))}  "
        f"realised {_money(totals.get('realised_pnl'))}  "
        f"unrealised {_money(snapshot.unrealised)}  fees {_money(totals.get('fees'))}  "
        f"services {ready}/{len(snapshot.services)} ready"
    )


def picture(snapshot: Snapshot, settings: PaperSettings, height: int) -> RenderableType:
    """The whole picture for a terminal of so many lines."""
    columns = Table.grid(padding=(0, 4))
    rows_max = min(LADDER_ROWS_MAX, height - FRAME_ROWS)
    columns.add_row(
        ladder(snapshot, rows_max), Group(_figures(snapshot), Text(), _services(snapshot))
    )
    title = (
        f"{settings.bot.bot_id}: {settings.bot.symbol} on paper, {settings.speed:g}x, "
        f"{snapshot.market_elapsed_s:.0f} s of the recording"
    )
    return Panel(columns, title=title, subtitle="Ctrl-C ends the run", expand=False)


def ladder(snapshot: Snapshot, rows_max: int) -> Table:
    """The slots around the price, the highest first."""
    rows = sorted(snapshot.slots, key=lambda slot: parse_decimal(slot["price"]), reverse=True)
    busy = [slot for slot in rows if slot["slot_status"] != "FREE" or _holds(slot)]
    if snapshot.price is not None and len(busy) > rows_max:
        price = snapshot.price
        nearest = sorted(busy, key=lambda slot: abs(parse_decimal(slot["price"]) - price))
        kept = {slot["price"] for slot in nearest[:rows_max]}
        busy = [slot for slot in busy if slot["price"] in kept]
    cells = [
        [
            slot["price"],
            slot["slot_status"].lower(),
            (slot["order"] or {}).get("side", "").lower(),
            (slot["order"] or {}).get("price", ""),
            slot["position_qty"] if _holds(slot) else "",
        ]
        for slot in busy
    ]
    return make_table(("slot ", "status", "order", "at ", "holds "), cells)


def _holds(slot: Row) -> bool:
    return bool(slot["position_status"] == "FILLED")


def _figures(snapshot: Snapshot) -> Table:
    totals = snapshot.totals or {}
    gate = snapshot.gate
    closed = f"closed: {gate['reason']}" if gate and not gate["open"] else None
    figures = Table.grid(padding=(0, 2))
    for name, value in (
        ("price", _shown(snapshot.price)),
        ("strategy", (snapshot.phase or "no answer").lower()),
        ("waits for", ", ".join(snapshot.waiting_for) or None),
        ("gate", closed or ("open" if gate else "no answer")),
        ("open orders", _shown(snapshot.open_orders)),
        ("position", _shown(snapshot.position)),
        ("fills", f"{_shown(totals.get('buys'))} buys, {_shown(totals.get('sells'))} sells"),
        ("realised", _money(totals.get("realised_pnl"))),
        ("unrealised", _money(snapshot.unrealised)),
        ("fees", _money(totals.get("fees"))),
    ):
        if value is not None:
            figures.add_row(Text(name, style="dim"), Text(value))
    return figures


def _services(snapshot: Snapshot) -> Table:
    health = {service["name"]: service["problem"] for service in snapshot.services}
    services = Table.grid(padding=(0, 2))
    for process in snapshot.processes:
        problem = health.get(process.name)
        if process.phase not in (Phase.RUNNING, Phase.STARTING):
            problem = process.phase.value.lower()
        style = "red" if problem else "green"
        services.add_row(process.name, Text(problem or "ready", style=style))
    return services


def _shown(number: Decimal | int | None) -> str:
    """A number as it is; what is not known is not zero."""
    if number is None:
        return "-"
    return plain(number) if isinstance(number, Decimal) else str(number)


def _money(amount: Decimal | str | None) -> str:
    """An amount to the cent: for looking at; the summary is exact."""
    if amount is None:
        return "-"
    exact = amount if isinstance(amount, Decimal) else parse_decimal(amount)
    return f"{exact.quantize(CENT):f}"

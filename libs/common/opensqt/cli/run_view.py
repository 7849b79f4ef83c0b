"""What `opensqt run` says: a line now and then while it trades, and what came of it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opensqt.cli.case import STDOUT
from opensqt.cli.data_times import time_text
from opensqt.cli.output import Output
from opensqt.core.numbers import plain
from opensqt.embedded.paper.summary import summarise, summary_lines, write_summary

if TYPE_CHECKING:
    from opensqt.solo.run import Ended, SoloRun

LINE_INTERVAL_S: Final = 5.0


class RunView:
    """Says how the runs stand.

    Args:
        runs: Each of them has begun.
        output: Where.
    """

    def __init__(self, runs: Sequence["SoloRun"], output: Output) -> None:
        self._runs = runs
        self._output = output
        self._next_s = time.monotonic() + LINE_INTERVAL_S

    def begin(self, speed: float | None) -> None:
        """Say what is about to be played."""
        how = "as fast as it goes" if speed is None else f"{speed:g} times as fast as it was"
        for run in self._runs:
            market, tape = run.market, run.case.tapes[run.bot.symbol]
            self._output.note(
                f"{run.bot.bot_id} trades {run.bot.symbol} on {tape.source}: "
                f"{time_text(market.began_ns)} to {time_text(market.ends_ns)} UTC, "
                f"{market.count} events, {how}; Ctrl-C ends it"
            )
            for note in tape.notes:
                self._output.note(f"  note: {note.text}")

    def look(self) -> None:
        """Print a line for each when it is time for one."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + LINE_INTERVAL_S
        for run in self._runs:
            self._output.note(_line(run))


def _line(run: "SoloRun") -> str:
    market, status, book = run.market, run.engine.status(), run.engine.book
    done = f"{run.bot.bot_id}: {market.ticks / market.count:.0%}, {time_text(market.now_ns())}"
    if book is None:
        return f"{done}: no price yet"
    price, totals = status.last_price, book.totals
    return (
        f"{done}: {status.phase.value.lower()}, price {'-' if price is None else plain(price)}, "
        f"position {plain(book.position)}, {len(book.live_orders())} open orders, "
        f"{totals.buys} buys, {totals.sells} sells, realised {plain(totals.realised_pnl)}, "
        f"fees {plain(totals.fees)}"
    )


def tell_end(
    output: Output, ended: Sequence["Ended"], *, json_out: Path | None, summary: Path | None
) -> None:
    """Say what came of it, and write it where that was asked for.

    Args:
        output: Where.
        ended: What each bot came to.
        json_out: A file for the summary and the whole run, or `-`.
        summary: A file for the summary alone.
    """
    from opensqt.backtest.recorded.runfile import write_beside
    from opensqt.solo.record import together

    told = _summary(ended)
    if summary is not None:
        write_summary(summary, told)
    if json_out == STDOUT:
        output.json(told)
        return
    for one in ended:
        if len(ended) > 1:
            output.line(f"bot {one.bot_id}")
        for line in summary_lines(one.comparison):
            output.line(line)
    if json_out is not None:
        write_beside(json_out, told, together([one.run for one in ended]))
        output.line(f"written: {json_out}; `opensqt diff` compares it with a backtest's")


def _summary(ended: Sequence["Ended"]) -> dict[str, Any]:
    """That of the only bot, or of each by name."""
    if len(ended) == 1:
        return summarise(ended[0].comparison)
    return {"bots": {one.bot_id: summarise(one.comparison) for one in ended}}

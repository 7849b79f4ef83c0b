"""`run`: a case, by the fastest engine that gives the right result."""

from collections.abc import Callable
from dataclasses import replace

from opensqt.backtest.case import Case, Mode
from opensqt.backtest.exact.every import run_every
from opensqt.backtest.exact.skipping import run_skipping
from opensqt.backtest.exact.timeline import Timeline
from opensqt.backtest.integer.engine import run_integer
from opensqt.backtest.integer.ordinary import NotOrdinary
from opensqt.backtest.result import Result


def run(
    case: Case,
    *,
    mode: Mode = Mode.AUTO,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Run a case.

    Args:
        case: What is run, and what is assumed.
        mode: By which engine; AUTO takes the fastest that the case allows.
        progress: Is told now and then how many events have happened, of how many.

    Raises:
        ValueError: The case contradicts itself, or its data has no price; says what is allowed.
    """
    check(case)
    detour = ""
    if mode in (Mode.AUTO, Mode.INTEGER):
        try:
            result = run_integer(case)
        except NotOrdinary as not_ordinary:
            detour = f"not in whole numbers: {not_ordinary.reason}"
            if mode is Mode.INTEGER:
                raise ValueError(f"mode integer: {not_ordinary.reason}; allowed: auto") from None
        else:
            if progress is not None:
                progress(result.events, result.events)
            return result
    timeline = Timeline.of({bot.symbol: case.tapes[bot.symbol] for bot in case.bots})
    if mode is Mode.EVERY:
        return run_every(case, timeline, progress)
    result = run_skipping(case, timeline, Mode.SKIP if mode is Mode.AUTO else mode, progress)
    return replace(result, detours=(detour,)) if detour else result


def check(case: Case) -> None:
    """Refuse a case that contradicts itself.

    Raises:
        ValueError: What is wrong, where, and what is allowed.
    """
    if not case.bots:
        raise ValueError("case: no bot; allowed: one or more")
    seen: dict[tuple[str, str], str] = {}
    for bot in case.bots:
        who = f"bot {bot.bot_id}"
        for what, known in (("market", case.markets), ("tape", case.tapes)):
            if bot.symbol not in known:
                allowed = ", ".join(sorted(known)) or "none"
                raise ValueError(f"{who}: no {what} for {bot.symbol}; there are: {allowed}")
        if bot.account not in case.accounts:
            allowed = ", ".join(sorted(case.accounts)) or "none"
            raise ValueError(f"{who}: no account {bot.account}; there are: {allowed}")
        other = seen.setdefault((bot.account, bot.symbol), bot.bot_id)
        if other != bot.bot_id:
            raise ValueError(
                f"{who}: {bot.symbol} on account {bot.account} is traded by bot {other}; "
                "allowed: one bot for a symbol of an account"
            )
        rules, tape = case.markets[bot.symbol], case.tapes[bot.symbol]
        if rules.instrument != bot.instrument:
            raise ValueError(f"{who}: its instrument is not that of the market {bot.symbol}")
        if tape.symbol != bot.symbol or tape.tick != bot.instrument.tick_size:
            raise ValueError(
                f"{who}: the tape is of {tape.symbol} in ticks of {tape.tick}; "
                f"allowed: {bot.symbol} in ticks of {bot.instrument.tick_size}"
            )
        bot.grid.check_tick(bot.instrument.tick_size)

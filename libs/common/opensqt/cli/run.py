"""`opensqt run`: paper-trades a bot in this process alone, and goes on where it was stopped."""

import asyncio
import hashlib
import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from opensqt.adapters.replay.recording import Recording
from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.markets import DEFAULT_MARKETS, load_markets, pick_markets
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.output import CommandError, JsonOption, Output, command
from opensqt.cli.up import (
    DEFAULT_CONFIG,
    DEFAULT_RECORDING,
    finish,
    parse_duration,
    refuse_paths,
)
from opensqt.core.errors import Refusal
from opensqt.core.exchange.rules import MarketRules
from opensqt.core.numbers import NotExactError, parse_decimal, plain
from opensqt.embedded.paper.books import Comparison
from opensqt.engine.bot import Bot
from opensqt.ports import CheckpointError
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, load_config
from opensqt.solo.run import SoloRun

LINE_INTERVAL_S: Final = 5.0


def run(
    engine: Annotated[
        str, typer.Option(help="simple: in this process; durable is what `opensqt up` runs.")
    ] = "simple",
    config: Annotated[
        Path, typer.Option("--config", help="The bot's configuration.")
    ] = DEFAULT_CONFIG,
    recording: Annotated[
        Path, typer.Option(help="The market to play: recorded raw streams of Binance.")
    ] = DEFAULT_RECORDING,
    markets: Annotated[
        Path, typer.Option(help="The markets' trading rules and fees.")
    ] = DEFAULT_MARKETS,
    deposit: Annotated[str, typer.Option(help="What the account has at first, in quote.")] = (
        "10000"
    ),
    speed: Annotated[
        float, typer.Option(min=0, max=10_000, help="Times faster; 0: as fast as it goes.")
    ] = 1.0,
    duration: Annotated[
        str | None,
        typer.Option(
            help="Stop after this time, such as 30s, 5m or 1h; "
            "by default at the end of the recording."
        ),
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            help="Keep the run in this file, and go on where it was stopped; "
            "by default nothing is kept."
        ),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Also write the summary to this file, as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Paper-trade a grid on a recorded market, in one process.

    The bot's state is in memory, and its checkpoints in a SQLite file. Stopped or killed at any
    moment, the same command with the same file goes on where it was, and the simulated exchange
    with it. Ends with a summary that holds our books against the exchange's own. Exit code 0: they
    agree, and no order was doubled.
    """
    with command(as_json=as_json) as output:
        _refuse_unusable(engine, recording, summary)
        duration_s = parse_duration(duration) if duration else None
        with _checkpoints(checkpoints) as path, _explained():
            solo = _make(config, recording, markets, deposit, path)
            comparison = asyncio.run(_run(solo, output, speed=speed, duration_s=duration_s))
        stopped = checkpoints is not None and not solo.market.ended
        note = f"stopped; the same command goes on from {checkpoints}" if stopped else None
        finish(output, comparison, summary, note=note)


async def _run(
    solo: SoloRun, output: Output, *, speed: float, duration_s: float | None
) -> Comparison:
    # What a program reads from stdout is the summary alone.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if duration_s is not None:
        loop.call_later(duration_s, stop.set)
    try:
        done = await solo.begin(lambda now, of: output.note(f"coming back: tick {now} of {of}"))
        if done:
            output.note(f"going on after {done} ticks of the recording")
        view = _View(solo, output)
        await solo.play(speed=speed or None, stop=stop, look=view.look)
        return await solo.end()
    finally:
        solo.close()


class _View:
    """A line every few seconds."""

    def __init__(self, solo: SoloRun, output: Output) -> None:
        self._solo = solo
        self._output = output
        self._next_s = time.monotonic() + LINE_INTERVAL_S

    def look(self) -> None:
        """Print a line when it is time for one."""
        now_s, book = time.monotonic(), self._solo.engine.book
        if now_s < self._next_s or book is None:
            return
        self._next_s = now_s + LINE_INTERVAL_S
        status, totals = self._solo.engine.status(), book.totals
        price = "-" if status.last_price is None else plain(status.last_price)
        self._output.note(
            f"tick {self._solo.market.ticks}: {status.phase.value.lower()}, price {price}, "
            f"position {plain(book.position)}, {len(book.live_orders())} open orders, "
            f"{totals.buys} buys, {totals.sells} sells, realised {plain(totals.realised_pnl)}, "
            f"fees {plain(totals.fees)}"
        )


def _make(config: Path, recording: Path, markets: Path, deposit: str, path: Path) -> SoloRun:
    """The run, from what the command was told.

    Raises:
        ConfigError: Of the bot or the markets.
        CheckpointError: The file of checkpoints cannot be used.
        CommandError: The deposit is no amount.
    """
    wanted = load_config(BotConfig, config, env_prefix="OPENSQT_BOT_")
    listed = load_markets(markets)
    rules = pick_markets(listed, [wanted.symbol], markets)[wanted.symbol]
    source = Recording(recording, {symbol: item.instrument for symbol, item in listed.items()})
    amount = _amount(deposit)
    bot = Bot(
        bot_id=wanted.bot_id,
        account=wanted.account,
        symbol=wanted.symbol,
        direction=wanted.grid.direction,
        anchor=wanted.grid.anchor,
        grid=wanted.grid.to_core(),
        instrument=rules.instrument,
    )
    solo = SoloRun(
        bot,
        source=source,
        rules=rules,
        deposit=amount,
        checkpoints=path,
        description=_description(recording, rules, amount),
    )
    price = solo.market.first_price
    if price is not None:
        wanted.check_instrument(rules.instrument, price)
    return solo


def _description(recording: Path, rules: MarketRules, deposit: Decimal) -> str:
    """What a simulated exchange is a function of, apart from the requests."""
    with recording.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    by_rules = hashlib.sha256(repr(rules).encode()).hexdigest()[:8]
    return (
        f"recording {recording.name} ({content}), {rules.instrument.symbol} by rules {by_rules}, "
        f"deposit {plain(deposit)}"
    )


def _amount(text: str) -> Decimal:
    try:
        amount = parse_decimal(text, name="--deposit")
    except NotExactError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    if amount <= 0:
        raise CommandError(f"--deposit {text}: allowed is more than zero", ExitCode.USAGE)
    return amount


@contextmanager
def _checkpoints(path: Path | None) -> Iterator[Path]:
    """The file to use; without one, one that is gone afterwards."""
    if path is not None:
        if not path.absolute().parent.is_dir():
            raise CommandError(f"--checkpoints {path}: no such directory", ExitCode.USAGE)
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="opensqt-run-") as directory:
        yield Path(directory) / "checkpoints.sqlite"


@contextmanager
def _explained() -> Iterator[None]:
    """What was refused, as usage errors: nothing was done."""
    codes: Mapping[type[Exception], ExitCode] = {
        ConfigError: ExitCode.USAGE,
        Refusal: ExitCode.USAGE,
        DamagedData: ExitCode.USAGE,
        CheckpointError: ExitCode.FAILURE,
    }
    try:
        yield
    except tuple(codes) as error:
        raise CommandError(str(error), codes[type(error)]) from error


def _refuse_unusable(engine: str, recording: Path, summary: Path | None) -> None:
    if engine == "durable":
        raise CommandError(
            "--engine durable: it needs the services; `opensqt up` starts them all",
            ExitCode.USAGE,
        )
    if engine != "simple":
        raise CommandError(f"--engine {engine}: allowed: simple", ExitCode.USAGE)
    refuse_paths(recording, summary)

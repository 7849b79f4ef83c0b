"""One paper run from its start to its comparison: what `opensqt up` does between the two."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack, suppress

import aiohttp
import grpc

from opensqt.backtest.recorded.runfile import write_run
from opensqt.cli.connection import ConnectionConfig, Services
from opensqt.cli.exit_codes import ExitCode
from opensqt.cli.export import read_ledger_run
from opensqt.cli.output import CommandError, Output
from opensqt.cli.up_books import read_ledger
from opensqt.cli.up_snapshot import Watcher
from opensqt.cli.up_view import View, open_view
from opensqt.embedded.paper.books import Comparison, compare
from opensqt.embedded.paper.exchange_control import ExchangeControl
from opensqt.embedded.paper.run import begin_market, running
from opensqt.embedded.paper.settings import PaperSettings
from opensqt.embedded.run_directory import Run
from opensqt.embedded.stack import Stack
from opensqt.market_maker.v1.execution_service_pb2 import GetExecutionStatusRequest
from opensqt.runtime.config import load_config

RUN_FILE = "ledger.json"
"""Every order and fill as the ledger has it, for `opensqt diff`; lies beside the logs."""
LOOK_INTERVAL_S = 1.0
PRICE_ONLY = {"price", "state"}
"""All that a strategy may wait for when the market begins: a grid is registered at a price."""
READY_WAIT_S = 30.0
SETTLE_WAIT_S = 90.0
SETTLE_INTERVAL_S = 0.5


class InterruptedRunError(Exception):
    """The run was ended by a signal before it could be compared."""


class UpRun:
    """One paper run.

    Args:
        settings: What to run.
        run: Its directory.
        output: Where to tell of it.
        duration_s: How long to trade at most; None until the recording ends.
    """

    def __init__(
        self, settings: PaperSettings, run: Run, output: Output, *, duration_s: float | None
    ) -> None:
        self._settings = settings
        self._run = run
        self._output = output
        self._duration_s = duration_s
        self._stop = asyncio.Event()
        self._trading = False

    async def run(self) -> Comparison:
        """Start, trade, end, compare. Everything that was started is gone afterwards.

        Raises:
            StackError: A process did not become ready, or does not stay up.
            InterruptedRunError: By a signal before trading began, or by a second one.
            CommandError: Our books or the exchange's could not be read in the end, or the paper
                exchange died.
        """
        main = asyncio.current_task()
        assert main is not None
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._interrupt, main)
        try:
            async with AsyncExitStack() as opened:
                return await self._run_within(opened)
        except asyncio.CancelledError:
            raise InterruptedRunError("interrupted; everything is stopped") from None

    def _interrupt(self, main: "asyncio.Task[Comparison]") -> None:
        if self._trading and not self._stop.is_set():
            self._stop.set()  # ends in order; a second signal does not wait for that
        else:
            main.cancel()

    async def _run_within(self, opened: AsyncExitStack) -> Comparison:
        started_s = time.monotonic()
        started = await opened.enter_async_context(
            running(self._settings, self._run, self._output.note)
        )
        stack = started.stack
        control = await opened.enter_async_context(
            ExchangeControl(self._settings.ports["paper_exchange_control"])
        )
        config = load_config(ConnectionConfig, self._run.connection_path, environ={})
        services = Services(config, opened)
        watcher = Watcher(services, control, stack, self._settings.bot.bot_id)
        await self._wait_for_strategy(watcher)
        await begin_market(control, self._settings)
        self._output.note(
            f"trading {self._settings.bot.symbol} after {time.monotonic() - started_s:.1f} s; "
            f"Ctrl-C ends it; logs: {self._run.logs}"
        )
        with open_view(self._output, self._settings) as view:
            self._trading = True
            why = await self._trade(watcher, stack, view)
        self._output.note(f"{why}; ending in order")
        comparison = await self._end(services, control, stack)
        if comparison.ledger.standing is not None:  # else there is no grid to tell of
            found = await read_ledger_run(services, self._settings.bot.bot_id)
            write_run(self._run.path / RUN_FILE, found)
        return comparison

    async def _wait_for_strategy(self, watcher: Watcher) -> None:
        """Let the strategy hear of everything else before the first price comes."""
        deadline = time.monotonic() + READY_WAIT_S
        while time.monotonic() < deadline:
            waiting_for = await watcher.waiting_for()
            if waiting_for is not None and set(waiting_for) <= PRICE_ONLY:
                return
            await asyncio.sleep(0.1)

    async def _trade(self, watcher: Watcher, stack: Stack, view: View) -> str:
        """Look on until something ends the trading; returns what did."""
        began_s = time.monotonic()
        while True:
            snapshot = await watcher.look()
            for name in snapshot.restarted:
                view.note(f"{name} died and was started again")
            if "paper_exchange" in snapshot.restarted:
                # It stands for the outside world, and its books lived in its memory.
                raise CommandError(
                    "the paper exchange died, and its books with it: nothing is left to compare",
                    ExitCode.FAILURE,
                )
            view.show(snapshot)
            await stack.refuse_hopeless()
            if snapshot.market_ended:
                return "the recording has ended"
            left_s = LOOK_INTERVAL_S
            if self._duration_s is not None:
                left_s = min(left_s, began_s + self._duration_s - time.monotonic())
                if left_s <= 0:
                    return f"{self._duration_s:g} s are over"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), left_s)
            if self._stop.is_set():
                return "told to stop"

    async def _end(self, services: Services, control: ExchangeControl, stack: Stack) -> Comparison:
        """Stop deciding, let everything settle, and compare once nothing changes any more."""
        await control.pause_market()
        await stack.stop("strategy")
        deadline = time.monotonic() + SETTLE_WAIT_S
        before: Comparison | None = None
        while True:
            problem = ""
            try:
                comparison = await self._compare(services, control)
                settled = await _is_settled(services, comparison)
            except (grpc.aio.AioRpcError, aiohttp.ClientError, TimeoutError) as error:
                problem, settled = repr(error), False
            else:
                # Twice the same, so that nothing was on its way when it was read.
                if settled and comparison == before:
                    return comparison
                before = comparison if settled else None
            if time.monotonic() > deadline:
                if problem:
                    raise CommandError(f"the books cannot be read: {problem}", ExitCode.FAILURE)
                return comparison
            await asyncio.sleep(SETTLE_INTERVAL_S)

    async def _compare(self, services: Services, control: ExchangeControl) -> Comparison:
        bot = self._settings.bot
        ledger = await read_ledger(services, bot.bot_id)
        return compare(ledger, await control.books(bot.account, bot.symbol))


async def _is_settled(services: Services, comparison: Comparison) -> bool:
    execution = await services.execution()
    status = await execution.GetExecutionStatus(GetExecutionStatusRequest())
    exchange, ledger = comparison.exchange, comparison.ledger
    return (
        comparison.agree
        and ledger.unsettled == 0
        and status.in_flight == 0
        and ledger.fills == exchange.buys + exchange.sells
    )

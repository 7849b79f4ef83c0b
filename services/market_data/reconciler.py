"""`Reconciler`: compares the ledger with the exchange, and has told what the ledger does not know.

After every connection of the stream, every few seconds, and as soon as a grid is new to the ledger.
A new grid may trade once a comparison finds nothing that the ledger does not have.
"""

import asyncio
import contextlib
from typing import Final

import structlog

from opensqt.core.errors import Refusal
from opensqt.core.events import Forced, PositionUpdate
from opensqt.core.grid.book import GridIdentity, Standing
from opensqt.ports import (
    POSITIONS,
    AccountFeed,
    Clock,
    DependencyError,
    EventBus,
    PositionManager,
)
from opensqt.runtime.metrics import Metrics
from services.market_data.comparison import Comparison, Findings
from services.market_data.config import MonitorConfig
from services.market_data.forgotten import ForgottenOrders
from services.market_data.market_comparison import is_new
from services.market_data.position_checks import SIGHTING_INTERVAL_S, PositionChecks
from services.market_data.stream_health import StreamHealth
from services.market_data.telling import RETRY_S_MAX, RETRY_S_MIN, Teller

PATIENCE: Final = 10
"""Comparisons that wait for an exchange whose look-ups lag."""
REPEAT_NS: Final = 5 * 10**9
"""An update that was stored and that the ledger still does not know is told again after this, and
then after twice as long each time."""
REPEAT_NEW_NS: Final = 2 * 10**9
"""The same while a grid is new, since nothing trades until it knows."""
DOUBLINGS_MAX: Final = 4
FORCED_TELLINGS: Final = 5
"""A forced order that was told so often, over half a minute, and is not in the ledger will not be:
the comparison of positions has the last word."""
NEW_GRID_RETRY_S_MAX: Final = 5.0

_log = structlog.get_logger(__name__)


class Reconciler:
    """Compares one account.

    Args:
        account: The account.
        symbols: Markets whose position is told in any case.
        feed: The exchange's side.
        positions: The ledger's side.
        bus: Carries the positions.
        teller: Carries the order updates.
        health: What the comparisons bear out.
        clock: Tells the time.
        metrics: Where everything is counted.
        config: How often to compare.
    """

    def __init__(
        self,
        account: str,
        symbols: tuple[str, ...],
        *,
        feed: AccountFeed,
        positions: PositionManager,
        bus: EventBus,
        teller: Teller,
        health: StreamHealth,
        clock: Clock,
        metrics: Metrics,
        config: MonitorConfig,
    ) -> None:
        self._account = account
        self._symbols = symbols
        self._feed = feed
        self._positions = positions
        self._bus = bus
        self._teller = teller
        self._health = health
        self._clock = clock
        self._config = config
        self._comparison = Comparison(
            account,
            feed=feed,
            positions=positions,
            clock=clock,
            horizon_ns=int(config.horizon_days * 24 * 3600 * 1e9),
        )
        self._checks = PositionChecks(
            account,
            feed=feed,
            positions=positions,
            bus=bus,
            clock=clock,
            metrics=metrics,
            bound=config.position_difference_max,
        )
        self._forgotten = ForgottenOrders(
            account, clock=clock, after_ns=int(config.remembered_hours * 3600 * 1e9)
        )
        self._run_id = clock.now_ns()
        self._comparisons = 0
        self._patience = PATIENCE
        self._met: set[GridIdentity] = set()
        """The grids that were new at the last comparison."""
        self.due = asyncio.Event()
        """Set to have a comparison made at once."""
        self._outcomes = metrics.counter(
            "order_comparisons", "Comparisons of ledger and exchange", ["outcome"]
        )
        self._missed = metrics.counter(
            "order_events_missed", "News that the stream should have told, found by comparing"
        )
        self._missing = metrics.gauge(
            "orders_missing", "Orders open in the ledger that the exchange does not have"
        )
        self._orderless = metrics.gauge(
            "executions_without_order", "Executions whose order the exchange does not show"
        )
        self._confirmed = metrics.counter(
            "grids_confirmed", "Grids that were found whole and may trade"
        )

    async def run(self) -> None:
        """Compare for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._compare_for_ever())
            group.create_task(self._look_for_new_grids())

    async def _look_for_new_grids(self) -> None:
        """Have a grid compared as soon as it is registered, and until it is whole."""
        seen: set[GridIdentity] = set()
        delay_s = self._config.new_grid_interval_s
        while True:
            await asyncio.sleep(delay_s)
            try:
                grids = await self._positions.grids()
            except DependencyError:
                continue
            new = {
                grid.identity
                for grid in grids
                if grid.identity.account == self._account and grid.standing is Standing.RECONCILING
            }
            if new - seen:
                delay_s = self._config.new_grid_interval_s
            elif new:
                delay_s = min(delay_s * 2, NEW_GRID_RETRY_S_MAX)
            else:
                delay_s = self._config.new_grid_interval_s
            seen = new
            if new:
                self.due.set()

    async def _compare_for_ever(self) -> None:
        delay_s = RETRY_S_MIN
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_s()):
                    await self.due.wait()
            self.due.clear()
            epoch = self._health.epoch
            try:
                await self._compare()
            except DependencyError as error:
                self._outcomes.labels("no answer").inc()
                _log.warning("comparison_failed", account=self._account, error=str(error))
                if not self._health.compared:
                    self._health.reason = (
                        f"the ledger and the exchange cannot be compared: {error}"[:200]
                    )
                    self.due.set()
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * 2, RETRY_S_MAX)
                continue
            delay_s = RETRY_S_MIN
            self._outcomes.labels("done").inc()
            if self._health.is_compared(epoch):
                _log.info("order_stream_verified", account=self._account, epoch=epoch)

    def _interval_s(self) -> float:
        interval_s = self._config.recheck_interval_s
        return min(interval_s, SIGHTING_INTERVAL_S) if self._checks.suspicious else interval_s

    async def _compare(self) -> None:
        """Compare once, and have everything stored that the ledger does not know.

        Raises:
            DependencyError: The ledger or the exchange does not answer.
        """
        self._comparisons += 1
        trusted = self._health.compared
        findings = await self._comparison.run()
        self._meet(findings)
        self._missing.set(len(findings.missing))
        self._orderless.set(findings.orderless)
        for order in findings.missing:
            _log.warning(
                "order_missing_on_exchange", client_oid=order.client_oid, status=order.status
            )
        await self._tell_forgotten(findings)
        missed = await self._tell(findings, trusted=trusted)
        waits = trusted and not findings.whole
        if findings.orderless and not waits and self._patience:
            self._patience -= 1
            raise DependencyError("the exchange shows executions, and not yet their orders")
        self._patience = PATIENCE
        await self._confirm(findings)
        for symbol in sorted({*self._symbols, *findings.symbols}):
            await self._check_position(symbol, findings)
        if trusted and missed:
            self._missed.inc(missed)
            _log.warning("order_events_missed", account=self._account, count=missed)
            self._health.renew()

    def _meet(self, findings: Findings) -> None:
        """A grid that is new knows nothing of what was told to the ledger before its own."""
        new = {grid.identity for grid in findings.grids if is_new(grid)}
        for symbol in {identity.symbol for identity in new - self._met}:
            self._teller.told.lapse(symbol)
        self._met = new

    async def _tell(self, findings: Findings, *, trusted: bool) -> int:
        """Store what the ledger does not know; how much of it the stream should have told."""
        missed = 0
        told = self._teller.told
        grace_ns = int(self._config.news_grace_s * 1e9)
        repeat_ns = REPEAT_NEW_NS if findings.reconciling else REPEAT_NS
        for update in findings.updates:
            now_ns = self._clock.now_ns()
            told_ns = told.when(update)
            times = told.times(update)
            doublings = min(times - 1, DOUBLINGS_MAX)
            if times and told_ns is not None and now_ns - told_ns < repeat_ns << doublings:
                self._comparison.was_told(update)
                continue  # stored; the ledger is about to learn of it
            # What is dated in the future is not fresh for ever.
            fresh = abs(now_ns - update.exchange_time_ns) < grace_ns
            if trusted and fresh and told_ns is None:
                continue  # the stream is about to tell
            missed += told_ns is None and update.exchange_time_ns >= self._health.connected_ns
            repetition = f":look-up {self._run_id}-{self._comparisons}"
            await self._teller.tell(update, repetition=repetition)
            self._comparison.was_told(update)
        return missed

    async def _tell_forgotten(self, findings: Findings) -> None:
        """Have orders end of which the exchange has forgotten that they did."""
        for update in self._forgotten.look(findings.missing):
            _log.warning("order_forgotten_by_exchange", client_oid=update.client_oid)
            repetition = f":forgotten {self._run_id}-{self._comparisons}"
            await self._teller.tell(update, repetition=repetition)

    async def _confirm(self, findings: Findings) -> None:
        """Let new grids trade of which the ledger has everything that the exchange has."""
        told = self._teller.told
        for identity in findings.whole:
            forced = (
                update
                for update in findings.updates
                if update.symbol == identity.symbol and update.forced is not Forced.NONE
            )
            if any(told.times(update) < FORCED_TELLINGS for update in forced):
                continue
            try:
                await self._positions.confirm_grid(identity.bot_id, epoch=identity.epoch)
            except Refusal as refusal:  # registered anew since: its turn comes again
                _log.warning("grid_not_confirmed", bot=identity.bot_id, reason=str(refusal))
                continue
            self._confirmed.inc()
            _log.info("grid_confirmed", bot=identity.bot_id, epoch=identity.epoch)

    async def _check_position(self, symbol: str, findings: Findings) -> None:
        position = await self._checks.check(
            symbol,
            tuple(grid for grid in findings.grids if grid.identity.symbol == symbol),
            settled=not any(
                update.symbol == symbol and self._comparison.is_ours(update)
                for update in findings.updates
            ),
        )
        now_ns = self._clock.now_ns()
        update = PositionUpdate(
            account=self._account,
            position=position,
            cause="LOOK_UP",
            wallet_balance=None,
            balance_change=None,
            exchange_time_ns=now_ns,
            receive_time_ns=now_ns,
        )
        await self._bus.publish(POSITIONS, self._account, update)

"""`PositionChecks`: the exchange's positions beside what the ledger's slots hold.

Fills on their way make the two differ for a moment, so a difference counts only when it is the same
in several comparisons, each a while after the one before, in which nothing was on its way: the
comparison found nothing that the ledger lacks, and the ledger's position stayed as it was while the
exchange was asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import structlog

from opensqt.core.events import Position, PositionCheck
from opensqt.core.grid.book import GridBook, GridIdentity, Standing
from opensqt.core.numbers import ZERO, plain
from opensqt.ports import POSITION_CHECKS, AccountFeed, Clock, EventBus, PositionManager
from opensqt.runtime.metrics import Metrics

SIGHTINGS: Final = 3
"""A difference that was seen so often is a divergence."""
SIGHTING_INTERVAL_S: Final = 2.0
"""Sightings closer to each other count once."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    """A difference, how often in a row it was seen, and when last."""

    difference: Decimal
    times: int
    time_ns: int


class PositionChecks:
    """Checks the positions of one account.

    Args:
        account: The account.
        feed: The exchange's side.
        positions: The ledger's side.
        bus: Carries the checks.
        clock: Tells the time.
        metrics: Where differences are shown.
        bound: The largest difference that is tolerated, in base.
    """

    def __init__(
        self,
        account: str,
        *,
        feed: AccountFeed,
        positions: PositionManager,
        bus: EventBus,
        clock: Clock,
        metrics: Metrics,
        bound: Decimal,
    ) -> None:
        self._account = account
        self._feed = feed
        self._positions = positions
        self._bus = bus
        self._clock = clock
        self._bound = bound
        self._sightings: dict[str, _Sighting] = {}
        self._books: dict[GridIdentity, GridBook] = {}
        self._difference = metrics.gauge(
            "position_difference", "The exchange's position minus the ledger's, in base", ["symbol"]
        )

    async def check(self, symbol: str, grids: Sequence[GridBook], *, settled: bool) -> Position:
        """Compare the position of a market, and publish the outcome.

        Args:
            symbol: The market.
            grids: The grids on it, without slots.
            settled: The comparison before found nothing that the ledger lacks.

        Returns:
            The exchange's position.

        Raises:
            DependencyError: The ledger or the exchange does not answer.
        """
        before = await self._held(grids)
        position = await self._feed.position(symbol)
        if not grids:
            return position
        held = await self._held(await self._again(grids))
        new = any(grid.standing is Standing.RECONCILING for grid in grids)
        check = PositionCheck(
            account=self._account,
            symbol=symbol,
            exchange_quantity=position.quantity,
            ledger_quantity=held,
            bound=self._bound,
            diverging=False,
            check_time_ns=self._clock.now_ns(),
        )
        steady = settled and held == before and not new
        check = self._judged(check, steady=steady)
        self._difference.labels(symbol).set(float(check.difference))
        await self._bus.publish(POSITION_CHECKS, f"{self._account}:{symbol}", check)
        return position

    @property
    def suspicious(self) -> bool:
        """Some difference must be looked at again soon, to tell whether it stays."""
        return any(
            abs(seen.difference) > self._bound and seen.times < SIGHTINGS
            for seen in self._sightings.values()
        )

    def _judged(self, check: PositionCheck, *, steady: bool) -> PositionCheck:
        before = self._sightings.get(check.symbol)
        now = _Sighting(difference=check.difference, times=1, time_ns=check.check_time_ns)
        if before is not None and before.difference == check.difference:
            waited = check.check_time_ns - before.time_ns >= SIGHTING_INTERVAL_S * 1e9
            now = replace(now, times=before.times + 1) if steady and waited else before
        elif not steady:
            # Something is on its way: what was seen before neither stands nor falls by that.
            return check
        self._sightings[check.symbol] = now
        diverging = now.times >= SIGHTINGS and abs(check.difference) > self._bound
        if diverging and now.times == SIGHTINGS and now is not before:
            _log.error(
                "position_diverges",
                account=check.account,
                symbol=check.symbol,
                exchange=plain(check.exchange_quantity),
                ledger=plain(check.ledger_quantity),
                bound=plain(check.bound),
            )
        return replace(check, diverging=diverging)

    async def _again(self, grids: Sequence[GridBook]) -> tuple[GridBook, ...]:
        wanted = {grid.identity.bot_id for grid in grids}
        return tuple(
            grid for grid in await self._positions.grids() if grid.identity.bot_id in wanted
        )

    async def _held(self, grids: Sequence[GridBook]) -> Decimal:
        """What the slots of grids hold together; a book is read again only when it has changed."""
        held = ZERO
        for grid in grids:
            book = self._books.get(grid.identity)
            if book is None or book.revision != grid.revision:
                book = await self._positions.grid(grid.identity.bot_id)
                self._books[grid.identity] = book
            held += book.position
        return held

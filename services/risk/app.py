"""The risk service's composition root: one account's gate, announced to everyone who trades.

The gate beats every second and at every change. A beat is the permission to add exposure, so while
the gate's history is not read there is none, and whoever trades holds still.
"""

import asyncio
from typing import Final

import structlog

from opensqt.core.errors import Refusal
from opensqt.core.events import Gate, GateBeat, PositionCheck
from opensqt.core.numbers import plain
from opensqt.core.risk.gate import BEAT_INTERVAL_NS
from opensqt.ports import GATE, POSITION_CHECKS, Clock, DependencyError, EventBus, GateStore
from opensqt.runtime.metrics import Metrics
from services.risk.keeper import GateKeeper
from services.risk.position_watch import BY, PositionWatch, reason, request_id

BEAT_INTERVAL_S: Final = BEAT_INTERVAL_NS / 1e9

LISTEN_FIRST_S: Final = 0.05
"""Time at a start to hear the last beat on the bus before sending our own over it."""

SAVE_WAIT_S: Final = 2.0
"""How long the answer to a trip waits for the store; the trip itself does not wait."""

RETRY_S: Final = 0.5
"""Pause between two attempts to reach the store or the bus."""

_log = structlog.get_logger(__name__)


class RiskApp:
    """Holds and announces the gate of one account.

    Args:
        account: Whose gate it is; the key of its beats.
        store: Keeps the gate across restarts.
        bus: Carries the beats.
        clock: Tells the time.
        metrics: Where beats and changes are counted.
    """

    def __init__(
        self, *, account: str, store: GateStore, bus: EventBus, clock: Clock, metrics: Metrics
    ) -> None:
        self._account = account
        self._bus = bus
        self._clock = clock
        self._keeper = GateKeeper(account=account, store=store, clock=clock)
        self._positions = PositionWatch()
        self._listening = asyncio.Event()
        self._loaded = asyncio.Event()
        self._beats = metrics.counter("gate_beats", "Beats that were sent, by outcome.", ("sent",))
        self._requests = metrics.counter(
            "gate_requests", "Requests to change the gate that were accepted.", ("action",)
        )
        self._divergences = metrics.counter(
            "position_divergences", "Times that positions closed the gate.", ("symbol",)
        )
        metrics.gauge("gate_open", "1 while the gate lets exposure through.").set_function(
            lambda: float(self._keeper.gate.open)
        )
        metrics.gauge("gate_revision", "Revision of the gate.").set_function(
            lambda: float(self._keeper.gate.revision)
        )
        metrics.gauge("gate_unsaved", "Changes that wait for the store.").set_function(
            lambda: float(self._keeper.unsaved)
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Read the gate, then beat until `stop` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._listen(), name="gate-listen"),
                group.create_task(self._beat(), name="gate-beat"),
                group.create_task(self._save(), name="gate-save"),
                group.create_task(self._watch_positions(), name="positions"),
            ]
            await stop.wait()
            for task in tasks:
                task.cancel()

    def gate(self) -> Gate:
        """The gate now.

        Raises:
            DependencyError: Its history could not be read yet.
        """
        if not self._keeper.loaded:
            raise DependencyError(self._keeper.gate.reason)
        return self._keeper.gate

    async def trip(self, *, request_id: str, reason: str, by: str) -> Gate:
        """Close the gate: in effect and announced before anything else is waited for.

        Args:
            request_id: Repeating a request with the same id gives the same answer.
            reason: Why, for people.
            by: Who asks.

        Raises:
            Refusal: The request is malformed, or its id was used for another request.
        """
        gate = self._keeper.trip(request_id=request_id, reason=reason, by=by)
        self._requests.labels("trip").inc()
        _log.warning("gate_tripped", revision=gate.revision, reason=reason, by=by)
        try:
            async with asyncio.timeout(SAVE_WAIT_S):
                await self._keeper.save()
        except (DependencyError, TimeoutError) as error:
            _log.error("gate_not_stored_yet", revision=gate.revision, problem=repr(error))
        return gate

    async def reset(self, *, request_id: str, expected_revision: int, by: str) -> Gate:
        """Open the gate.

        Args:
            request_id: Repeating a request with the same id gives the same answer.
            expected_revision: The gate that the caller has seen.
            by: Who asks.

        Raises:
            Refusal: GATE_REVISION when the gate has changed since; the request is malformed, or
                its id was used for another request.
            DependencyError: The store does not answer; the gate stays closed here.
        """
        gate = await self._keeper.reset(
            request_id=request_id, expected_revision=expected_revision, by=by
        )
        self._requests.labels("reset").inc()
        _log.warning("gate_reset", revision=gate.revision, by=by)
        return gate

    async def _beat(self) -> None:
        await self._load()
        await self._listening.wait()
        await asyncio.sleep(LISTEN_FIRST_S)
        while True:
            self._keeper.changed.clear()
            await self._send(self._keeper.gate)
            try:
                async with asyncio.timeout(BEAT_INTERVAL_S):
                    await self._keeper.changed.wait()
            except TimeoutError:
                continue

    async def _send(self, gate: Gate) -> None:
        beat = GateBeat(gate=gate, beat_time_ns=self._clock.now_ns())
        try:
            async with asyncio.timeout(BEAT_INTERVAL_S):
                await self._bus.publish(GATE, self._account, beat)
        except (DependencyError, TimeoutError) as error:
            self._beats.labels("no").inc()
            _log.error("beat_not_sent", revision=gate.revision, problem=repr(error))
        else:
            self._beats.labels("yes").inc()

    async def _load(self) -> None:
        while True:
            try:
                await self._keeper.load()
            except DependencyError as error:
                _log.warning("gate_not_loaded_yet", problem=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                gate = self._keeper.gate
                _log.info("gate_loaded", revision=gate.revision, open=gate.open, reason=gate.reason)
                self._positions.recall(self._keeper.requests)
                self._loaded.set()
                return

    async def _save(self) -> None:
        """Store what a request could not wait for."""
        while True:
            await self._keeper.save_due.wait()
            try:
                await self._keeper.save()
            except DependencyError:
                await asyncio.sleep(RETRY_S)
            else:
                if self._keeper.unsaved:  # not before the history is read
                    await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        """Hear what this process announced before it crashed, or another one announces."""
        while True:
            try:
                async with self._bus.subscribe(GATE, self._account) as beats:
                    self._listening.set()
                    async for received in beats:
                        await self._hear(received.event)
            except DependencyError as error:
                _log.warning("bus_not_heard", problem=str(error))
            await asyncio.sleep(RETRY_S)

    async def _hear(self, beat: GateBeat) -> None:
        before = self._keeper.gate
        try:
            await self._keeper.hear(beat.gate)
        except DependencyError as error:
            _log.warning("beat_ahead_of_store", heard=beat.gate.revision, problem=str(error))
        after = self._keeper.gate
        if after is not before:
            _log.warning("gate_adopted", revision=after.revision, open=after.open)

    async def _watch_positions(self) -> None:
        """Close the gate when the exchange holds something else than the ledger."""
        await self._loaded.wait()
        while True:
            try:
                async with self._bus.subscribe(POSITION_CHECKS) as checks:
                    async for received in checks:
                        if received.event.account == self._account:
                            await self._judge(received.event)
            except DependencyError as error:
                _log.warning("bus_not_heard", problem=str(error))
            await asyncio.sleep(RETRY_S)

    async def _judge(self, check: PositionCheck) -> None:
        if not self._positions.is_news(check):
            return
        _log.error(
            "position_diverges",
            symbol=check.symbol,
            exchange=plain(check.exchange_quantity),
            ledger=plain(check.ledger_quantity),
            bound=plain(check.bound),
        )
        try:
            await self.trip(request_id=request_id(check), reason=reason(check), by=BY)
        except Refusal as refusal:  # too many trips wait for the store: they keep the gate closed
            _log.error("gate_not_tripped", problem=str(refusal))
            return
        self._positions.closed_for(check)
        self._divergences.labels(check.symbol).inc()

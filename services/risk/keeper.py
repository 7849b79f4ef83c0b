"""`GateKeeper`: the gate of one account in memory, and its way into the store.

A trip never waits for the store: it takes effect here at once and is stored as soon as the store
answers. Opening is the other way round: first the store, then here. So whatever is lost in a
crash, it is never a closed gate that was known to be closed while the store could be reached.
"""

import asyncio
from collections import deque
from typing import Final

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Gate
from opensqt.core.risk.gate_log import (
    NOT_LOADED,
    GateAction,
    GateChange,
    adopted,
    check_revision,
    created,
    rebased,
    repeated,
    reset,
    tripped,
)
from opensqt.ports import Clock, DependencyError, GateStore

REQUESTS_KEPT: Final = 1000
"""Requests that are recognised when they are repeated, the latest ones."""

UNSAVED_MAX: Final = 100
"""Changes that may wait for the store."""


class GateKeeper:
    """Holds one account's gate.

    Args:
        account: Whose gate it is.
        store: Keeps its history.
        clock: Tells when it changes.
    """

    def __init__(self, *, account: str, store: GateStore, clock: Clock) -> None:
        self._account = account
        self._store = store
        self._clock = clock
        self._gate = NOT_LOADED
        self._loaded = False
        self._heard_early: Gate | None = None
        self._in_doubt = False
        self._answered: dict[str, GateChange] = {}
        self._unsaved: deque[GateChange] = deque()
        self._storing = asyncio.Lock()
        self.changed = asyncio.Event()
        """Set at every change of the gate; whoever announces it clears it."""
        self.save_due = asyncio.Event()
        """Set while changes wait for the store."""

    @property
    def gate(self) -> Gate:
        """The gate now; closed as long as its history is not read."""
        return self._gate

    @property
    def loaded(self) -> bool:
        """Whether the gate's history was read."""
        return self._loaded

    @property
    def unsaved(self) -> int:
        """Changes that are in effect and not stored yet."""
        return len(self._unsaved)

    @property
    def requests(self) -> tuple[str, ...]:
        """Ids of the requests that changed the gate, oldest first, as far as they are kept."""
        return tuple(self._answered)

    async def load(self) -> None:
        """Read the gate's history, or begin it.

        Raises:
            DependencyError: The store does not answer.
        """
        async with self._storing:
            await self._read_history()
            if self._gate.revision == 0:
                first = created(self._clock.now_ns())
                if await self._store.append(self._account, first):
                    self._take(first)
                else:  # another process was first
                    await self._read_history()
            self._loaded = True
        if self._heard_early is not None:
            await self.hear(self._heard_early)

    def trip(self, *, request_id: str, reason: str, by: str) -> Gate:
        """Close the gate, at once and in memory; `save` stores it.

        Raises:
            Refusal: The request is malformed, or its id was used for another request; OVERLOADED
                when too many trips wait for the store (the gate is closed by them).
        """
        change = tripped(
            self._gate,
            request_id=request_id,
            reason=reason,
            by=by,
            now_ns=self._clock.now_ns(),
        )
        if known := self._answered.get(request_id):
            return repeated(known, action=GateAction.TRIPPED, argument=change.argument)
        if len(self._unsaved) >= UNSAVED_MAX:
            raise Refusal(
                RefusalReason.OVERLOADED,
                allowed="the gate is closed; more reasons once the store answers again",
            )
        self._put(change)
        return change.gate

    async def reset(self, *, request_id: str, expected_revision: int, by: str) -> Gate:
        """Open the gate, once that is stored.

        Raises:
            Refusal: GATE_REVISION when the gate is not the one that the caller has seen; the
                request is malformed, or its id was used for another request.
            DependencyError: The store does not answer.
        """
        await self.save()
        async with self._storing:
            if self._in_doubt:
                await self._read_history()
            if known := self._answered.get(request_id):
                return repeated(known, action=GateAction.RESET, argument=str(expected_revision))
            if not self._loaded:
                raise DependencyError("the gate's history could not be read yet")
            change = reset(
                self._gate,
                request_id=request_id,
                expected_revision=expected_revision,
                by=by,
                now_ns=self._clock.now_ns(),
            )
            self._in_doubt = True
            stored = await self._store.append(self._account, change)
            self._in_doubt = False
            if stored and self._gate.revision == expected_revision:
                self._take(change)
                return change.gate
            # Tripped here while the store worked, or changed there by another process: closed wins.
            await self._read_history()
            self._answered.pop(request_id, None)
        check_revision(self._gate, expected_revision)
        raise Refusal(
            RefusalReason.GATE_REVISION, field="expected_revision", value=expected_revision
        )

    async def hear(self, heard: Gate) -> None:
        """Take notice of a gate that was announced on the bus, by us or by another process.

        Raises:
            DependencyError: It is ahead of ours, and the store does not answer.
        """
        if not self._loaded:
            self._heard_early = heard
            return
        change = adopted(self._gate, heard)
        if change is None:
            return
        if change.gate.open is self._gate.open:
            # Another process may have stored what it announced; only what it did not is ours to do.
            async with self._storing:
                await self._read_history()
            change = adopted(self._gate, heard)
            if change is None:
                return
        self._put(change)

    async def save(self) -> None:
        """Store every change that waits for it.

        Raises:
            DependencyError: The store does not answer; the changes go on waiting.
        """
        async with self._storing:
            while self._unsaved and self._loaded:
                if await self._store.append(self._account, self._unsaved[0]):
                    self._unsaved.popleft()
                else:
                    await self._read_history()
            if not self._unsaved:
                self.save_due.clear()

    async def _read_history(self) -> None:
        """Take what is stored, and put what is not stored yet on top of it."""
        history = await self._store.history(self._account, REQUESTS_KEPT)
        self._in_doubt = False
        for change in history:
            self._remember(change)
        waiting = [change for change in self._unsaved if _still_due(change, history)]
        self._unsaved.clear()
        revision = history[-1].gate.revision if history else 0
        gate = history[-1].gate if history else NOT_LOADED
        for change in waiting:
            moved = rebased(change, revision)
            self._unsaved.append(moved)
            self._remember(moved)
            revision, gate = moved.gate.revision, moved.gate
        if gate.revision >= self._gate.revision and gate != self._gate:
            self._gate = gate
            self.changed.set()

    def _put(self, change: GateChange) -> None:
        self._unsaved.append(change)
        self.save_due.set()
        self._take(change)

    def _take(self, change: GateChange) -> None:
        self._gate = change.gate
        self._remember(change)
        self.changed.set()

    def _remember(self, change: GateChange) -> None:
        if not change.request_id:
            return
        self._answered[change.request_id] = change
        while len(self._answered) > REQUESTS_KEPT:
            del self._answered[next(iter(self._answered))]


def _still_due(change: GateChange, history: tuple[GateChange, ...]) -> bool:
    """Tell whether a change that waits for the store is still to be stored.

    Not one that is there already, its answer having been lost; and not a new number for an open
    gate, which decides nothing and must not go on top of what somebody else decided.
    """
    renumbered = change.action is GateAction.ADOPTED and change.gate.open
    if renumbered or any(c.gate == change.gate for c in history):
        return False
    return not change.request_id or all(c.request_id != change.request_id for c in history)

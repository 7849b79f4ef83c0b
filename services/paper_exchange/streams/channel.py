"""Between the exchange and the hub: the faults of a stream.

Without faults an event goes straight through. With them the events wait in a line: a delayed event
holds up those behind it, since one connection keeps its order; a reordered one lets exactly one
event pass, or goes on alone after a moment when none comes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from services.paper_exchange.faults import EventFault, FaultInjector, StreamFaults
from services.paper_exchange.streams.hub import Hub

REORDER_WAIT_S: Final = 0.2


class Channel:
    """One stream kind (market or user) with its faults."""

    def __init__(
        self, hub: Hub, injector: FaultInjector, faults: Callable[[], StreamFaults]
    ) -> None:
        self._hub = hub
        self._injector = injector
        self._faults = faults
        self._line: deque[tuple[float, str, Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._held: tuple[str, Any] | None = None
        self._held_timer: asyncio.TimerHandle | None = None

    def publish(self, stream: str, event: Any) -> None:
        """Send an event, if nothing goes wrong."""
        faults = self._faults()
        fault = self._injector.event(faults) if faults.any else EventFault.NONE
        if fault is EventFault.DROP:
            return
        if fault is EventFault.REORDER and self._held is None:
            self._held = (stream, event)
            loop = asyncio.get_running_loop()
            self._held_timer = loop.call_later(REORDER_WAIT_S, self._release)
            return
        delay_s = self._injector.delay_s(faults) if fault is EventFault.DELAY else 0.0
        self._enter(stream, event, delay_s)
        if fault is EventFault.DUPLICATE:
            self._enter(stream, event, 0.0)
        self._release()

    def _release(self) -> None:
        if self._held is None:
            return
        if self._held_timer is not None:
            self._held_timer.cancel()
        (stream, event), self._held = self._held, None
        self._enter(stream, event, 0.0)

    def _enter(self, stream: str, event: Any, delay_s: float) -> None:
        if not self._line and not delay_s:
            self._hub.publish(stream, event)
            return
        loop = asyncio.get_running_loop()
        last = self._line[-1][0] if self._line else 0.0
        self._line.append((max(last, loop.time() + delay_s), stream, event))
        if self._timer is None:
            self._timer = loop.call_at(self._line[0][0], self._pump)

    def _pump(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        while self._line and self._line[0][0] <= now:
            _, stream, event = self._line.popleft()
            self._hub.publish(stream, event)
        if self._line:
            self._timer = loop.call_at(self._line[0][0], self._pump)

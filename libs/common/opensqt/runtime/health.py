"""Readiness: the sum of the pings of everything that a service depends on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

_log = structlog.get_logger(__name__)

Ping = Callable[[], Awaitable[object]]
"""Returns when the dependency answers, raises when it does not."""

Listener = Callable[[], Awaitable[None]]
"""Called when `Readiness.ready` has changed."""


class Readiness:
    """Pings the dependencies and tells the listeners when the answer changes.

    Not ready until the first check has passed, and never again once drained.

    Args:
        interval_s: Time between two checks.
        timeout_s: Longest that a ping may take.
    """

    def __init__(self, *, interval_s: float = 2.0, timeout_s: float = 1.5) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._pings: dict[str, Ping] = {}
        self._listeners: list[Listener] = []
        self._problems: Mapping[str, str] = {"start": "not checked yet"}
        self._draining = False

    @property
    def ready(self) -> bool:
        """Whether every dependency answered at the last check."""
        return not self.problems

    @property
    def problems(self) -> Mapping[str, str]:
        """What is wrong, by the name of the dependency; empty when ready."""
        return {"process": "draining"} if self._draining else self._problems

    def add(self, name: str, ping: Ping) -> None:
        """Depend on something; replaces a ping of the same name."""
        self._pings[name] = ping

    async def listen(self, listener: Listener) -> None:
        """Call `listener` now and whenever readiness changes."""
        self._listeners.append(listener)
        await listener()

    async def check(self) -> bool:
        """Ping everything once, all at a time."""
        names = list(self._pings)
        results = await asyncio.gather(*(self._ping(name) for name in names))
        before = self.ready
        problems = {name: why for name, why in zip(names, results, strict=True) if why}
        if problems != self._problems:
            report = _log.warning if problems else _log.info
            report("readiness_changed", problems=problems)
        self._problems = problems
        await self._tell(before=before)
        return self.ready

    async def watch(self) -> None:
        """Check for ever; run it as a background task."""
        while True:
            await self.check()
            await asyncio.sleep(self._interval_s)

    async def drain(self) -> None:
        """Be not ready from now on: the process is about to stop."""
        before = self.ready
        self._draining = True
        await self._tell(before=before)

    async def _ping(self, name: str) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._pings[name]()
        except TimeoutError:
            return f"no answer within {self._timeout_s} s"
        except Exception as error:  # whatever a dependency raises says that it is not there
            return f"{type(error).__name__}: {error}"[:200]
        return ""

    async def _tell(self, *, before: bool) -> None:
        if self.ready != before:
            for listener in self._listeners:
                await listener()

"""A gate's history in memory: outlives the service's objects, and can be made unreachable."""

from collections import defaultdict

from opensqt.core.risk.gate_log import GateChange
from opensqt.ports import DependencyError


class MemoryGateStore:
    """A `GateStore` for tests and the simulation."""

    def __init__(self) -> None:
        self.changes: defaultdict[str, list[GateChange]] = defaultdict(list)
        self.answers = True
        """Set to False, every call fails before anything is written."""
        self.answer_lost = False
        """Set to True, changes are committed and their answers are lost."""

    async def history(self, account: str, limit: int) -> tuple[GateChange, ...]:
        """The latest changes, oldest first."""
        self._reach()
        return tuple(self.changes[account][-limit:])

    async def append(self, account: str, change: GateChange) -> bool:
        """Commit a change if its revision is the next."""
        self._reach()
        known = self.changes[account]
        committed = change in known
        if not committed and _is_next(change, known):
            known.append(change)
            committed = True
        if self.answer_lost:
            raise DependencyError("the answer was lost")
        return committed

    async def ping(self) -> None:
        """Answer."""
        self._reach()

    def _reach(self) -> None:
        if not self.answers:
            raise DependencyError("the store was told not to answer")


def _is_next(change: GateChange, known: list[GateChange]) -> bool:
    if change.request_id and any(c.request_id == change.request_id for c in known):
        return False
    return not known or known[-1].gate.revision < change.gate.revision

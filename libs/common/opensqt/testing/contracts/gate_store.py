"""What every store of the gate's history must do; a test module inherits the class."""

from abc import ABC, abstractmethod
from dataclasses import replace

from opensqt.core.risk.gate_log import GateChange, created, reset, tripped
from opensqt.ports import GateStore

NOW_NS = 1_723_075_200_123_456_789
ACCOUNT, OTHER = "paper", "live"


def three_changes() -> tuple[GateChange, ...]:
    """Created, tripped, reset."""
    first = created(NOW_NS)
    second = tripped(first.gate, request_id="a", reason="it's news", by="cli", now_ns=NOW_NS + 1)
    third = reset(second.gate, request_id="b", expected_revision=2, by="cli", now_ns=NOW_NS + 2)
    return first, second, third


class GateStoreContract(ABC):
    """The contract of `ports.GateStore`."""

    @abstractmethod
    def store(self) -> GateStore:
        """A fixture: a store without any history."""

    async def test_a_gate_without_history_has_none(self, store: GateStore) -> None:
        """There is no default gate."""
        assert await store.history(ACCOUNT, 10) == ()
        await store.ping()

    async def test_what_is_appended_comes_back_in_order(self, store: GateStore) -> None:
        """Oldest first, exactly as it was."""
        changes = three_changes()
        for change in changes:
            assert await store.append(ACCOUNT, change)
        assert await store.history(ACCOUNT, 10) == changes
        assert await store.history(ACCOUNT, 2) == changes[1:]

    async def test_accounts_are_kept_apart(self, store: GateStore) -> None:
        """One account's history says nothing of another's."""
        first, *_ = three_changes()
        assert await store.append(ACCOUNT, first)
        assert await store.history(OTHER, 10) == ()
        assert await store.append(OTHER, first)

    async def test_repeating_a_change_changes_nothing(self, store: GateStore) -> None:
        """It is committed, whoever asks again."""
        changes = three_changes()
        for change in (*changes, *changes):
            assert await store.append(ACCOUNT, change)
        assert await store.history(ACCOUNT, 10) == changes

    async def test_only_the_next_change_is_taken(self, store: GateStore) -> None:
        """One that was overtaken is not, and nothing is ever rewritten."""
        first, second, third = three_changes()
        for change in (first, second):
            assert await store.append(ACCOUNT, change)
        other = replace(second, gate=replace(second.gate, reason="other"), request_id="c")
        assert not await store.append(ACCOUNT, other)
        assert await store.append(ACCOUNT, third)
        assert not await store.append(ACCOUNT, other)
        assert await store.history(ACCOUNT, 10) == (first, second, third)

    async def test_revisions_may_jump(self, store: GateStore) -> None:
        """A revision that was announced on the bus and never stored is passed over."""
        first, second, _ = three_changes()
        ahead = replace(second, gate=replace(second.gate, revision=9))
        assert await store.append(ACCOUNT, first)
        assert await store.append(ACCOUNT, ahead)
        assert not await store.append(ACCOUNT, second)
        assert await store.history(ACCOUNT, 10) == (first, ahead)

    async def test_a_request_is_carried_out_once(self, store: GateStore) -> None:
        """Also when two processes carry it out."""
        first, second, _ = three_changes()
        for change in (first, second):
            assert await store.append(ACCOUNT, change)
        again = replace(second, gate=replace(second.gate, revision=3))
        assert not await store.append(ACCOUNT, again)

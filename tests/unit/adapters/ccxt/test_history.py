"""Whole histories, whichever rows of a window the exchange prefers when there are too many."""

import pytest

from opensqt.adapters.ccxt.history import ROWS_MAX, SPAN_MS, whole_history
from opensqt.adapters.ccxt.payloads import Payload
from opensqt.ports import DependencyError

DAY_MS = 24 * 3600 * 1000


class Archive:
    """Answers like Binance; `latest` says which rows of a window that is too full it shows."""

    def __init__(self, times_ms: list[int], *, latest: bool) -> None:
        self.rows = [{"id": number, "time": time} for number, time in enumerate(sorted(times_ms))]
        self.latest = latest
        self.asked: list[tuple[int, int]] = []

    async def ask(self, start_ms: int, end_ms: int) -> list[Payload]:
        assert 0 <= end_ms - start_ms < 7 * DAY_MS
        self.asked.append((start_ms, end_ms))
        found: list[Payload] = [row for row in self.rows if start_ms <= row["time"] <= end_ms]
        return found[-ROWS_MAX:] if self.latest else found[:ROWS_MAX]


@pytest.mark.parametrize("latest", [True, False])
@pytest.mark.parametrize("count", [0, 1, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 7 * ROWS_MAX])
async def test_nothing_is_left_out(count: int, *, latest: bool) -> None:
    until = 30 * DAY_MS
    archive = Archive([until * n // max(count, 1) for n in range(count)], latest=latest)
    found = await whole_history(archive.ask, since_ms=0, until_ms=until, key="id")
    assert [row["id"] for row in found] == list(range(count))
    assert len(archive.asked) <= 5 + 4 * count // ROWS_MAX


async def test_a_burst_within_a_second_is_taken_apart() -> None:
    archive = Archive([DAY_MS + n // 4 for n in range(5 * ROWS_MAX)], latest=True)
    found = await whole_history(archive.ask, since_ms=0, until_ms=2 * DAY_MS, key="id")
    assert len(found) == 5 * ROWS_MAX


async def test_windows_meet_and_do_not_overlap() -> None:
    edges = [n * (SPAN_MS + 1) + d for n in range(1, 4) for d in (-1, 0)]
    archive = Archive(edges, latest=False)
    found = await whole_history(archive.ask, since_ms=0, until_ms=30 * DAY_MS, key="id")
    assert len(found) == len(edges)
    assert sorted(archive.asked) == archive.asked


async def test_more_than_fits_a_millisecond_is_not_guessed_at() -> None:
    archive = Archive([5] * ROWS_MAX, latest=False)
    with pytest.raises(DependencyError, match="millisecond 5"):
        await whole_history(archive.ask, since_ms=0, until_ms=10, key="id")

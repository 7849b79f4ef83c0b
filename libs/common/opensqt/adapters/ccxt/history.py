"""Whole histories out of an exchange that answers in windows and in pages.

Binance answers `allOrders` and `userTrades` for at most seven days and a thousand rows at a time.
Whether a page that is full has the oldest or the latest rows of its window is not documented for
both alike. So a full page is not believed: its window is halved until every page has room to spare.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from opensqt.adapters.ccxt.payloads import Payload
from opensqt.ports import DependencyError

SPAN_MS: Final = 7 * 24 * 3600 * 1000 - 1
"""The longest window, both ends included."""
ROWS_MAX: Final = 1000
"""As many rows as one answer can have."""
REQUESTS_MAX: Final = 400

Ask = Callable[[int, int], Awaitable[Sequence[Payload]]]
"""Asks for the rows from one time to another, both included, in milliseconds."""


async def whole_history(ask: Ask, *, since_ms: int, until_ms: int, key: str) -> tuple[Payload, ...]:
    """Every row from `since_ms` to `until_ms`, by its number, each once.

    Args:
        ask: Asks for a window.
        since_ms: The beginning, included.
        until_ms: The end, included; may lie ahead.
        key: The field with a row's number, which grows with time.

    Raises:
        DependencyError: An answer failed, or there are more rows than can be asked for.
    """
    found: dict[int, Payload] = {}
    windows = [
        (start, min(start + SPAN_MS, until_ms))
        for start in range(max(since_ms, 0), until_ms + 1, SPAN_MS + 1)
    ][::-1]
    for _ in range(REQUESTS_MAX):
        if not windows:
            return tuple(row for _, row in sorted(found.items()))
        start, end = windows.pop()
        rows = await ask(start, end)
        if len(rows) < ROWS_MAX:
            found |= {int(row[key]): row for row in rows}
        elif start == end:
            raise DependencyError(
                f"{len(rows)} rows in the millisecond {start}: more may be hidden"
            )
        else:
            middle = (start + end) // 2
            windows += [(middle + 1, end), (start, middle)]
    raise DependencyError(f"a history of more than {REQUESTS_MAX} answers since {since_ms}")

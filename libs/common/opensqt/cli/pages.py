"""Pages of a list, as one list of rows."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from opensqt.cli.messages import Row, as_row

PAGE_SIZE_MAX: Final = 1000
"""The most that our services put on one page."""


async def all_rows(
    call: Callable[[Any], Awaitable[Any]], request: Any, field: str, *, limit: int | None = None
) -> list[Row]:
    """Ask for page after page.

    Args:
        call: The listing method.
        request: What to list; its page size and token are set here.
        field: Where the answer has the items.
        limit: At most this many; None for all.
    """
    request.page_size = PAGE_SIZE_MAX if limit is None else min(limit, PAGE_SIZE_MAX)
    found: list[Row] = []
    while limit is None or len(found) < limit:
        page = await call(request)
        found += [as_row(item) for item in getattr(page, field)]
        request.page_token = page.next_page_token
        if not page.next_page_token:
            break
    return found[:limit]

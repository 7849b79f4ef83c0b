"""Pages of lists: their sizes, and the opaque tokens that lead from one to the next."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from zlib import crc32

from opensqt.core.errors import Refusal, RefusalReason

SIZE_DEFAULT: Final = 100
SIZE_MAX: Final = 1000


def size_of_page(asked: int) -> int:
    """The number of items of a page.

    Raises:
        Refusal: VALUE_NOT_ALLOWED.
    """
    if not 0 <= asked <= SIZE_MAX:
        raise Refusal(
            RefusalReason.VALUE_NOT_ALLOWED,
            field="page_size",
            value=asked,
            allowed=f"1 to {SIZE_MAX}, or 0 for {SIZE_DEFAULT}",
        )
    return asked or SIZE_DEFAULT


def token_after(last: str, *query: object) -> str:
    """The token of the page that begins after the item `last`.

    Args:
        last: What the next page starts from.
        query: What is listed; the token serves for no other list.
    """
    return urlsafe_b64encode(f"{_check(last, query):08x}{last}".encode()).decode()


def item_before(token: str, *query: object) -> str:
    """The item that a token's page begins after; empty for the empty token: the first page.

    Raises:
        Refusal: PAGE_TOKEN for a token that was not given out for this list.
    """
    if not token:
        return ""
    refusal = Refusal(
        RefusalReason.PAGE_TOKEN,
        field="page_token",
        value=token[:80],
        allowed="the next_page_token of the previous answer to the same request",
    )
    try:
        text = urlsafe_b64decode(token.encode()).decode()
        check, last = int(text[:8], 16), text[8:]
    except (binascii.Error, ValueError):
        raise refusal from None
    if check != _check(last, query):
        raise refusal
    return last


def _check(last: str, query: tuple[object, ...]) -> int:
    return crc32("\0".join((last, *map(str, query))).encode())

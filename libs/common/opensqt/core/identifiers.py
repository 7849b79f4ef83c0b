"""Client order ids: a function of bot, slot, side, purpose and cycle, and back.

An id names one intent for ever. Price and side alone would not do: Binance lets the id of a closed
order be used again, so the same id after a fill would buy twice. Hence the slot's cycle, which
grows with every order that ended, and the ledger's epoch, which sets apart the ids of a ledger
that was lost.

Format: ``[a-z0-9]{1,28}``, not beginning with ``t`` (ccxt mistakes such an id for one of Gate's),
which every exchange takes. Everything is base 36::

    g          kind: a grid's order
    b s c d    open buy, open sell, close buy, close sell
    4          tag of the bot: a checksum of its name
    6          epoch: seconds since 2020-01-01 UTC
    1          exponent of the price, as -e
    1          number of digits of the price that follow
    n          the price's coefficient
    m          the cycle
    2          checksum, so that a stranger's id is not taken for one of ours
"""

import re
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from opensqt.core.orders import Purpose, Side

MAX_LENGTH: Final = 28
EPOCH_START_NS: Final = 1_577_836_800 * 10**9
"""2020-01-01 UTC."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BOT_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_KIND: Final = "g"
_LETTERS: Final = {
    (Purpose.OPEN, Side.BUY): "b",
    (Purpose.OPEN, Side.SELL): "s",
    (Purpose.CLOSE, Side.BUY): "c",
    (Purpose.CLOSE, Side.SELL): "d",
}
_MEANINGS: Final = {letter: meaning for meaning, letter in _LETTERS.items()}
_TAG, _EPOCH, _CHECK = 4, 6, 2


class IdentifierError(ValueError):
    """A name or number that cannot become an identifier, and what could."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridOrderId:
    """What a grid's client order id says."""

    bot_tag: str
    epoch: int
    slot_price: Decimal
    side: Side
    purpose: Purpose
    cycle: int


def check_bot_id(bot_id: str) -> str:
    """Return `bot_id` if it may name a bot.

    Raises:
        IdentifierError: It does not match ``[a-z][a-z0-9_-]{0,31}``.
    """
    if not _BOT_ID.fullmatch(bot_id):
        raise IdentifierError(
            f"bot id {bot_id!r}: allowed are 1 to 32 of a-z, 0-9, '_' and '-', first a letter"
        )
    return bot_id


def bot_tag(bot_id: str) -> str:
    """The bot's four characters in its order ids. The bots of one ledger must differ in it."""
    return _base36(zlib.crc32(bot_id.encode()) % 36**_TAG, width=_TAG)


def epoch_at(time_ns: int) -> int:
    """The epoch of a grid that is registered at `time_ns`: whole seconds since 2020."""
    return max(0, time_ns - EPOCH_START_NS) // 10**9


def grid_order_id(
    *, bot_id: str, epoch: int, slot_price: Decimal, side: Side, purpose: Purpose, cycle: int
) -> str:
    """The client order id of one intent.

    Raises:
        IdentifierError: A number is too large for the 28 characters.
    """
    sign, digits, exponent = slot_price.normalize().as_tuple()
    assert isinstance(exponent, int)
    coefficient = int("".join(map(str, digits)))
    if exponent > 0:
        coefficient, exponent = coefficient * 10**exponent, 0
    if sign or not coefficient or -exponent >= len(_DIGITS):
        raise IdentifierError(f"slot price {slot_price}: must be positive, at most 35 decimals")
    price = _base36(coefficient)
    body = (
        _KIND
        + _LETTERS[purpose, side]
        + bot_tag(bot_id)
        + _base36(epoch, width=_EPOCH)
        + _DIGITS[-exponent]
        + _DIGITS[len(price)]
        + price
        + _base36(cycle)
    )
    whole = body + _checksum(body)
    if len(whole) > MAX_LENGTH:
        raise IdentifierError(
            f"{whole}: {len(whole)} characters; at most {MAX_LENGTH} fit on every exchange"
        )
    return whole


def parse_order_id(text: str) -> GridOrderId | None:
    """Read a client order id; None for one that is not ours (a manual order, another program)."""
    head = 2 + _TAG + _EPOCH
    if not head + 2 < len(text) <= MAX_LENGTH or text[0] != _KIND or text[1] not in _MEANINGS:
        return None
    body, check = text[:-_CHECK], text[-_CHECK:]
    if any(c not in _DIGITS for c in text) or _checksum(body) != check:
        return None
    purpose, side = _MEANINGS[text[1]]
    price_end = head + 2 + int(body[head + 1], 36)
    price, cycle = body[head + 2 : price_end], body[price_end:]
    if not price or not cycle:
        return None
    return GridOrderId(
        bot_tag=body[2 : 2 + _TAG],
        epoch=int(body[2 + _TAG : head], 36),
        slot_price=Decimal(int(price, 36)).scaleb(-int(body[head], 36)),
        side=side,
        purpose=purpose,
        cycle=int(cycle, 36),
    )


def _checksum(body: str) -> str:
    return _base36(zlib.crc32(body.encode()) % 36**_CHECK, width=_CHECK)


def _base36(number: int, *, width: int = 1) -> str:
    if number < 0:
        raise IdentifierError(f"{number}: only numbers from 0 on fit an identifier")
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    if width > 1 and len(text) > width:
        raise IdentifierError(f"{text}: more than {width} base-36 digits")
    return text.rjust(width, "0")

"""What every keeper of grid books refuses, in the same words."""

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import GridIdentity


def bot_unknown(bot_id: str) -> Refusal:
    """The refusal of a bot that is not registered."""
    return Refusal(
        RefusalReason.BOT_UNKNOWN, field="bot_id", value=bot_id, allowed="a registered bot"
    )


def tag_taken(identity: GridIdentity, other: str) -> Refusal:
    """The refusal of a bot whose order ids could not be told from those of another bot."""
    return Refusal(
        RefusalReason.VALUE_NOT_ALLOWED,
        field="identity.bot_id",
        value=identity.bot_id,
        allowed=f"a name whose tag in order ids differs from that of bot {other}",
    )


def compacted(from_revision: int, *, oldest: int, newest: int) -> Refusal:
    """The refusal of changes after a revision when they are not kept, or never were."""
    return Refusal(
        RefusalReason.REVISION_COMPACTED,
        field="from_revision",
        value=from_revision,
        allowed=f"{oldest} to {newest}, or 0 for a snapshot",
    )

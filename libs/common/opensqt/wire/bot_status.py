"""How a bot stands."""

from typing import Final

from opensqt.core.bot_status import BotStatus, Phase
from opensqt.market_maker.v1 import strategy_service_pb2 as pb
from opensqt.wire.enums import WireEnum
from opensqt.wire.fields import encode_optional, encode_time

PHASE: Final = WireEnum(Phase, pb.BotStatus.Phase, "PHASE_")


def encode_bot_status(status: BotStatus) -> pb.BotStatus:
    """How a bot stands."""
    return pb.BotStatus(
        bot_id=status.bot_id,
        phase=PHASE.encode(status.phase),
        waiting_for=status.waiting_for,
        state_revision=status.state_revision,
        last_price=encode_optional(status.last_price),
        batches=status.batches,
        decided_time=encode_time(status.decided_ns) if status.decided_ns else None,
    )

"""Enums: each member of the core's enums has the member of the same name in the contract."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.events import Forced, UpdateSource
from opensqt.core.grid.book import Direction, PositionStatus, SlotStatus, Standing
from opensqt.core.orders import EndReason, OrderStatus, Purpose, Side
from opensqt.market_maker.v1 import events_pb2, resources_pb2, state_pb2
from opensqt.wire.fields import path

MemberT = TypeVar("MemberT", bound=Enum)
NumberT = TypeVar("NumberT", bound=int)
NumberT_co = TypeVar("NumberT_co", bound=int, covariant=True)


class _Numbers(Protocol[NumberT_co]):
    """A generated enum: names to numbers."""

    def Value(self, name: str) -> NumberT_co:  # noqa: N802 - protobuf's name
        ...


class WireEnum(Generic[MemberT, NumberT]):
    """One enum, both ways.

    Args:
        members: The core's enum.
        wire: The contract's enum.
        prefix: What the contract's names have before the core's.
        renamed: Members whose name in the contract is another one.
    """

    def __init__(
        self,
        members: type[MemberT],
        wire: _Numbers[NumberT],
        prefix: str,
        renamed: Mapping[MemberT, str] | None = None,
    ) -> None:
        names = renamed or {}
        self._numbers: dict[MemberT, NumberT] = {
            member: wire.Value(names.get(member, prefix + member.name)) for member in members
        }
        self._members: dict[int, MemberT] = {n: member for member, n in self._numbers.items()}
        self._allowed = ", ".join(names.get(m, prefix + m.name) for m in members)

    def encode(self, member: MemberT) -> NumberT:
        """The contract's number."""
        return self._numbers[member]

    def read(self, message: Message, name: str, where: str) -> MemberT:
        """The member in a field.

        Raises:
            Refusal: ENUM_UNSPECIFIED when it is not said, or not known here.
        """
        number: int = getattr(message, name)
        member = self._members.get(number)
        if member is None:
            raise Refusal(
                RefusalReason.ENUM_UNSPECIFIED,
                field=path(where, name),
                value=number,
                allowed=self._allowed,
            )
        return member


SIDE: Final = WireEnum(Side, resources_pb2.Side, "SIDE_")
PURPOSE: Final = WireEnum(Purpose, resources_pb2.OrderPurpose, "ORDER_PURPOSE_")
ORDER_STATUS: Final = WireEnum(OrderStatus, resources_pb2.OrderStatus, "ORDER_STATUS_")
END_REASON: Final = WireEnum(
    EndReason,
    resources_pb2.EndReason,
    "END_REASON_",
    renamed={EndReason.NONE: "END_REASON_UNSPECIFIED"},
)
SOURCE: Final = WireEnum(UpdateSource, events_pb2.OrderUpdate.Source, "SOURCE_")
FORCED: Final = WireEnum(
    Forced,
    events_pb2.OrderUpdate.Forced,
    "FORCED_",
    renamed={Forced.NONE: "FORCED_UNSPECIFIED"},
)
SLOT_STATUS: Final = WireEnum(SlotStatus, state_pb2.SlotStatus, "SLOT_STATUS_")
POSITION_STATUS: Final = WireEnum(PositionStatus, state_pb2.PositionStatus, "POSITION_STATUS_")
STANDING: Final = WireEnum(Standing, state_pb2.GridStanding, "GRID_STANDING_")
DIRECTION: Final = WireEnum(Direction, state_pb2.GridDirection, "GRID_DIRECTION_")

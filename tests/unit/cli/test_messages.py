"""Messages as the command line shows them."""

from google.protobuf.timestamp_pb2 import Timestamp

from opensqt.cli.messages import as_row, as_time
from opensqt.market_maker.v1 import resources_pb2 as resources
from opensqt.market_maker.v1 import state_pb2 as state
from opensqt.market_maker.v1.strategy_service_pb2 import BotStatus


def test_exact_numbers_stay_text_and_missing_is_not_zero() -> None:
    row = as_row(state.InventorySlot(price=resources.Decimal(value="61800.10")))
    assert row["price"] == "61800.10"
    assert row["position_qty"] is None
    assert row["cycle"] == 0


def test_enums_lose_their_prefix_nested_ones_too() -> None:
    slot = state.InventorySlot(slot_status=state.SLOT_STATUS_LOCKED)
    assert as_row(slot)["slot_status"] == "LOCKED"
    assert as_row(BotStatus(phase=BotStatus.PHASE_TRADING))["phase"] == "TRADING"


def test_an_enum_value_of_a_later_version_is_its_number() -> None:
    assert as_row(state.InventorySlot(slot_status=77))["slot_status"] == "77"  # type: ignore[arg-type]


def test_messages_within_messages_are_rows() -> None:
    grid = state.GridState(slots=[state.InventorySlot(cycle=3)])
    assert as_row(grid)["slots"][0]["cycle"] == 3
    assert as_row(grid)["identity"] is None


def test_times_are_utc_to_the_microsecond() -> None:
    moment = Timestamp(seconds=1_759_579_200, nanos=1_999)
    assert as_time(moment) == "2025-10-04T12:00:00.000001Z"

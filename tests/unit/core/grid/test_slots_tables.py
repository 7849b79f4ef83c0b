"""The two tables, whole: what a slot's status and an order's status become, and what is refused."""

from decimal import Decimal as D

import pytest

from opensqt.core.errors import Refusal, RefusalReason
from opensqt.core.grid.book import Slot, SlotStatus
from opensqt.core.grid.table import SLOT_TABLE, SlotEvent, step
from opensqt.core.orders import STATUS_TABLE, OrderStatus, next_status

SLOTS = """
            RESERVED  DOUBTED  CONFIRMED  ENDED  REVIVED
FREE        PENDING   -        -          -      LOCKED
PENDING     -         PENDING  LOCKED     FREE   -
LOCKED      -         -        LOCKED     FREE   -
"""

ORDERS = """
known \\ said      PENDING UNKNOWN NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED NOT_PLACED
PENDING           .       UNKNOWN NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED NOT_PLACED
UNKNOWN           .       .       NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED NOT_PLACED
NEW               .       .       .   PARTIALLY_FILLED FILLED CANCELED EXPIRED REJECTED .
PARTIALLY_FILLED  .       .       .   .                FILLED CANCELED EXPIRED .        .
FILLED            .       .       .   .                .      .        .       .        .
CANCELED          .       .       .   .                FILLED .        .       .        .
EXPIRED           .       .       .   .                FILLED .        .       .        .
REJECTED          .       .       .   PARTIALLY_FILLED FILLED .        .       .        .
NOT_PLACED        .       .       NEW PARTIALLY_FILLED FILLED CANCELED EXPIRED .        .
"""


def rows(table: str) -> tuple[list[str], dict[str, list[str]]]:
    head, *lines = (line.split() for line in table.strip().splitlines())
    return head, {line[0]: line[1:] for line in lines}


@pytest.mark.invariant(7)
@pytest.mark.parametrize("status", SlotStatus)
@pytest.mark.parametrize("event", SlotEvent)
def test_every_pair_of_the_slot_table(status: SlotStatus, event: SlotEvent) -> None:
    head, lines = rows(SLOTS)
    expected = lines[status][head.index(event)]
    slot = Slot(price=D(99), status=status)
    if expected != "-":
        assert step(slot, event) == SlotStatus(expected)
        return
    with pytest.raises(Refusal) as refused:
        step(slot, event)
    assert refused.value.reason is RefusalReason.ILLEGAL_TRANSITION
    allowed = {name for name, cell in zip(head, lines[status], strict=True) if cell != "-"}
    assert set(refused.value.allowed.split(", ")) == allowed


@pytest.mark.invariant(4)
@pytest.mark.parametrize("known", OrderStatus)
@pytest.mark.parametrize("said", OrderStatus)
def test_every_pair_of_the_order_table(known: OrderStatus, said: OrderStatus) -> None:
    head, lines = rows(ORDERS)
    expected = lines[known][head.index(said) - 3]
    assert next_status(known, said) == (known if expected == "." else OrderStatus(expected))


def test_the_tables_here_are_whole() -> None:
    assert set(rows(SLOTS)[1]) == set(SlotStatus)
    assert rows(ORDERS)[0][3:] == list(rows(ORDERS)[1]) == list(OrderStatus)
    assert len(SLOT_TABLE) == sum(c != "-" for line in rows(SLOTS)[1].values() for c in line)
    assert len(STATUS_TABLE) == sum(c != "." for line in rows(ORDERS)[1].values() for c in line)


@pytest.mark.invariant(4)
def test_what_ended_reopens_only_where_the_end_was_our_guess() -> None:
    """Or where the exchange itself took a refusal back by trading."""
    reopened = {
        known
        for (known, _), becomes in STATUS_TABLE.items()
        if known.terminal and not becomes.terminal
    }
    assert reopened == {OrderStatus.NOT_PLACED, OrderStatus.REJECTED}

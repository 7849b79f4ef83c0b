"""Hypothesis strategies for the nouns of the core; for tests, needs hypothesis."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from opensqt.core.actions import Action, ActionBatch, Cancel, Place
from opensqt.core.events import (
    Candle,
    FundingUpdate,
    Gate,
    GateBeat,
    OrderUpdate,
    Position,
    PositionCheck,
    PositionUpdate,
    PriceChange,
    StreamStatus,
)
from opensqt.core.grid.book import (
    BatchRecord,
    GridBook,
    GridChange,
    GridIdentity,
    GridTotals,
    Slot,
    SlotStatus,
    Standing,
)
from opensqt.core.grid.results import PlacementResult, Reservation
from opensqt.core.instrument import Instrument
from opensqt.core.orders import Execution, Order, OrderStatus
from opensqt.ports import Quarantined

TIME_NS_MAX = 4_102_444_800 * 10**9


def _scaled(coefficient: int, places: int) -> Decimal:
    return Decimal(coefficient).scaleb(-places)


NUMBERS = st.builds(_scaled, st.integers(-(10**20), 10**20), st.integers(0, 12))
POSITIVES = st.builds(_scaled, st.integers(1, 10**20), st.integers(0, 12))
NOT_NEGATIVES = st.just(Decimal(0)) | POSITIVES
TIMES = st.integers(0, TIME_NS_MAX)
COUNTS = st.integers(0, 2**62)
NAMES = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=36)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=200)
IDS = st.just("") | NAMES
BOTS = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
LIVE = st.sampled_from([status for status in OrderStatus if not status.terminal])


def built(kind: Any, **fields: Any) -> st.SearchStrategy[Any]:
    """Values of `kind`: the given fields, everything else by its type."""
    return st.builds(kind, **{**_known(kind), **fields})


def _known(kind: Any) -> Mapping[str, st.SearchStrategy[Any]]:
    by_type = {
        Decimal: NUMBERS,
        Decimal | None: st.none() | NUMBERS,
        str: NAMES,
        int: COUNTS,
        int | None: st.none() | st.integers(1, 24),
    }
    return {
        name: TIMES if name.endswith("_ns") else by_type[annotation]
        for name, annotation in kind.__annotations__.items()
        if name.endswith("_ns") or annotation in by_type
    }


EXECUTIONS: st.SearchStrategy[Execution] = built(
    Execution,
    client_oid=IDS,
    fee_asset=IDS,
    exchange_order_id=IDS,
    price=POSITIVES,
    quantity=POSITIVES,
)
ORDERS: st.SearchStrategy[Order] = built(
    Order,
    price=POSITIVES,
    quantity=POSITIVES,
    slot_price=POSITIVES,
    end_text=TEXTS,
    batch_id=IDS,
    exchange_order_id=IDS | st.integers(0, 10**20).map(str),
    execution_ids=st.just(frozenset()),
    executed_quote=st.just(Decimal(0)),
)
"""As they travel: without the ids and the quote of their executions."""


@st.composite
def slots(draw: st.DrawFn, price: Decimal | None = None) -> Slot:
    """Slots whose order and status agree."""
    status = draw(st.sampled_from(SlotStatus))
    at = draw(POSITIVES) if price is None else price
    order = None
    if status is not SlotStatus.FREE:
        order = draw(built_order(slot_price=st.just(at), status=LIVE))
    slot: Slot = draw(
        built(
            Slot,
            price=st.just(at),
            status=st.just(status),
            order=st.just(order),
            entry_cost=NOT_NEGATIVES,
            rejections=st.integers(0, 2**31 - 1),
        )
    )
    return slot


def built_order(**fields: Any) -> st.SearchStrategy[Order]:
    """Orders with some fields given."""
    return built(
        Order,
        **{
            "price": POSITIVES,
            "quantity": POSITIVES,
            "slot_price": POSITIVES,
            "end_text": TEXTS,
            "batch_id": IDS,
            "exchange_order_id": IDS,
            "execution_ids": st.just(frozenset()),
            "executed_quote": st.just(Decimal(0)),
            **fields,
        },
    )


IDENTITIES: st.SearchStrategy[GridIdentity] = built(
    GridIdentity, bot_id=BOTS, anchor=POSITIVES, interval=POSITIVES
)
TOTALS: st.SearchStrategy[GridTotals] = built(GridTotals)


@st.composite
def books(draw: st.DrawFn) -> GridBook:
    """Books with live orders in their slots and strays beside them."""
    prices = draw(st.lists(POSITIVES, max_size=4, unique=True))
    made = [draw(slots(price=price)) for price in prices]
    strays = draw(st.lists(built_order(status=LIVE), max_size=2))
    orders = {slot.order.client_oid: slot.order for slot in made if slot.order}
    if len(orders) < len([slot for slot in made if slot.order]):
        made, orders = [], {}
    return GridBook(
        identity=draw(IDENTITIES),
        revision=draw(COUNTS),
        slots={slot.price: slot for slot in made},
        orders={**{order.client_oid: order for order in strays}, **orders},
        totals=draw(TOTALS),
        standing=draw(st.sampled_from(Standing)),
        standing_reason=draw(TEXTS),
    )


@st.composite
def changes(draw: st.DrawFn) -> GridChange:
    """Committed changes."""
    revision = draw(COUNTS)
    record = st.builds(
        BatchRecord,
        batch_id=NAMES,
        revision=st.just(revision),
        placed=st.lists(NAMES, max_size=3).map(tuple),
        canceled=st.lists(NAMES, max_size=3).map(tuple),
        request_id=IDS,
    )
    return GridChange(
        bot_id=draw(BOTS),
        revision=revision,
        slots=tuple(draw(st.lists(slots(), max_size=3))),
        orders=tuple(draw(st.lists(ORDERS, max_size=3))),
        executions=tuple(draw(st.lists(EXECUTIONS, max_size=3))),
        totals=draw(TOTALS),
        commit_time_ns=draw(TIMES),
        batch=draw(st.none() | record),
        standing=draw(st.sampled_from(Standing)),
        standing_reason=draw(TEXTS),
    )


PLACES: st.SearchStrategy[Place] = built(
    Place,
    slot_price=POSITIVES,
    price=POSITIVES,
    quantity=POSITIVES,
    exit_price=st.none() | POSITIVES,
)
CANCELS: st.SearchStrategy[Cancel] = built(Cancel, slot_price=POSITIVES)
ACTIONS: st.SearchStrategy[Action] = PLACES | CANCELS
BATCHES: st.SearchStrategy[ActionBatch] = built(
    ActionBatch, bot_id=BOTS, actions=st.lists(ACTIONS, min_size=1, max_size=4).map(tuple)
)
PLACEMENTS: st.SearchStrategy[PlacementResult] = built(
    PlacementResult,
    status=st.sampled_from(
        [OrderStatus.NEW, OrderStatus.REJECTED, OrderStatus.NOT_PLACED, OrderStatus.UNKNOWN]
    ),
    exchange_order_id=IDS,
    end_text=TEXTS,
)
RESERVATIONS: st.SearchStrategy[Reservation] = built(
    Reservation,
    to_place=st.lists(ORDERS, max_size=3).map(tuple),
    to_cancel=st.lists(ORDERS, max_size=3).map(tuple),
)

ORDER_UPDATES: st.SearchStrategy[OrderUpdate] = built(
    OrderUpdate, filled_quantity=NOT_NEGATIVES, execution=st.none() | EXECUTIONS
)
PRICE_CHANGES: st.SearchStrategy[PriceChange] = built(PriceChange)
FUNDING_UPDATES: st.SearchStrategy[FundingUpdate] = built(FundingUpdate)
POSITIONS: st.SearchStrategy[Position] = built(Position)
POSITION_CHECKS: st.SearchStrategy[PositionCheck] = built(PositionCheck, bound=NOT_NEGATIVES)
QUARANTINED: st.SearchStrategy[Quarantined] = built(
    Quarantined, update=ORDER_UPDATES, updates=st.integers(1, 2**62)
)
POSITION_UPDATES: st.SearchStrategy[PositionUpdate] = built(PositionUpdate, position=POSITIONS)
CANDLES: st.SearchStrategy[Candle] = built(
    Candle,
    open=POSITIVES,
    high=POSITIVES,
    low=POSITIVES,
    close=POSITIVES,
    interval_s=st.integers(1, 86_400),
)
STREAM_STATUSES: st.SearchStrategy[StreamStatus] = built(StreamStatus)
GATES: st.SearchStrategy[Gate] = built(Gate)
GATE_BEATS: st.SearchStrategy[GateBeat] = built(GateBeat, gate=GATES)
INSTRUMENTS: st.SearchStrategy[Instrument] = built(
    Instrument,
    tick_size=POSITIVES,
    step_size=POSITIVES,
    min_quantity=POSITIVES,
    max_quantity=POSITIVES,
    min_notional=NOT_NEGATIVES,
)

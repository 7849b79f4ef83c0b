"""The grid strategy: from what is known to what to do, and nothing else.

A long grid buys on levels below the market and sells each holding one spacing above its slot; a
short grid is its mirror image; a neutral grid does both. The windows follow the market (the centre
trails the price), the levels never move.

Which orders a grid wants is in `windows`; here they are held against the orders that are there,
under the cap on open orders, nearest to the market first.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from opensqt.core.actions import Action, Cancel, Place
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.windows import MarketView, Windows
from opensqt.core.numbers import ZERO
from opensqt.core.orders import Order, Purpose, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """An order that is there or is wanted, and how much it deserves one of the open places."""

    rank: Decimal
    wanted: Place | None = None
    live: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and what it follows from."""

    actions: tuple[Action, ...] = ()
    windows: Windows | None = None
    """None: nothing is decided, whatever the market does."""
    opening: bool = False
    """Openings may rest, and are placed unless they are paused."""
    wanted: tuple[Place, ...] = ()
    """The orders that are missing, whether or not there is a place for them."""
    keep: tuple[Order, ...] = ()
    """The resting orders that may stay."""
    places: int = 0
    """How many orders may be open, those in doubt not counted."""
    chosen: int = 0
    """How many of the orders that are wanted are to have a place."""


def plan(book: GridBook, market: MarketView, config: GridConfig) -> tuple[Action, ...]:
    """Decide: orders to place, nearest to the market first, then orders to cancel.

    Nothing is decided without a price, nor before the book was compared with the exchange. Exposure
    is added only where `market.exposure_allowed`, and not by a HALTED grid; closing and cancelling
    never wait for it. While openings are `market.paused` none is wanted, so that none takes a place
    from an exit, or has an order taken back to make room; those that rest are kept as ever.
    """
    return decide(book, market, config).actions


def decide(book: GridBook, market: MarketView, config: GridConfig) -> Decision:
    """`plan`, with what it follows from."""
    windows = Windows.around(book, market, config)
    if windows is None or book.standing is Standing.RECONCILING:
        return Decision()
    if book.standing is Standing.HALTED:
        market = replace(market, exposure_allowed=False)
    opens = market.exposure_allowed and not market.paused
    wanted = windows.closings() + (windows.openings() if opens else ())
    keep, cancel = _sort_out(book, market, windows)
    live = [order for order in book.orders.values() if not order.status.terminal]
    in_doubt = sum(1 for o in live if not o.status.resting and not o.cancel_requested)
    places = max(0, config.max_open_orders - in_doubt)
    chosen, displaced = _under_cap(windows, keep, wanted, places)
    free_now = max(0, config.max_open_orders - len(live))
    gone = (*cancel, *displaced[: len(chosen)])
    actions: list[Action] = [*chosen[:free_now], *(_cancel(order) for order in gone)]
    return Decision(
        actions=tuple(actions[: config.max_actions]),
        windows=windows,
        opening=market.exposure_allowed,
        wanted=wanted,
        keep=tuple(keep),
        places=places,
        chosen=len(chosen),
    )


def hold_what_rests(
    book: GridBook, actions: tuple[Action, ...], config: GridConfig
) -> tuple[Action, ...]:
    """What of a decision is done while what rests on the exchange shall keep its place.

    Nothing is cancelled, so what closes takes only the places that are free. Whoever is HALTED
    holds nothing.
    """
    if book.standing is not Standing.TRADING:
        return actions
    room = max(0, config.max_open_orders - len(book.live_orders()))
    return tuple(action for action in actions if isinstance(action, Place))[:room]


def _sort_out(
    book: GridBook, market: MarketView, windows: Windows
) -> tuple[list[Order], list[Order]]:
    """The resting orders to keep and those to cancel.

    A closing order is kept wherever it rests: an exit never hurts, unless it would close more than
    its slot holds, as after a forced close. An order beside its slot's own is one too many. An
    order in doubt is left to be settled; asking for its cancel would not make it clearer.
    """
    keep: list[Order] = []
    cancel: list[Order] = []
    above, below = windows.kept_above(), windows.kept_below()
    straying = book.strays is None or bool(book.strays)
    for order in book.orders.values():
        if order.cancel_requested or not order.status.resting:
            continue
        if order.purpose is Purpose.OPEN:
            price = order.slot_price
            inside = price > above if order.side is Side.BUY else price < below
            wanted = market.exposure_allowed and inside
        else:
            wanted = order.remaining <= -_held(book, order) * order.side.sign
        if not wanted or (straying and _astray(book, order)):
            cancel.append(order)
        else:
            keep.append(order)
    # The nearest to the market first: it is the likeliest to fill before its cancel arrives.
    return keep, sorted(cancel, key=lambda o: (windows.distance(o.price), o.client_oid))


def _held(book: GridBook, order: Order) -> Decimal:
    slot = book.slots.get(order.slot_price)
    return ZERO if slot is None else slot.position_qty


def _astray(book: GridBook, order: Order) -> bool:
    slot = book.slots.get(order.slot_price)
    own = None if slot is None else slot.order
    return own is not None and own.client_oid != order.client_oid


def _under_cap(
    windows: Windows, keep: list[Order], wanted: tuple[Place, ...], places: int
) -> tuple[list[Place], list[Order]]:
    """Give the open places to the nearest orders: who gets one, and whose are displaced.

    An order that rests counts as nearer by the slack, so that two orders at nearly the same
    distance do not displace each other for ever. An order that is to go keeps its place until its
    cancel is proven, so whoever takes the place follows in a later decision.
    """
    if not wanted:
        return [], []
    candidates = [
        *(_Candidate(rank=windows.distance(w.price), wanted=w) for w in wanted),
        *(_Candidate(rank=windows.distance(o.price) - windows.slack, live=o) for o in keep),
    ]
    candidates.sort(key=lambda c: (c.rank, c.live is None))
    chosen = [c.wanted for c in candidates[:places] if c.wanted is not None]
    displaced = [c.live for c in candidates[places:] if c.live is not None]
    return chosen, displaced


def _cancel(order: Order) -> Cancel:
    return Cancel(slot_price=order.slot_price, client_oid=order.client_oid)

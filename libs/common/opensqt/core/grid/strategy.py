"""The grid strategy: from what is known to what to do, and nothing else.

A long grid buys on levels below the market and sells each holding one spacing above its slot; a
short grid is its mirror image; a neutral grid does both. The windows follow the market (the centre
trails the price), the levels never move.

Which orders a grid wants is in `windows`; here they are held against the orders that are there,
under the cap on open orders, nearest to the market first.
"""

from dataclasses import dataclass
from decimal import Decimal

from opensqt.core.actions import Action, Cancel, Place
from opensqt.core.grid.agenda import Agenda
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.config import GridConfig
from opensqt.core.grid.windows import MarketView, Windows
from opensqt.core.orders import Order, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """An order that is there or is wanted, and how much it deserves one of the open places."""

    rank: Decimal
    wanted: Place | None = None
    live: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Competition:
    """Orders that are wanted or rest, where there may be fewer places than orders."""

    keep: tuple[Order, ...]
    """The resting orders that may stay."""
    places: int
    """How many orders may be open, those in doubt not counted."""
    chosen: tuple[Place, ...]
    """Those of the orders that are wanted that are to have a place, nearest first."""
    displaced: tuple[Order, ...]
    """Those that rest and are to have none, nearest first."""


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
    openings: tuple[Order, ...] = ()
    """The opening orders that rest and may stay."""
    competition: Competition | None = None
    """None: whatever is wanted has a place."""


def plan(book: GridBook, market: MarketView, config: GridConfig) -> tuple[Action, ...]:
    """Decide: orders to place, nearest to the market first, then orders to cancel.

    Nothing is decided without a price, nor before the book was compared with the exchange. Exposure
    is added only where `market.exposure_allowed`, and not by a HALTED grid; closing and cancelling
    never wait for it. While openings are `market.paused` none is wanted, so that none takes a place
    from an exit, or has an order taken back to make room; those that rest are kept as ever.
    """
    return decide(Agenda.of(book), market, config).actions


def decide(agenda: Agenda, market: MarketView, config: GridConfig) -> Decision:
    """`plan`, with what it follows from."""
    book = agenda.book
    windows = Windows.around(agenda, market, config)
    if windows is None or book.standing is Standing.RECONCILING:
        return Decision()
    allowed = market.exposure_allowed and book.standing is not Standing.HALTED
    opens = allowed and not market.paused
    wanted = windows.closings() + (windows.openings() if opens else ())
    keep, cancel = _sort_out(windows, allowed=allowed)
    chosen, gone = wanted, cancel
    competition = None
    if len(wanted) > 1:
        chosen = tuple(sorted(wanted, key=lambda place: windows.distance(place.price)))
    if wanted and len(book.orders) + len(wanted) > config.max_open_orders:
        competition = _compete(book, windows, wanted, {order.client_oid for order in cancel})
        live = sum(1 for order in book.orders.values() if not order.status.terminal)
        chosen = competition.chosen[: max(0, config.max_open_orders - live)]
        gone = cancel + competition.displaced[: len(competition.chosen)]
    actions: tuple[Action, ...] = chosen
    if gone:
        actions += tuple(_cancel(order) for order in gone)
    return Decision(
        actions=actions[: config.max_actions],
        windows=windows,
        opening=allowed,
        wanted=wanted,
        openings=keep,
        competition=competition,
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


def _sort_out(windows: Windows, *, allowed: bool) -> tuple[tuple[Order, ...], tuple[Order, ...]]:
    """The resting openings to keep, and the resting orders to cancel.

    An order in doubt is left to be settled; asking for its cancel would not make it clearer.
    """
    keep: list[Order] = []
    cancel = list(windows.agenda.misfits.values())
    above, below = windows.kept_above(), windows.kept_below()
    for order in windows.agenda.openings.values():
        price = order.slot_price
        inside = price > above if order.side is Side.BUY else price < below
        (keep if allowed and inside else cancel).append(order)
    # The nearest to the market first: it is the likeliest to fill before its cancel arrives.
    if len(cancel) > 1:
        cancel.sort(key=lambda order: (windows.distance(order.price), order.client_oid))
    return tuple(keep), tuple(cancel)


def _compete(
    book: GridBook, windows: Windows, wanted: tuple[Place, ...], cancelled: set[str]
) -> Competition:
    """Give the open places to the nearest orders: who gets one, and whose are displaced.

    An order that rests counts as nearer by the slack, so that two orders at nearly the same
    distance do not displace each other for ever. An order that is to go keeps its place until its
    cancel is proven, so whoever takes the place follows in a later decision.
    """
    keep, in_doubt = [], 0
    for oid, order in book.orders.items():
        if order.status.terminal or order.cancel_requested:
            continue
        if not order.status.resting:
            in_doubt += 1
        elif oid not in cancelled:
            keep.append(order)
    places = max(0, windows.config.max_open_orders - in_doubt)
    candidates = [
        *(_Candidate(rank=windows.distance(w.price), wanted=w) for w in wanted),
        *(_Candidate(rank=windows.distance(o.price) - windows.slack, live=o) for o in keep),
    ]
    candidates.sort(key=lambda c: (c.rank, c.live is None))
    return Competition(
        keep=tuple(keep),
        places=places,
        chosen=tuple(c.wanted for c in candidates[:places] if c.wanted is not None),
        displaced=tuple(c.live for c in candidates[places:] if c.live is not None),
    )


def _cancel(order: Order) -> Cancel:
    return Cancel(slot_price=order.slot_price, client_oid=order.client_oid)

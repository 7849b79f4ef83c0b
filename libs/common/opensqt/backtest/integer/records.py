"""What the compiled engine remembers: rows of whole numbers, and the world, which has all of them.

Prices in ticks, quantities in steps, money in the bot's `money_unit`, times in nanoseconds. What an
exchange has of an order and what the bot has heard of it are two things, and are kept apart.
"""

from typing import Final

import numpy as np

from opensqt.backtest.result import End, Kind

BUY: Final = 1
SELL: Final = -1
OPEN: Final = int(Kind.OPEN)
CLOSE: Final = int(Kind.CLOSE)
NONE: Final = -1
"""No order, no time, no place."""
FAR: Final = 2**62
"""Beyond every price and every time."""
LARGEST: Final = 2**62
"""Amounts stay below this."""

RESTS: Final = int(End.OPEN)
FILLED: Final = int(End.FILLED)
CANCELED: Final = int(End.CANCELED)
REFUSED: Final = int(End.REFUSED)
ON_ITS_WAY: Final = int(End.ON_ITS_WAY)

PENDING: Final = 0
"""What a bot knows of its order: nothing yet."""
RESTING: Final = 1
ENDED: Final = 2

QUEUE: Final = 0
"""What a trade at an order's price does to it, as `Touch` says."""
NEVER: Final = 1
AT_ONCE: Final = 2
UNTOLD: Final = -1
"""How much is ahead of an order is not known."""

FILLS: Final = 0
"""Kinds of mail, each in the order in which it was sent, which is that in which it comes."""
ANSWERS: Final = 1
REQUESTS: Final = 2
KINDS: Final = 3

PLACE: Final = 0
"""News of a letter: a request, or what became of one."""
CANCEL: Final = 1
TAKEN: Final = 2
NOT_TAKEN: Final = 3
GONE: Final = 4
SHORT_OF: Final = 5
"""Not taken, for want of what any other opening would need, too."""

FINE: Final = 0
"""What ends a run that is not ordinary; `ordinary.REASONS` says it in words."""
LOST: Final = 1
TOO_LARGE: Final = 2
TIED: Final = 3
BACK: Final = 4
"""Times or rows of the trades go back."""
CROWDED: Final = -1
"""A table is full: the run goes on when it is larger."""


def _numbers(*names: str) -> "np.dtype[np.void]":
    return np.dtype([(name, np.int64) for name in names])


GRID: Final = _numbers(
    "anchor", "interval", "base", "levels", "buys", "sells", "slack", "cap", "max_actions",
    "bound", "skew",
    "buy_reach", "sell_reach", "least", "most", "least_notional", "post_only", "neutral",
    "touch", "bounded", "step_size", "unit_size", "depth", "leverage", "lot_money", "booked_money",
    "maker_fee", "taker_fee", "fee_whole", "upkeep", "upkeep_whole", "band", "band_whole",
    "orders_max", "rows_max", "turnover_max",
    "market_ns", "order_ns", "report_ns", "end_ns",
)  # fmt: skip
"""A grid and its market. `base`: the level of the first slot; `bound`: the largest position, 0 for
none; `least_notional`: of a closing order; sizes of a step and of the tape's unit: what the market
is counted in; fees as parts of `fee_whole`, maintenance margin as `upkeep` of `upkeep_whole`;
`rows_max`: no step adds more rows to a table."""

BOT: Final = _numbers(
    "bid", "heard", "spacing", "position", "buying", "selling", "live", "pending", "doomed",
    "oldest", "newest", "openings", "born", "orders", "waiting", "wait_known", "wait_low",
    "wait_high", "blocked", "top", "bottom", "wanted", "farthest_buy", "farthest_sell",
    "low", "high", "wakes_ns", "alarm_ns", "pause_until", "pause_length", "pause_next", "acted",
)  # fmt: skip
"""What the bot knows. `spacing`: every how many levels is in use; `buying`, `selling`: what
holdings and openings of a side come to; `oldest`, `newest`: its live orders, linked; `waiting`:
slots that hold something and have no order, none of which wants one as long as the bid is from
`wait_low` to `wait_high`, if that is known; `top`, `bottom`: the nearest levels of its windows;
`low`, `high`: the bids between which, themselves included, it has nothing to do."""

FLOOR: Final = _numbers(
    "happened", "last", "bid", "bids", "asks", "bid_notional", "ask_notional", "bought", "sold",
    "taken_at", "held", "cost", "cash", "turnover", "lost_below", "lost_above", "low", "high",
    "fills", "payments", "alarms", "status",
)  # fmt: skip
"""What the exchange has. `bids`, `asks`: how many orders rest; their notional as far as it needs
margin; `bought`, `sold`: how many steps orders took of the market since its trade number
`taken_at`; `low`, `high`: a trade at or beyond them may change something."""

CLOCK: Final = _numbers(
    "trades", "fundings", "candles", "heard", "touch_at", "touched", "touch_known", "listen_at",
    "listen_known", "block",
)  # fmt: skip
"""How far time has come: trades and fundings that have happened, prices that the bot has heard;
the trade before which nothing happens at the exchange, whether something does then, and the price
before which the bot need not decide. The latter two are looked for when they are not known."""

SLOT: Final = _numbers(
    "held", "exit", "cycle", "order", "refusals", "blocked_ns", "birth", "quantity", "allowed"
)
"""A level. `quantity`: of an opening order there, and whether the exchange takes it."""

ORDER: Final = _numbers(
    "level", "side", "kind", "cycle", "price", "quantity", "decided_ns", "placed_ns", "ended_ns",
    "end", "filled", "ahead", "exit", "known", "heard", "doomed", "older", "newer", "place",
)  # fmt: skip
"""`filled`: at the exchange; `known`, `heard`: its standing and how much has filled, as the bot has
heard; `doomed`: its cancel was sent; `older`, `newer`: the live orders beside it; `place`: where it
is among the openings."""

FILL: Final = _numbers("order", "time_ns", "price", "quantity", "maker", "fee", "realised")
PAYMENT: Final = _numbers("time_ns", "rate", "position", "amount")
LETTER: Final = _numbers("due_ns", "happened", "order", "news", "quantity")
POST: Final = _numbers("first", "end")
"""Of one kind of mail: the letters that have not come yet."""
ALARM: Final = _numbers("due_ns", "happened")
WISH: Final = _numbers("rank", "after", "turn", "level", "side", "kind", "price", "quantity")
"""An order that is wanted (`after` 1), or one that is there (0, `level` being its number), and how
much it deserves a place."""


WORLD: Final = np.dtype(
    [
        ("grid", GRID),
        ("bot", BOT),
        ("floor", FLOOR),
        ("clock", CLOCK),
        *(
            (name, np.int64)
            for name in (
                "slots", "orders", "fills", "payments", "letters", "post", "alarms", "wishes",
                "bids", "asks", "openings", "leaving", "waiting", "blocked",
                "times", "rows", "prices", "quantities", "makers", "trades",
                "funding_times", "funding_rates", "funding_places", "fundings",
                "candle_times", "candle_places", "candle_spacings", "candles",
                "orders_room", "fills_room", "letters_room", "alarms_room", "wishes_room",
            )
        ),
    ]
)  # fmt: skip
"""All of it: what there is one of, where the tables are, and how many rows some have room for.

`bids`, `asks`: numbers of the orders that rest, the next to fill last; `openings`: of the bot's
live ones that open; `leaving`: of those that a decision cancels; `waiting`, `blocked`: indices of
slots; `funding_places`: the trade before which each funding is settled; `candle_times`,
`candle_places`: when the bot hears of a closed candle, and how many events had happened when it
closed."""

"""`Slot`: one level of a grid with its order, in whole numbers.

A slot has one live order at most, so its order is part of it: what the bot knows of it in `state`,
what the exchange has of it in the rest. `Rows` keeps what the result will say of orders and fills.
"""

from array import array
from typing import Final

from opensqt.backtest.result import End

FREE: Final = 0
PENDING: Final = 1
"""The order is on its way."""
RESTING: Final = 2
"""The exchange has taken it."""
DOOMED: Final = 3
"""Its cancel is on its way."""

BUY: Final = 1
SELL: Final = -1
OPEN: Final = 0
CLOSE: Final = 1


class Slot:
    """A level. Prices in ticks, quantities in steps."""

    __slots__ = (
        "ahead", "birth", "blocked_ns", "cycle", "exit", "held", "kind", "left", "level", "number",
        "off", "price", "refusals", "serial", "side", "state",
    )  # fmt: skip

    def __init__(self, level: int, birth: int) -> None:
        self.level = level
        self.birth = birth
        """Which slot of the book it was."""
        self.state = FREE
        self.held = 0
        """Signed."""
        self.exit = 0
        self.cycle = 0
        self.blocked_ns = 0
        """Until when it has no order; 0 when it may."""
        self.refusals = 0
        """In a row."""
        # Of the order:
        self.number = -1
        """Its row."""
        self.serial = 0
        """The exchange's id of it, which grows."""
        self.side = BUY
        self.kind = OPEN
        self.price = 0
        self.left = 0
        """What has not filled."""
        self.ahead = 0
        """What of the market fills before it; -1: unknown."""
        self.off = False
        """Its price is between two levels."""


ORDER_WIDTH: Final = 10
LEVEL, SIDE, KIND, CYCLE, PRICE, QUANTITY, DECIDED, PLACED, ENDED, END = range(ORDER_WIDTH)
"""Columns of an order's row. Its times are indices of trades, -1 for never, and from `MOMENT` down
moments between two trades."""
FILL_WIDTH: Final = 3
FILL_ORDER, FILL_AT, FILL_QUANTITY = range(FILL_WIDTH)
"""Columns of a fill's row."""

ON_ITS_WAY: Final = int(End.ON_ITS_WAY)
RESTS: Final = int(End.OPEN)
FILLED: Final = int(End.FILLED)
CANCELED: Final = int(End.CANCELED)
REFUSED: Final = int(End.REFUSED)

NEVER: Final = -1
MOMENT: Final = -2
"""The first of `Rows.moments`; the second is one less, and so on."""


class Rows:
    """Orders and fills as rows of whole numbers, flat."""

    __slots__ = ("fills", "moments", "orders")

    def __init__(self) -> None:
        self.orders = array("q")
        self.fills = array("q")
        self.moments: list[tuple[int, int]] = []
        """Of what happened between two trades: the last trade before it, and its time."""

    def moment(self, trade: int, time_ns: int) -> int:
        """What a time between two trades is written down as."""
        self.moments.append((trade, time_ns))
        return MOMENT + 1 - len(self.moments)

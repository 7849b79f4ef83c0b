"""`Desk`: a bot's end of a backtest: its brain, and what it is told."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from opensqt.backtest.exact.timeline import Course
from opensqt.core.grid.book import GridBook, Standing
from opensqt.core.grid.brain import Brain
from opensqt.core.grid.results import Reservation
from opensqt.core.identifiers import epoch_at
from opensqt.core.risk.openings import Openings
from opensqt.engine.bot import Bot

DECISIONS_MAX: Final = 1000
"""More decisions in a row than this, at one price, are a fault of the strategy."""


class Desk:
    """A bot at work.

    Args:
        number: Its place among the bots of the case.
        bot: Which one.
        course: Its market.
        start_ns: When the data begins: the grid is of that epoch.
        openings: Those of its account.

    Raises:
        ValueError: The market never has a price.
    """

    def __init__(
        self, number: int, bot: Bot, course: Course, *, start_ns: int, openings: Openings
    ) -> None:
        first = course.first_price()
        if first is None:
            raise ValueError(f"{bot.symbol}: no price in the data; allowed: a trade or a quote")
        identity = replace(bot.identity(first), epoch=epoch_at(start_ns))
        self.number = number
        self.bot = bot
        self.course = course
        self.alarm_ns = 0
        """When it is to be woken next; 0: nobody has to."""
        self.brain = Brain(
            GridBook(identity=identity, standing=Standing.TRADING),
            config=bot.grid,
            instrument=bot.instrument,
            openings=openings,
        )

    def hear_price(
        self, last: Decimal | None, bid: Decimal | None, ask: Decimal | None, now_ns: int
    ) -> None:
        """The market moved."""
        self.brain.hear_price(last=last, bid=bid, ask=ask, time_ns=now_ns)

    def decide(self, now_ns: int) -> list[Reservation]:
        """Decide until there is nothing to decide."""
        decided: list[Reservation] = []
        while (reservation := self.brain.decide(now_ns=now_ns, deadline_ns=now_ns)) is not None:
            decided.append(reservation)
            assert len(decided) < DECISIONS_MAX, f"{self.bot.bot_id} decides without end"
        return decided

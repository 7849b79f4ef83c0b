"""`Trading`: what there is of a bot in one process once it has a grid."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from opensqt.core.events import Candle
from opensqt.core.grid.book import GridBook
from opensqt.core.grid.brain import Brain
from opensqt.core.risk.openings import Openings
from opensqt.engine.bot import Bot
from opensqt.engine.keeping import Keeping
from opensqt.engine.sending import Sending
from opensqt.engine.settling import Settling
from opensqt.engine.timing import SimpleTiming
from opensqt.ports import Clock, OrderSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """What decides for a grid, and what brings that to the exchange."""

    brain: Brain
    sending: Sending
    settling: Settling

    @classmethod
    def of(
        cls,
        book: GridBook,
        bot: Bot,
        *,
        exchange: OrderSide,
        keeping: Keeping,
        clock: Clock,
        timing: SimpleTiming,
        openings: Openings,
        candles: Iterable[Candle],
    ) -> Self:
        """Put it together.

        Args:
            book: The grid as it stands.
            bot: How it trades.
            exchange: Where.
            keeping: Is told of every change, and knows the orders that ended long ago.
            clock: Tells the time.
            timing: How long things may take.
            openings: Those of its account.
            candles: Closed one-minute candles of the past, oldest first.
        """
        brain = Brain(
            book,
            config=bot.grid,
            instrument=bot.instrument,
            recall=keeping.recall,
            on_change=keeping.note,
            openings=openings,
        )
        for candle in candles:
            brain.hear_candle(candle)
        sending = Sending(brain, exchange=exchange, clock=clock, answer_s=timing.answer_s)
        settling = Settling(
            brain, exchange=exchange, clock=clock, timing=timing, in_flight=sending.in_flight
        )
        return cls(brain=brain, sending=sending, settling=settling)

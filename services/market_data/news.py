"""What an order update tells, and what was told already."""

from typing import Final

from opensqt.core.events import OrderUpdate
from opensqt.core.numbers import plain
from opensqt.ports import Clock

TOLD_MAX: Final = 20_000


def facts(update: OrderUpdate) -> tuple[str, ...]:
    """What an update tells, the same however it was learnt; the main thing first.

    An execution, if it reports one, and where the order stands.
    """
    order = f"{update.symbol}:{update.exchange_order_id or update.client_oid}"
    stands = f"{order}:{update.status}:{plain(update.filled_quantity)}"
    if update.execution is None:
        return (stands,)
    return (f"{order}:execution {update.execution.execution_id}", stands)


def fingerprint(update: OrderUpdate) -> str:
    """A function of the update's content, so that a repetition has the same id."""
    return ":".join(facts(update))


class Told:
    """Remembers when something was told, and how often; the oldest is forgotten first.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: dict[str, tuple[int, int]] = {}

    def note(self, update: OrderUpdate) -> None:
        """This was told now."""
        for fact in facts(update):
            _, before = self._times.get(fact, (0, 0))
            self._times[fact] = (self._clock.now_ns(), before + 1)
        while len(self._times) > TOLD_MAX:
            del self._times[next(iter(self._times))]

    def when(self, update: OrderUpdate) -> int | None:
        """When the main thing of an update was told; None: never, as far as is remembered."""
        noted = self._times.get(facts(update)[0])
        return None if noted is None else noted[0]

    def times(self, update: OrderUpdate) -> int:
        """How often the main thing of an update was told to this ledger, as far as is known."""
        return self._times.get(facts(update)[0], (0, 0))[1]

    def lapse(self, symbol: str) -> None:
        """What was told of a market was told to a ledger that is lost: count from nought again."""
        for fact, (told_ns, _) in self._times.items():
            if fact.startswith(f"{symbol}:"):
                self._times[fact] = (told_ns, 0)

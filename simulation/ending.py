"""The end of a run: once everything is mended, it must come to rest, and then trade again."""

import asyncio
from typing import Final

from opensqt.core.grid.book import Standing
from opensqt.ports import ORDER_UPDATES
from simulation.database import at_once
from simulation.observer import HARNESS, ViolationError
from simulation.parts import Supervised
from simulation.person import Person
from simulation.plan import Part
from simulation.surroundings import BOT, Surroundings

LOOK_S: Final = 0.25
"""How often is looked whether everything has come to rest."""
QUIET_RECHECKS: Final = 2.5
"""Nothing must change for so many intervals of comparing, so that what was missed is found."""
REST_S_MAX: Final = 120.0
"""After so long everything must have come to rest."""
LOOKS_MAX: Final = 3
"""A person looks after a bot that does not trade: so often at most, for each intervention anew."""
AGAIN_S_MAX: Final = 20.0
"""Once mended, it must trade within this."""
VISITS_S: Final = (4.0, 8.0, 12.0, 16.0)
"""When the market comes to an order of ours, should it not by itself: a grid that is full waits."""


class Ending:
    """Sees a run to its end.

    Args:
        around: What the services live in.
        parts: The services.
        person: Looks after them.
        recheck_s: How often ledger and exchange are compared.
    """

    def __init__(
        self,
        around: Surroundings,
        parts: dict[Part, Supervised],
        person: Person,
        *,
        recheck_s: float,
    ) -> None:
        self._around = around
        self._parts = parts
        self._person = person
        self._recheck_s = recheck_s

    async def rest(self) -> None:
        """Wait until everything is settled and nothing has changed for a while."""
        began_s = since_s = self._around.loop.now_s
        before: object = None
        while self._around.loop.now_s - since_s < QUIET_RECHECKS * self._recheck_s:
            await asyncio.sleep(LOOK_S)
            restless = self._restless()
            now = self._signature()
            if restless or now != before:
                before, since_s = now, self._around.loop.now_s
            if self._around.loop.now_s - began_s > REST_S_MAX:
                why = restless or "the ledger or the exchange changes over and over"
                self._around.observer.fail(
                    ViolationError(HARNESS, f"no rest {REST_S_MAX:.0f} s after mending: {why}")
                )

    async def look_after_it(self) -> None:
        """A person resumes the bot if it has halted, and opens the gate if it is closed."""
        for looks in range(LOOKS_MAX + 1):
            halted = self._book_standing() is Standing.HALTED
            closed = self._around.gate is not None and not self._around.gate.open
            if not halted and not closed:
                return
            if looks == LOOKS_MAX:
                what = f"looked after {LOOKS_MAX} times, and still it does not trade"
                self._around.observer.fail(ViolationError(HARNESS, what))
            if halted:
                self._around.note("a person resumes the bot")
                await self._person.resume(BOT)
            if closed:
                self._around.note("a person opens the gate")
                await self._person.open_gate()
            await self.rest()
            self._around.observer.at_rest()

    async def trade_again(self) -> None:
        """Let the market move until there was an order and a fill."""
        around, seen = self._around, self._around.observer
        accepted, fills = seen.accepted_orders, seen.fills
        began_s = around.loop.now_s
        around.note("the market moves again")
        around.market.moves = True
        visits_s = list(VISITS_S)
        while around.loop.now_s - began_s < AGAIN_S_MAX:
            await asyncio.sleep(LOOK_S)
            if visits_s and around.loop.now_s - began_s > visits_s[0]:
                del visits_s[0]
                around.market.visit()
            if seen.accepted_orders > accepted and seen.fills > fills:
                return
        came = f"{seen.accepted_orders - accepted} orders, {seen.fills - fills} fills"
        seen.fail(ViolationError(HARNESS, f"no trading {AGAIN_S_MAX:.0f} s after mending: {came}"))

    def _restless(self) -> str:
        """Why it is not at rest; empty when it is."""
        for part in self._parts.values():
            if not part.running:
                return f"{part.part} does not run"
        books = at_once(self._around.database.store.identities())
        if not books:
            return "no grid is registered"
        for book in books:
            bot_id = book.identity.bot_id
            if book.standing is Standing.RECONCILING:
                return f"{bot_id} is still compared"
            doubtful = at_once(
                self._around.database.store.orders(
                    bot_id, live_only=False, unsettled_only=True, batch_id="", limit=1, before=""
                )
            )
            if doubtful:
                order = doubtful[0]
                return f"{order.client_oid} is in doubt: {order.status}"
        if waiting := self._around.broker.unacknowledged(ORDER_UPDATES):
            return f"{waiting} order updates wait for the ledger"
        if tasks := self._around.journal.seen_to():
            return f"settle task {tasks[0].task_id} is not over"
        if self._around.exchange.under_way:
            return "a request to the exchange is under way"
        if self._around.exchange.awaits_lost_answer:
            return "an answer of the exchange is awaited, and lost"
        return ""

    def _signature(self) -> object:
        """Differs when something has changed.

        An order that the exchange refuses changes nothing: an exit of what somebody else has
        closed by hand is refused over and over, at growing intervals.
        """
        books = at_once(self._around.database.store.identities())
        account = self._around.exchange.side.books
        return (
            tuple((book.identity.epoch, book.standing, book.totals.fills) for book in books),
            len(account.orders),
            len(account.fills),
            len(account.open_orders),
            self._around.gate.revision if self._around.gate is not None else 0,
        )

    def _book_standing(self) -> Standing | None:
        books = at_once(self._around.database.store.identities())
        return books[0].standing if books else None

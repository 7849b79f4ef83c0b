"""`PositionWatch`: which difference between exchange and ledger closes the gate, which is known.

A divergence closes the gate once. Whoever opens it again has seen it: the same difference does not
close it a second time, not even after a restart of this service, until it has gone or changed.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from opensqt.core.events import PositionCheck
from opensqt.core.numbers import NotExactError, parse_decimal, plain
from opensqt.core.risk.gate_log import REQUEST_ID_LENGTH_MAX

BY: Final = "risk: positions"
"""Who closes the gate."""
_PREFIX: Final = "position-check"


class PositionWatch:
    """Remembers the differences that the gate was closed for."""

    def __init__(self) -> None:
        self._known: dict[str, Decimal] = {}

    def recall(self, request_ids: Iterable[str]) -> None:
        """Learn from the gate's history what it was closed for, oldest first."""
        for request_id in request_ids:
            prefix, _, rest = request_id.partition(":")
            if prefix == _PREFIX and rest.count(":") == 2:
                symbol, difference, _ = rest.split(":")
                try:
                    self._known[symbol] = parse_decimal(difference)
                except NotExactError:
                    continue  # a person's own request of a like name

    def is_news(self, check: PositionCheck) -> bool:
        """Whether a check is to close the gate."""
        if check.diverging:
            return self._known.get(check.symbol) != check.difference
        if abs(check.difference) <= check.bound:
            self._known.pop(check.symbol, None)
        return False

    def closed_for(self, check: PositionCheck) -> None:
        """The gate was closed for it."""
        self._known[check.symbol] = check.difference


def request_id(check: PositionCheck) -> str:
    """The request to close the gate for a divergence; `PositionWatch.recall` reads it again."""
    text = f"{_PREFIX}:{check.symbol}:{plain(check.difference)}:{check.check_time_ns}"
    return text[:REQUEST_ID_LENGTH_MAX]


def reason(check: PositionCheck) -> str:
    """Why the gate is closed, for a person."""
    return (
        f"{check.symbol}: the exchange holds {plain(check.exchange_quantity)}, "
        f"the ledger {plain(check.ledger_quantity)}; at most {plain(check.bound)} may differ"
    )

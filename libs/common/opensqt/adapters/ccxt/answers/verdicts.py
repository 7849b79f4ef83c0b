"""The words of the tables: answers, what they prove, and the lines that say so."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from opensqt.core.orders import EndReason

TEXT_MAX: Final = 200

Statuses = tuple[range, ...]

BLAMED: Final[Statuses] = (range(400, 500),)
"""HTTP statuses with which an exchange blames the request."""
ANSWERED: Final[Statuses] = (range(200, 300), *BLAMED)
"""Those of exchanges that tell of most errors in the body of a 200."""
WHATEVER: Final[Statuses] = (range(200, 600),)
"""For codes that are doubtful under any status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is not a plain success."""

    status: int
    """HTTP status."""
    code: str
    """The exchange's own code; empty when the body has none."""
    text: str
    """The exchange's words, or the beginning of a body that is not what was expected."""
    retry_after_s: float | None = None


class Proof(Enum):
    """What an answer proves about the request."""

    REFUSED = "refused"
    """It was not carried out, and never will be."""
    NO_SUCH_ORDER = "no such order"
    """The exchange knows no such order, open or ended, as of now."""
    NOT_OPEN = "not open"
    """The exchange has no such open order: it ended, filled perhaps, or there never was one. Of a
    look-up this proves nothing."""
    UNKNOWN = "unknown"
    """It may or may not have been carried out, or may still be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an answer proves, and why."""

    proof: Proof
    reason: EndReason = EndReason.OTHER
    listed: bool = True
    """The answer is in the table; one that is not should be looked at by a person."""
    hold_s: float | None = None
    """Our address is barred: be silent so long, unless the answer itself says how long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table."""

    statuses: Statuses
    code: str | None
    """None: whatever code, or none."""
    text: str
    """Part of the exchange's words; empty: whatever words."""
    verdict: Verdict

    def fits(self, answer: Answer) -> bool:
        """Whether the line is about this answer."""
        return (
            self.code in (None, answer.code)
            and any(answer.status in statuses for statuses in self.statuses)
            and self.text.lower() in answer.text.lower()
        )


UNLISTED: Final = Verdict(proof=Proof.UNKNOWN, listed=False)
DOUBT: Final = Verdict(proof=Proof.UNKNOWN)
DUPLICATE: Final = Verdict(proof=Proof.UNKNOWN, reason=EndReason.DUPLICATE_ID)
"""An order of this id exists: ours, sent before, or a contradiction. It is looked up."""
NO_SUCH_ORDER: Final = Verdict(proof=Proof.NO_SUCH_ORDER)
NOT_OPEN: Final = Verdict(proof=Proof.NOT_OPEN)


def refused(reason: EndReason, *, hold_s: float | None = None) -> Verdict:
    """The request was not carried out, for `reason`."""
    return Verdict(proof=Proof.REFUSED, reason=reason, hold_s=hold_s)


def rows(
    codes: str, verdict: Verdict, *, statuses: Statuses = BLAMED, text: str = ""
) -> tuple[Row, ...]:
    """A line for each of `codes`, which are parted by blanks."""
    return tuple(
        Row(statuses=statuses, code=code, text=text, verdict=verdict) for code in codes.split()
    )


def http(status: int, verdict: Verdict, *, text: str = "") -> Row:
    """A line about an HTTP status, whatever code is in the body."""
    return Row(statuses=(range(status, status + 1),), code=None, text=text, verdict=verdict)

"""What happened in a run, in order: for the digest that makes runs comparable, and for stories."""

import hashlib
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    time_ns: int
    """Virtual time since the start of the run."""
    who: str
    """A part, or "exchange", "market", "bus", "store", "fault"."""
    what: str
    about: str = ""
    """The client order id that it is about; empty when it is about no order."""

    def __str__(self) -> str:
        """A line of a story."""
        return f"{self.time_ns / 1e9:10.4f} s  {self.who:<11}  {self.what}"


@dataclass(slots=True)
class Trace:
    """Collects what happens."""

    entries: list[Entry] = field(default_factory=list)
    events: int = 0
    """Everything that was counted: entries, and steps that are not worth a line."""

    def note(self, time_ns: int, who: str, what: str, about: str = "") -> None:
        """Something happened."""
        self.events += 1
        self.entries.append(Entry(time_ns, who, what, about))

    def digest(self) -> str:
        """The same for two runs exactly when the same things happened in the same order."""
        digest = hashlib.blake2b(digest_size=16)
        for entry in self.entries:
            digest.update(f"{entry.time_ns}|{entry.who}|{entry.what}|{entry.about}\n".encode())
        return digest.hexdigest()

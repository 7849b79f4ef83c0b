"""Counting what holds; used by the client scripts in their own environments (standard library)."""

# ruff: noqa: T201  # what is printed is the report

import json
import sys
import urllib.request
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Checks:
    """The checks of one client."""

    client: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def that(self, what: str, holds: object, found: object = "") -> None:
        """Count one check."""
        if holds:
            self.passed += 1
            print(f"  ok    {self.client}: {what}", flush=True)
        else:
            self.failed.append(what)
            print(f"  FAIL  {self.client}: {what}; found {found!r}", flush=True)

    def equal(self, what: str, found: object, expected: object) -> None:
        """Count one comparison."""
        self.that(what, found == expected, found)

    def finish(self) -> None:
        """Tell the result to whoever started the script, and leave."""
        print(json.dumps({"passed": self.passed, "failed": len(self.failed)}), flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def books(control_url: str) -> dict[str, Any]:
    """The exchange's own books of the account."""
    with urllib.request.urlopen(f"{control_url}/control/books", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)["accounts"]["paper"]
        return found

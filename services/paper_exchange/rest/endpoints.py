"""What an endpoint is: where it is, what it costs, who may call it, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from services.paper_exchange.errors import ApiError
from services.paper_exchange.rest.auth import Caller
from services.paper_exchange.rest.params import Params
from services.paper_exchange.venue import Venue


class Security(Enum):
    """What a request has to carry."""

    NONE = "nothing"
    KEY = "a known API key"
    READ = "a signature"
    TRADE = "a signature of a key that may trade"


NOBODY = Caller(account="", trade=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to an endpoint, after its caller was made out."""

    venue: Venue
    caller: Caller
    params: Params

    @property
    def now_ms(self) -> int:
        """The exchange's time."""
        return self.venue.clock.now_ns() // 1_000_000

    def symbol(self) -> str:
        """The listed symbol that the request names.

        Raises:
            ApiError: -1102 or -1121.
        """
        return self._listed(self.params.need("symbol"))

    def symbols(self) -> tuple[str, ...]:
        """The symbol that the request names, or all listed ones.

        Raises:
            ApiError: -1121.
        """
        name = self.params.text("symbol")
        return (self._listed(name),) if name else tuple(self.venue.symbols)

    def _listed(self, symbol: str) -> str:
        if symbol not in self.venue.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol


Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    handler: Handler
    security: Security = Security.NONE
    weight: int = 1
    weight_of_all: int | None = None
    """What it costs when no symbol is named, if that differs."""
    orders: bool = False
    """Counts toward the order limits: once, or once per order of a batch."""
    may_fail: bool = False
    """The injected faults of answers apply to it."""


def endpoint(
    method: str,
    path: str,
    handler: Handler,
    *,
    security: Security = Security.NONE,
    weight: int = 1,
    weight_of_all: int | None = None,
    orders: bool = False,
    may_fail: bool = False,
) -> Endpoint:
    """Shorthand for the tables of endpoints."""
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        security=security,
        weight=weight,
        weight_of_all=weight_of_all,
        orders=orders,
        may_fail=may_fail,
    )

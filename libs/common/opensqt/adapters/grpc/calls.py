"""Calling one of our services: deadlines, attempts, and errors as the domain knows them."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random

from opensqt.core.errors import Refusal
from opensqt.ports import DependencyError
from opensqt.runtime.errors import domain_errors

T = TypeVar("T")

ATTEMPTS: Final = 3
"""Of a call that may be repeated without a thought."""

WAIT_MAX_S: Final = 0.2


class Calls:
    """Calls of one service.

    Args:
        service: Its name, for errors.
        timeout_s: Deadline of each attempt of a call.
    """

    def __init__(self, service: str, *, timeout_s: float) -> None:
        self._service = service
        self._timeout_s = timeout_s

    async def once(self, call: Callable[..., Awaitable[T]], request: Any) -> T:
        """Call, and never again: for what must not be late.

        Raises:
            Refusal: The service said no.
            DependencyError: It did not answer; what became of the request is unknown.
        """
        with domain_errors():
            return await call(request, timeout=self._timeout_s)

    async def repeated(self, call: Callable[..., Awaitable[T]], request: Any) -> T:
        """Call up to `ATTEMPTS` times: for what may be repeated. Raises as `once` does."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(DependencyError),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_random(0, WAIT_MAX_S),
            reraise=True,
        )
        return await retrying(self.once, call, request)

    def read(self, decode: Callable[[Any], T], message: Any) -> T:
        """What the service said; that we cannot read it is its fault, not our request's.

        Raises:
            DependencyError: It cannot be read.
        """
        try:
            return decode(message)
        except Refusal as refusal:
            raise DependencyError(
                f"the {self._service} service's answer cannot be read: {refusal}"
            ) from None

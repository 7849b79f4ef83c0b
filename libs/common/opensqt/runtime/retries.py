"""Waiting, with backoff, for what a process needs at its start."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential
from tenacity.stop import stop_after_delay

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 2.0


async def until_it_answers(
    name: str,
    attempt: Callable[[], Awaitable[T]],
    *,
    errors: tuple[type[Exception], ...],
    timeout_s: float = 60.0,
) -> T:
    """Try until it works, ever less often.

    For connecting and for other things that may be repeated; never for sending an order.

    Args:
        name: What the log calls it.
        attempt: What to do.
        errors: What may go wrong meanwhile; anything else is raised at once.
        timeout_s: No new attempt begins after this; the last error is raised.
    """

    def note(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        _log.warning(
            "does_not_answer_yet",
            dependency=name,
            attempt=state.attempt_number,
            problem=f"{type(error).__name__}: {error}"[:200],
        )

    async def once() -> T:
        # The library awaits coroutine functions only, and not what a lambda returns.
        return await attempt()

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(errors),
        wait=wait_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S),
        stop=stop_after_delay(timeout_s),
        before_sleep=note,
        reraise=True,
    )
    return await retrying(once)

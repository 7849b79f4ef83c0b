"""Answers that somebody waits for: they come once, and what comes later is nobody's."""

import asyncio
from typing import Any, TypeVar

from opensqt.ports import DependencyError

T = TypeVar("T")


def settle(answer: "asyncio.Future[T]", result: T, problem: Exception | None) -> None:
    """Give an answer, unless it was given up or has come."""
    if answer.done():
        return
    if problem is not None:
        answer.set_exception(problem)
    else:
        answer.set_result(result)


def fail(answer: "asyncio.Future[Any]", why: str) -> None:
    """Say that no answer will come."""
    settle(answer, None, DependencyError(why))

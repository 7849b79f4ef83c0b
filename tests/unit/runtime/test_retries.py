"""Waiting for a dependency at the start."""

import pytest

from opensqt.runtime.retries import until_it_answers


class Flaky:
    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def connect(self) -> str:
        if self.failures:
            self.failures -= 1
            raise ConnectionRefusedError("not yet")
        return "connected"


async def test_it_tries_until_it_works() -> None:
    dependency = Flaky(2)
    assert await until_it_answers("it", dependency.connect, errors=(OSError,)) == "connected"


async def test_it_gives_up_with_the_last_error() -> None:
    dependency = Flaky(1000)
    with pytest.raises(ConnectionRefusedError, match="not yet"):
        await until_it_answers("it", dependency.connect, errors=(OSError,), timeout_s=0.05)


async def test_what_was_not_expected_is_raised_at_once() -> None:
    dependency = Flaky(1)
    with pytest.raises(ConnectionRefusedError):
        await until_it_answers("it", dependency.connect, errors=(ValueError,))
    assert dependency.failures == 0

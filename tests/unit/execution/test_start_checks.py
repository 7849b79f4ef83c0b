"""Execution refuses to start on an account that it would misread, or cannot trade on."""

import pytest

from opensqt.core.instrument import Instrument
from opensqt.ports import DependencyError
from opensqt.runtime.config import ConfigError
from services.execution import start_checks
from services.execution.start_checks import check_account
from tests.unit.execution.world import BTCUSDT


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_checks, "PERMISSION_S", 0.2)


class Account:
    """An exchange that answers the checks as it is told."""

    def __init__(self, *, hedging: bool = False, refusal: str = "", silent: int = 0) -> None:
        self.hedging = hedging
        self.refusal = refusal
        self.silent = silent
        self.asked_about: list[str] = []

    async def instruments(self) -> tuple[Instrument, ...]:
        self._speak()
        return (BTCUSDT,)

    def _speak(self) -> None:
        if self.silent:
            self.silent -= 1
            raise DependencyError("no answer")

    async def trading_refusal(self, symbol: str) -> str:
        self.asked_about.append(symbol)
        return self.refusal

    async def hedge_mode(self) -> bool:
        self._speak()
        return self.hedging


async def test_an_account_that_fits() -> None:
    account = Account()
    await check_account(account)  # type: ignore[arg-type]  # asks for no candles or events
    assert account.asked_about == [BTCUSDT.symbol]


async def test_an_exchange_that_answers_late() -> None:
    await check_account(Account(silent=3))  # type: ignore[arg-type]


async def test_an_exchange_that_does_not_answer() -> None:
    with pytest.raises(DependencyError):
        await check_account(Account(silent=10**6), timeout_s=0.3)  # type: ignore[arg-type]


async def test_an_exchange_that_lets_nobody_trade_now() -> None:
    class Half(Account):
        async def trading_refusal(self, symbol: str) -> str:
            raise DependencyError(symbol)

    await check_account(Half())  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        await check_account(Half(hedging=True))  # type: ignore[arg-type]


@pytest.mark.invariant(56)
async def test_hedge_mode() -> None:
    with pytest.raises(ConfigError) as raised:
        await check_account(Account(hedging=True))  # type: ignore[arg-type]
    text = str(raised.value)
    assert "exchange" in text
    assert "hedge mode" in text
    assert "one-way" in text


async def test_a_key_that_may_not_trade() -> None:
    with pytest.raises(ConfigError) as raised:
        await check_account(Account(refusal="HTTP 401, code -2015"))  # type: ignore[arg-type]
    text = str(raised.value)
    assert "exchange.api_key" in text
    assert "-2015" in text
    assert "may trade" in text

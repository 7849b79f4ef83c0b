"""Runs for tests, in a line each."""

from decimal import Decimal as D
from typing import Any

from opensqt.backtest.recorded.run import Run, RunEnd, RunFill, RunOrder, RunPurpose
from opensqt.core.orders import Side

S = 10**9


def fill(time_s: float, price: str, quantity: str = "0.01", **more: Any) -> RunFill:
    terms: dict[str, Any] = {"maker": True, "fee": D("0.12")} | more
    return RunFill(time_ns=round(time_s * S), price=D(price), quantity=D(quantity), **terms)


def order(slot: str, side: str, time_s: float, *fills: RunFill, **more: Any) -> RunOrder:
    """A buy opens and a sell closes, one tick of the grid (10) higher."""
    buys = side == "BUY"
    decided_ns = round(time_s * S)
    terms: dict[str, Any] = {
        "bot": "btc",
        "symbol": "BTCUSDT",
        "purpose": RunPurpose.OPEN if buys else RunPurpose.CLOSE,
        "cycle": 0,
        "price": D(slot) if buys else D(slot) + 10,
        "quantity": D("0.01"),
        "end": RunEnd.FILLED if fills else RunEnd.OPEN,
        "filled": sum((f.quantity for f in fills), D(0)),
        "decided_ns": decided_ns,
        "placed_ns": decided_ns + 1000,
        "ended_ns": fills[-1].time_ns if fills else None,
    } | more
    return RunOrder(slot_price=D(slot), side=Side(side), fills=fills, **terms)


def run(*orders: RunOrder, end_s: float | None = 1000) -> Run:
    end_ns = None if end_s is None else round(end_s * S)
    return Run(source="a test", orders=orders, start_ns=0, end_ns=end_ns)

"""Binance USD-M positions and balances, raw, to the core's values."""

from collections.abc import Mapping
from typing import Final

from opensqt.adapters.ccxt.payloads import (
    Payload,
    PayloadError,
    event_time_ns,
    number,
    optional,
    positive_or_none,
)
from opensqt.core.events import Position, PositionUpdate
from opensqt.core.numbers import ZERO

ONE_WAY: Final = "BOTH"
"""Position side of an account in one-way mode; we do not trade in hedge mode."""


def queried_position(symbol: str, rows: list[Payload]) -> Position:
    """The account's position from positionRisk, which leaves flat symbols out.

    Raises:
        PayloadError: The account is in hedge mode.
    """
    held = [row for row in rows if row["symbol"] == symbol]
    for row in held:
        if row.get("positionSide", ONE_WAY) != ONE_WAY:
            raise PayloadError(f"{symbol}: the account is in hedge mode; allowed is one-way mode")
    if not held:
        return flat(symbol)
    row = held[0]
    quantity = number(row, "positionAmt")
    return Position(
        symbol=symbol,
        quantity=quantity,
        entry_price=positive_or_none(row, "entryPrice") if quantity else None,
        mark_price=positive_or_none(row, "markPrice"),
        unrealised_pnl=optional(row, "unRealizedProfit"),
        liquidation_price=positive_or_none(row, "liquidationPrice"),
    )


def flat(symbol: str) -> Position:
    """No position."""
    return Position(
        symbol=symbol,
        quantity=ZERO,
        entry_price=None,
        mark_price=None,
        unrealised_pnl=None,
        liquidation_price=None,
    )


def streamed_positions(
    event: Payload, known: Mapping[str, Position], *, account: str, receive_time_ns: int
) -> tuple[PositionUpdate, ...]:
    """An ACCOUNT_UPDATE: the positions that changed, and the balance that changed with them.

    Args:
        event: The payload.
        known: The last positions by symbol: funding comes without a position, and can be told of
            a symbol only when just one is held.
        account: Whose.
        receive_time_ns: When it came.

    Raises:
        PayloadError: The account is in hedge mode, or a field is not as documented.
    """
    update: Payload = event["a"]
    positions = [_streamed_position(row) for row in update.get("P", ())]
    if not positions:
        held = [position for position in known.values() if position.quantity]
        positions = held if len(held) == 1 else []
    balances = update.get("B", ())
    balance: Payload = balances[0] if len(balances) == 1 else {}
    return tuple(
        PositionUpdate(
            account=account,
            position=position,
            cause=str(update.get("m", "")),
            wallet_balance=optional(balance, "wb"),
            # The change belongs to the whole event, so only its first position carries it.
            balance_change=optional(balance, "bc") if index == 0 else None,
            exchange_time_ns=event_time_ns(event, "T", receive_time_ns=receive_time_ns),
            receive_time_ns=receive_time_ns,
        )
        for index, position in enumerate(positions)
    )


def _streamed_position(row: Payload) -> Position:
    if row.get("ps", ONE_WAY) != ONE_WAY:
        raise PayloadError(f"{row['s']}: the account is in hedge mode; allowed is one-way mode")
    quantity = number(row, "pa")
    return Position(
        symbol=str(row["s"]),
        quantity=quantity,
        entry_price=positive_or_none(row, "ep") if quantity else None,
        mark_price=None,
        unrealised_pnl=optional(row, "up"),
        liquidation_price=None,
    )

"""Balances, margins and positions as Binance's JSON.

Versions 2 and 3 of Binance's endpoints differ in which keys they tell; here are all of them.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from opensqt.core.exchange.account import Account, Position
from opensqt.core.exchange.margin import Margin, liquidation_price, symbol_initial
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Order
from opensqt.core.numbers import ZERO
from services.paper_exchange.wording import Wording, money, ms

Json = dict[str, Any]


def position_risk(account: Account, market: Market, margin: Margin) -> Json:
    """A position in the words of positionRisk; the keys of versions 2 and 3 together."""
    instrument = market.rules.instrument
    position, mark = account.position(instrument.symbol), market.mark or ZERO
    wording = Wording(instrument)
    for_position, for_orders = _initial(account, position, mark)
    maintenance = abs(position.quantity) * mark * market.rules.maintenance_rate
    return {
        "symbol": instrument.symbol,
        "positionSide": "BOTH",
        "positionAmt": wording.quantity(position.quantity),
        "entryPrice": wording.price(position.entry_price),
        "breakEvenPrice": wording.price(position.entry_price),
        "markPrice": wording.price(mark),
        "unRealizedProfit": money(position.unrealised(mark)),
        "liquidationPrice": wording.price(liquidation_price(account, market, margin)),
        "isolatedMargin": "0",
        "notional": money(position.quantity * mark),
        "marginAsset": instrument.quote,
        "isolatedWallet": "0",
        "initialMargin": money(for_position + for_orders),
        "maintMargin": money(maintenance),
        "positionInitialMargin": money(for_position),
        "openOrderInitialMargin": money(for_orders),
        "adl": 0,
        "bidNotional": "0",
        "askNotional": "0",
        "leverage": str(account.leverage_of(instrument.symbol)),
        "maxNotionalValue": "1000000000",
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "updateTime": _position_time(account, instrument.symbol),
    }


def account_position(account: Account, market: Market) -> Json:
    """A position in the words of the account answer; the keys of versions 2 and 3 together."""
    instrument = market.rules.instrument
    position, mark = account.position(instrument.symbol), market.mark or ZERO
    wording = Wording(instrument)
    for_position, for_orders = _initial(account, position, mark)
    maintenance = abs(position.quantity) * mark * market.rules.maintenance_rate
    return {
        "symbol": instrument.symbol,
        "positionSide": "BOTH",
        "positionAmt": wording.quantity(position.quantity),
        "entryPrice": wording.price(position.entry_price),
        "breakEvenPrice": wording.price(position.entry_price),
        "unrealizedProfit": money(position.unrealised(mark)),
        "isolatedMargin": "0",
        "isolatedWallet": "0",
        "notional": money(position.quantity * mark),
        "initialMargin": money(for_position + for_orders),
        "maintMargin": money(maintenance),
        "positionInitialMargin": money(for_position),
        "openOrderInitialMargin": money(for_orders),
        "leverage": str(account.leverage_of(instrument.symbol)),
        "isolated": False,
        "maxNotional": "1000000000",
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": _position_time(account, instrument.symbol),
    }


def asset(account: Account, margin: Margin, *, name: str, now_ns: int) -> Json:
    """The one asset of an account in the words of the account answer."""
    return {
        "asset": name,
        "walletBalance": money(margin.wallet),
        "unrealizedProfit": money(margin.unrealised),
        "marginBalance": money(margin.equity),
        "maintMargin": money(margin.maintenance),
        "initialMargin": money(margin.initial),
        "positionInitialMargin": money(margin.position_initial),
        "openOrderInitialMargin": money(margin.order_initial),
        "crossWalletBalance": money(margin.wallet),
        "crossUnPnl": money(margin.unrealised),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(min(margin.available, max(margin.wallet, ZERO))),
        "marginAvailable": True,
        "updateTime": ms(account.fills[-1].time_ns if account.fills else now_ns),
    }


def totals(margin: Margin) -> Json:
    """The sums of the account answer."""
    return {
        "totalInitialMargin": money(margin.initial),
        "totalMaintMargin": money(margin.maintenance),
        "totalWalletBalance": money(margin.wallet),
        "totalUnrealizedProfit": money(margin.unrealised),
        "totalMarginBalance": money(margin.equity),
        "totalPositionInitialMargin": money(margin.position_initial),
        "totalOpenOrderInitialMargin": money(margin.order_initial),
        "totalCrossWalletBalance": money(margin.wallet),
        "totalCrossUnPnl": money(margin.unrealised),
        "availableBalance": money(margin.available),
        "maxWithdrawAmount": money(min(margin.available, max(margin.wallet, ZERO))),
    }


def _initial(account: Account, position: Position, mark: Decimal) -> tuple[Decimal, Decimal]:
    orders: Iterable[Order] = account.open_orders.values()
    leverage = account.leverage_of(position.symbol)
    return symbol_initial(position, orders, mark=mark, leverage=leverage)


def _position_time(account: Account, symbol: str) -> int:
    for fill in reversed(account.fills):
        if fill.symbol == symbol:
            return ms(fill.time_ns)
    return 0

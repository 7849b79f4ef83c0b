"""The exchange's books as Binance's JSON: the answers to REST requests.

Numbers are text without exponents; times are milliseconds.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from opensqt.core.exchange.account import Account, Position
from opensqt.core.exchange.margin import Margin, liquidation_price, symbol_initial
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Fill, Order, OrderType, TimeInForce
from opensqt.core.numbers import EXACT, ZERO, plain
from opensqt.core.orders import OrderStatus
from services.paper_exchange.config import SymbolConfig

Json = dict[str, Any]
_NEVER_MS = 4_133_404_800_000  # the delivery date of perpetual contracts
_LISTED_MS = 1_569_398_400_000
_OF_TRADES = ("REALIZED_PNL", "COMMISSION")


def ms(time_ns: int) -> int:
    """Milliseconds, as Binance tells times."""
    return time_ns // 1_000_000


def price_text(price: Decimal) -> str:
    """A price that may be an average: at most ten decimals."""
    rounded = EXACT.quantize(price, Decimal("1E-10"))
    return plain(rounded)


def decimals_of(step: Decimal) -> int:
    """How many decimals a multiple of `step` has at most."""
    exponent = step.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def order(item: Order, *, status: OrderStatus | None = None) -> Json:
    """An order; `status` overrides it for an answer that only acknowledges."""
    acknowledged = status is not None
    executed = ZERO if acknowledged else item.executed
    quote = ZERO if acknowledged else item.executed_quote
    return {
        "orderId": item.order_id,
        "symbol": item.symbol,
        "status": status or item.status,
        "clientOrderId": item.client_order_id,
        "price": plain(item.price or ZERO),
        "avgPrice": price_text(ZERO if acknowledged else item.average_price),
        "origQty": plain(item.quantity),
        "executedQty": plain(executed),
        "cumQty": plain(executed),
        "cumQuote": plain(quote),
        "timeInForce": time_in_force(item),
        "type": item.type,
        "reduceOnly": item.reduce_only,
        "closePosition": False,
        "side": item.side,
        "positionSide": "BOTH",
        "stopPrice": "0",
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": item.type,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": ms(item.good_till_ns or 0),
        "time": ms(item.created_ns),
        "updateTime": ms(item.updated_ns),
    }


def time_in_force(item: Order) -> str:
    """Market orders are reported as GTC."""
    return TimeInForce.GTC if item.type is OrderType.MARKET else item.time_in_force


def user_trade(fill: Fill, *, asset: str) -> Json:
    """One of the account's own trades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": plain(fill.price),
        "qty": plain(fill.quantity),
        "realizedPnl": plain(fill.realised),
        "quoteQty": plain(fill.price * fill.quantity),
        "commission": plain(fill.fee),
        "commissionAsset": asset,
        "time": ms(fill.time_ns),
        "positionSide": "BOTH",
        "buyer": fill.side.sign > 0,
        "maker": fill.maker,
    }


def incomes(account: Account, *, asset: str, opened_ns: int) -> list[Json]:
    """Everything that changed the wallet, oldest first."""

    def row(kind: str, amount: Decimal, time_ns: int, *, symbol: str, number: int) -> Json:
        return {
            "symbol": symbol,
            "incomeType": kind,
            "income": plain(amount),
            "asset": asset,
            "info": kind,
            "time": ms(time_ns),
            "tranId": number,
            "tradeId": str(number) if kind in _OF_TRADES else "",
        }

    rows = [row("TRANSFER", account.deposit, opened_ns, symbol="", number=0)]
    for fill in account.fills:
        of_fill: Json = {"symbol": fill.symbol, "number": fill.trade_id}
        if fill.realised:
            rows.append(row("REALIZED_PNL", fill.realised, fill.time_ns, **of_fill))
        rows.append(row("COMMISSION", -fill.fee, fill.time_ns, **of_fill))
    rows += [
        row("FUNDING_FEE", item.amount, item.time_ns, symbol=item.symbol, number=item.payment_id)
        for item in account.payments
    ]
    return sorted(rows, key=lambda item: item["time"])


def position_risk(account: Account, market: Market, margin: Margin) -> Json:
    """A position in the words of positionRisk; the keys of versions 2 and 3 together."""
    instrument = market.rules.instrument
    position, mark = account.position(instrument.symbol), market.mark or ZERO
    for_position, for_orders = _initial(account, position, mark)
    maintenance = abs(position.quantity) * mark * market.rules.maintenance_rate
    return {
        "symbol": instrument.symbol,
        "positionSide": "BOTH",
        "positionAmt": plain(position.quantity),
        "entryPrice": price_text(position.entry_price),
        "breakEvenPrice": price_text(position.entry_price),
        "markPrice": plain(mark),
        "unRealizedProfit": plain(position.unrealised(mark)),
        "liquidationPrice": price_text(liquidation_price(account, market, margin)),
        "isolatedMargin": "0",
        "notional": plain(position.quantity * mark),
        "marginAsset": instrument.quote,
        "isolatedWallet": "0",
        "initialMargin": price_text(for_position + for_orders),
        "maintMargin": price_text(maintenance),
        "positionInitialMargin": price_text(for_position),
        "openOrderInitialMargin": price_text(for_orders),
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
    for_position, for_orders = _initial(account, position, mark)
    maintenance = abs(position.quantity) * mark * market.rules.maintenance_rate
    return {
        "symbol": instrument.symbol,
        "positionSide": "BOTH",
        "positionAmt": plain(position.quantity),
        "entryPrice": price_text(position.entry_price),
        "breakEvenPrice": price_text(position.entry_price),
        "unrealizedProfit": plain(position.unrealised(mark)),
        "isolatedMargin": "0",
        "isolatedWallet": "0",
        "notional": plain(position.quantity * mark),
        "initialMargin": price_text(for_position + for_orders),
        "maintMargin": price_text(maintenance),
        "positionInitialMargin": price_text(for_position),
        "openOrderInitialMargin": price_text(for_orders),
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
        "walletBalance": plain(margin.wallet),
        "unrealizedProfit": plain(margin.unrealised),
        "marginBalance": plain(margin.equity),
        "maintMargin": price_text(margin.maintenance),
        "initialMargin": price_text(margin.initial),
        "positionInitialMargin": price_text(margin.position_initial),
        "openOrderInitialMargin": price_text(margin.order_initial),
        "crossWalletBalance": plain(margin.wallet),
        "crossUnPnl": plain(margin.unrealised),
        "availableBalance": price_text(margin.available),
        "maxWithdrawAmount": price_text(min(margin.available, max(margin.wallet, ZERO))),
        "marginAvailable": True,
        "updateTime": ms(account.fills[-1].time_ns if account.fills else now_ns),
    }


def totals(margin: Margin) -> Json:
    """The sums of the account answer."""
    return {
        "totalInitialMargin": price_text(margin.initial),
        "totalMaintMargin": price_text(margin.maintenance),
        "totalWalletBalance": plain(margin.wallet),
        "totalUnrealizedProfit": plain(margin.unrealised),
        "totalMarginBalance": plain(margin.equity),
        "totalPositionInitialMargin": price_text(margin.position_initial),
        "totalOpenOrderInitialMargin": price_text(margin.order_initial),
        "totalCrossWalletBalance": plain(margin.wallet),
        "totalCrossUnPnl": plain(margin.unrealised),
        "availableBalance": price_text(margin.available),
        "maxWithdrawAmount": price_text(min(margin.available, max(margin.wallet, ZERO))),
    }


def instrument(config: SymbolConfig, market: Market) -> Json:
    """A market in the words of exchangeInfo."""
    rules = market.rules
    item = rules.instrument
    ticks, steps = decimals_of(item.tick_size), decimals_of(item.step_size)
    band = rules.price_band
    highest = item.tick_size * 10_000_000
    lot: Json = {
        "minQty": plain(item.min_quantity),
        "maxQty": plain(item.max_quantity),
        "stepSize": plain(item.step_size),
    }
    return {
        "symbol": item.symbol,
        "pair": item.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NEVER_MS,
        "onboardDate": _LISTED_MS,
        "status": "TRADING",
        "maintMarginPercent": plain(rules.maintenance_rate * 100),
        "requiredMarginPercent": price_text(Decimal(100) / rules.max_leverage),
        "baseAsset": item.base,
        "quoteAsset": item.quote,
        "marginAsset": item.quote,
        "pricePrecision": ticks,
        "quantityPrecision": steps,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"] if config.base == "BTC" else [],
        "triggerProtect": "0.0500",
        "liquidationFee": plain(rules.liquidation_fee),
        "marketTakeBound": plain(band),
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": plain(item.tick_size),
                "maxPrice": plain(highest),
                "tickSize": plain(item.tick_size),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": rules.max_open_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": plain(item.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": plain(1 + band),
                "multiplierDown": plain(1 - band),
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
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

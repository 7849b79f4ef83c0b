"""Orders, trades, incomes and markets as Binance's JSON."""

from decimal import Decimal
from typing import Any

from opensqt.core.exchange.account import Account
from opensqt.core.exchange.market import Market
from opensqt.core.exchange.orders import Change, Fill, Order, OrderType, TimeInForce
from opensqt.core.numbers import ZERO
from opensqt.core.orders import OrderStatus
from services.paper_exchange.config import SymbolConfig
from services.paper_exchange.wording import Wording, money, ms, padded, ratio

Json = dict[str, Any]
_NEVER_MS = 4_133_404_800_000  # the delivery date of perpetual contracts
_LISTED_MS = 1_569_398_400_000
_OF_TRADES = ("REALIZED_PNL", "COMMISSION")


def order(item: Order, wording: Wording, *, status: OrderStatus | None = None) -> Json:
    """An order; `status` overrides it for an answer that only acknowledges."""
    acknowledged = status is not None
    executed = ZERO if acknowledged else item.executed
    quote = ZERO if acknowledged else item.executed_quote
    return {
        "orderId": item.order_id,
        "symbol": item.symbol,
        "status": status or order_status(item),
        "clientOrderId": item.client_order_id,
        "price": wording.price(item.price or ZERO),
        "avgPrice": wording.price(ZERO if acknowledged else item.average_price),
        "origQty": wording.quantity(item.quantity),
        "executedQty": wording.quantity(executed),
        "cumQty": wording.quantity(executed),
        "cumQuote": wording.notional(quote),
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


def order_status(item: Order) -> str:
    """The status, which on Binance says when self-trade prevention has expired an order."""
    return Change.EXPIRED_IN_MATCH if item.expired_in_match else item.status


def time_in_force(item: Order) -> str:
    """Market orders are reported as GTC."""
    return TimeInForce.GTC if item.type is OrderType.MARKET else item.time_in_force


def user_trade(fill: Fill, wording: Wording, *, asset: str) -> Json:
    """One of the account's own trades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side,
        "price": wording.price(fill.price),
        "qty": wording.quantity(fill.quantity),
        "realizedPnl": money(fill.realised),
        "quoteQty": wording.notional(fill.price * fill.quantity),
        "commission": money(fill.fee),
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
            "income": money(amount),
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


def instrument(config: SymbolConfig, market: Market) -> Json:
    """A market in the words of exchangeInfo."""
    rules = market.rules
    item = rules.instrument
    wording = Wording(item)
    band = rules.price_band
    highest = item.tick_size * 10_000_000
    lot: Json = {
        "minQty": wording.quantity(item.min_quantity),
        "maxQty": wording.quantity(item.max_quantity),
        "stepSize": wording.quantity(item.step_size),
    }
    return {
        "symbol": item.symbol,
        "pair": item.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _NEVER_MS,
        "onboardDate": _LISTED_MS,
        "status": "TRADING",
        "maintMarginPercent": ratio(rules.maintenance_rate * 100),
        "requiredMarginPercent": padded(round(Decimal(100) / rules.max_leverage, 4), 4),
        "baseAsset": item.base,
        "quoteAsset": item.quote,
        "marginAsset": item.quote,
        "pricePrecision": wording.price_decimals,
        "quantityPrecision": wording.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"] if config.base == "BTC" else [],
        "triggerProtect": "0.0500",
        "liquidationFee": ratio(rules.liquidation_fee),
        "marketTakeBound": ratio(band),
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": wording.price(item.tick_size),
                "maxPrice": wording.price(highest),
                "tickSize": wording.price(item.tick_size),
            },
            {"filterType": "LOT_SIZE", **lot},
            {"filterType": "MARKET_LOT_SIZE", **lot},
            {"filterType": "MAX_NUM_ORDERS", "limit": rules.max_open_orders},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
            {"filterType": "MIN_NOTIONAL", "notional": ratio(item.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": ratio(1 + band),
                "multiplierDown": ratio(1 - band),
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }

"""The endpoints of the account: balances, positions, settings, income, listen keys."""

from typing import Any

from services.paper_exchange import encode, encode_account
from services.paper_exchange.errors import ApiError
from services.paper_exchange.rest.endpoints import Call, Security, endpoint
from services.paper_exchange.wording import ratio

Json = dict[str, Any]


def account(call: Call) -> Json:
    """The whole account: sums, assets, positions."""
    venue, name = call.venue, call.caller.account
    books, margin = venue.account(name), venue.exchange.margin(name)
    positions = [
        encode_account.account_position(books, market) for market in venue.exchange.markets.values()
    ]
    return {
        "feeTier": 0,
        "feeBurn": True,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        **encode_account.totals(margin),
        "assets": _assets(call),
        "positions": positions,
    }


def balance(call: Call) -> list[Json]:
    """The account's assets."""
    return [
        {
            "accountAlias": call.caller.account,
            "asset": item["asset"],
            "balance": item["walletBalance"],
            "crossWalletBalance": item["crossWalletBalance"],
            "crossUnPnl": item["crossUnPnl"],
            "availableBalance": item["availableBalance"],
            "maxWithdrawAmount": item["maxWithdrawAmount"],
            "marginAvailable": True,
            "updateTime": item["updateTime"],
        }
        for item in _assets(call)
    ]


def position_risk_all(call: Call) -> list[Json]:
    """Every position, flat ones too, as version 2 answers."""
    venue, name = call.venue, call.caller.account
    books, margin = venue.account(name), venue.exchange.margin(name)
    return [
        encode_account.position_risk(books, venue.exchange.markets[symbol], margin)
        for symbol in call.symbols()
    ]


def position_risk_open(call: Call) -> list[Json]:
    """The positions that are open or have open orders, as version 3 answers."""
    books = call.venue.account(call.caller.account)
    ordered = {order.symbol for order in books.open_orders.values()}
    wanted = {
        symbol for symbol in call.symbols() if books.position(symbol).quantity or symbol in ordered
    }
    return [
        {key: row[key] for key in row.keys() - _NOT_IN_V3}
        for row in position_risk_all(call)
        if row["symbol"] in wanted
    ]


_NOT_IN_V3 = {"leverage", "maxNotionalValue", "marginType", "isAutoAddMargin"}


def set_leverage(call: Call) -> Json:
    """Set the leverage of a symbol."""
    symbol, leverage = call.symbol(), call.params.need_integer("leverage")
    try:
        call.venue.set_leverage(call.caller.account, symbol, leverage)
    except ApiError as error:
        if error.code == -4028:
            raise ApiError(-4028, f"Leverage {leverage} is not valid") from None
        raise
    return {"leverage": leverage, "maxNotionalValue": "1000000000", "symbol": symbol}


def set_margin_type(call: Call) -> Json:
    """Only cross margin is simulated."""
    call.symbol()
    if call.params.need("marginType").upper() == "CROSSED":
        raise ApiError(-4046, "No need to change margin type.")
    raise ApiError(-4047, "Margin type cannot be changed if there exists open orders.")


def position_mode(_: Call) -> Json:
    """One-way mode, always."""
    return {"dualSidePosition": False}


def set_position_mode(call: Call) -> Json:
    """Only one-way mode is simulated."""
    call.params.need("dualSidePosition")
    if not call.params.boolean("dualSidePosition"):
        raise ApiError(-4059, "No need to change position side.")
    raise ApiError(-4068, "Position side cannot be changed if there exists position.")


def multi_assets_mode(_: Call) -> Json:
    """Single-asset mode, always."""
    return {"multiAssetsMargin": False}


def set_multi_assets_mode(call: Call) -> Json:
    """Only single-asset mode is simulated."""
    call.params.need("multiAssetsMargin")
    if not call.params.boolean("multiAssetsMargin"):
        raise ApiError(-4171, "No need to change multi assets mode.")
    raise ApiError(-4167, "Unable to adjust to Multi-Assets mode with symbols of USD-M Futures.")


def leverage_bracket(call: Call) -> Json | list[Json]:
    """One bracket for any notional."""
    rows = []
    for symbol in call.symbols():
        rules = call.venue.exchange.markets[symbol].rules
        bracket = {
            "bracket": 1,
            "initialLeverage": rules.max_leverage,
            "notionalCap": 1_000_000_000,
            "notionalFloor": 0,
            "maintMarginRatio": float(rules.maintenance_rate),
            "cum": 0,
        }
        rows.append({"symbol": symbol, "notionalCoef": 1, "brackets": [bracket]})
    return rows[0] if call.params.text("symbol") else rows


def symbol_config(call: Call) -> list[Json]:
    """The account's settings per symbol."""
    books = call.venue.account(call.caller.account)
    return [
        {
            "symbol": symbol,
            "marginType": "CROSSED",
            "isAutoAddMargin": False,
            "leverage": books.leverage_of(symbol),
            "maxNotionalValue": "1000000000",
        }
        for symbol in call.symbols()
    ]


def account_config(_: Call) -> Json:
    """The account's settings."""
    return {
        "feeTier": 0,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "dualSidePosition": False,
        "updateTime": 0,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
    }


def commission_rate(call: Call) -> Json:
    """The fees of a symbol."""
    symbol = call.symbol()
    fees = call.venue.exchange.markets[symbol].rules.fees
    return {
        "symbol": symbol,
        "makerCommissionRate": ratio(fees.maker),
        "takerCommissionRate": ratio(fees.taker),
    }


def income(call: Call) -> list[Json]:
    """What changed the wallet: deposit, profits, fees, funding."""
    start, end = call.params.window()
    limit = call.params.limit(default=100, most=1000)
    kind, symbol = call.params.text("incomeType"), call.params.text("symbol")
    venue = call.venue
    asset = next(iter(venue.symbols.values())).quote
    rows = [
        row
        for row in encode.incomes(
            venue.account(call.caller.account), asset=asset, opened_ns=venue.opened_ns
        )
        if start <= row["time"] <= end
        and (kind is None or row["incomeType"] == kind)
        and (symbol is None or row["symbol"] == symbol)
    ]
    return rows[:limit] if start else rows[-limit:]


def adl_quantile(call: Call) -> list[Json]:
    """Nobody is ever deleveraged."""
    quantile = {"LONG": 0, "SHORT": 0, "BOTH": 0}
    return [{"symbol": symbol, "adlQuantile": quantile} for symbol in call.symbols()]


def fee_burn(_: Call) -> Json:
    """Fees are paid in the quote asset, whatever this says."""
    return {"feeBurn": False}


def open_listen_key(call: Call) -> Json:
    """The account's listen key, made or kept alive."""
    return {"listenKey": call.venue.listen_keys.open(call.caller.account)}


def keep_listen_key(call: Call) -> Json:
    """Keep the account's listen key alive."""
    key = call.venue.listen_keys.keep_alive(call.caller.account)
    if key is None:
        raise ApiError(-1125, "This listenKey does not exist.")
    return {"listenKey": key}


def close_listen_key(call: Call) -> Json:
    """End the account's listen key."""
    call.venue.listen_keys.close(call.caller.account)
    return {}


def _assets(call: Call) -> list[Json]:
    venue, name = call.venue, call.caller.account
    quote = next(iter(venue.symbols.values())).quote
    margin = venue.exchange.margin(name)
    return [
        encode_account.asset(venue.account(name), margin, name=quote, now_ns=venue.clock.now_ns())
    ]


_KEY, _READ, _TRADE = Security.KEY, Security.READ, Security.TRADE
_LISTEN = "/fapi/v1/listenKey"
ENDPOINTS = (
    *(
        endpoint("GET", f"/fapi/{version}/account", account, security=_READ, weight=5)
        for version in ("v2", "v3")
    ),
    *(
        endpoint("GET", f"/fapi/{version}/balance", balance, security=_READ, weight=5)
        for version in ("v2", "v3")
    ),
    endpoint("GET", "/fapi/v1/positionRisk", position_risk_all, security=_READ, weight=5),
    endpoint("GET", "/fapi/v2/positionRisk", position_risk_all, security=_READ, weight=5),
    endpoint("GET", "/fapi/v3/positionRisk", position_risk_open, security=_READ, weight=5),
    endpoint("POST", "/fapi/v1/leverage", set_leverage, security=_TRADE),
    endpoint("POST", "/fapi/v1/marginType", set_margin_type, security=_TRADE),
    endpoint("GET", "/fapi/v1/positionSide/dual", position_mode, security=_READ, weight=30),
    endpoint("POST", "/fapi/v1/positionSide/dual", set_position_mode, security=_TRADE),
    endpoint("GET", "/fapi/v1/multiAssetsMargin", multi_assets_mode, security=_READ, weight=30),
    endpoint("POST", "/fapi/v1/multiAssetsMargin", set_multi_assets_mode, security=_TRADE),
    endpoint("GET", "/fapi/v1/leverageBracket", leverage_bracket, security=_READ),
    endpoint("GET", "/fapi/v1/symbolConfig", symbol_config, security=_READ, weight=5),
    endpoint("GET", "/fapi/v1/accountConfig", account_config, security=_READ, weight=5),
    endpoint("GET", "/fapi/v1/commissionRate", commission_rate, security=_READ, weight=20),
    endpoint("GET", "/fapi/v1/income", income, security=_READ, weight=30),
    endpoint("GET", "/fapi/v1/adlQuantile", adl_quantile, security=_READ, weight=5),
    endpoint("GET", "/fapi/v1/feeBurn", fee_burn, security=_READ, weight=30),
    endpoint("POST", _LISTEN, open_listen_key, security=_KEY),
    endpoint("PUT", _LISTEN, keep_listen_key, security=_KEY),
    endpoint("DELETE", _LISTEN, close_listen_key, security=_KEY),
)

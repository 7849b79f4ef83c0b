"""What a run assumed, in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from opensqt.backtest.case import Case
from opensqt.core.exchange.rules import MarketRules, Touch
from opensqt.core.numbers import plain
from opensqt.runtime.backtest_config import BacktestConfig, CandleWay, FundingSource

NOT_MODELLED = (
    "The market does not react: the bot's orders move no price and draw no other traders.",
    "Rate limits, outages, disconnections, delays that vary, and maintenance of the exchange.",
    "Tiers of maintenance margin (one rate per symbol), insurance funds and auto-deleveraging.",
    "The risk gate: it counts as open throughout.",
)
"""What a backtest leaves out, whatever is assumed."""

_TOUCH = {
    Touch.QUEUE: "a trade at an order's price first fills what was displayed there before the "
    "order came, then the order",
    Touch.NEVER: "a trade at an order's price does not fill it, only one through it does",
    Touch.AT_ONCE: "a trade at an order's price fills it, as if nobody were before it",
}
_WAY = {
    CandleWay.NEAREST: "from open to the nearer of high and low, to the other one, to close",
    CandleWay.WORST: "the shorter one (a rising candle goes to its low first, a falling one to its "
    "high), which gives a grid the fewest round trips",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One thing that was assumed."""

    subject: str
    text: str


def assumptions_of(case: Case, assumed: BacktestConfig) -> tuple[Assumption, ...]:
    """Everything that was assumed, in words.

    Args:
        case: What was run.
        assumed: The assumptions that the case was made with.
    """
    return tuple(Assumption(subject=subject, text=text) for subject, text in _texts(case, assumed))


def _texts(case: Case, assumed: BacktestConfig) -> Iterator[tuple[str, str]]:
    traded = {bot.symbol: case.markets[bot.symbol] for bot in case.bots}
    yield "Data", "; ".join(_data(case, symbol, assumed) for symbol in traded)
    yield "Fees", _each(traded, _fees)
    latency = case.latency
    slow = (
        f"prices reach the bot after {_ms(latency.market_ns)}, orders the exchange after "
        f"{_ms(latency.order_ns)}, answers and fills the bot after {_ms(latency.report_ns)}; "
        "always the same"
    )
    yield "Latency", slow
    volume = (
        "a trade fills at most its own quantity, so orders fill in parts"
        if assumed.fills.bounded
        else "a trade fills whole orders, however small it was"
    )
    yield "Fills", f"{_TOUCH[assumed.fills.touch]}; {volume}; a trade through it fills it all"
    yield "Depth", _each(traded, _depth)
    yield "Mark price", "; ".join(_mark(case, symbol) for symbol in traded)
    yield "Funding", _funding(case, assumed, tuple(traded))
    yield "Margin", _each(traded, lambda rules: _margin(case, rules))
    accounts = ", ".join(
        f"{name} with {plain(account.deposit)}" for name, account in case.accounts.items()
    )
    yield "Accounts", f"{accounts}; bots on the same account share its margin"
    yield "Rules", _each(traded, _rules)


def _data(case: Case, symbol: str, assumed: BacktestConfig) -> str:
    tape = case.tapes[symbol]
    if tape.candle_s is None:
        return f"{symbol}: {len(tape.trades):,} trades, {len(tape.quotes):,} quotes, as recorded"
    return (
        f"{symbol}: candles of {tape.candle_s} s as {len(tape.trades):,} trades. A candle does not "
        f"tell the way within it; the way assumed is {_WAY[assumed.candles]}, the volume in equal "
        "parts"
    )


def _fees(rules: MarketRules) -> str:
    return f"{_percent(rules.fees.maker)} maker, {_percent(rules.fees.taker)} taker"


def _depth(rules: MarketRules) -> str:
    base = rules.instrument.base
    return f"{plain(rules.assumed_depth)} {base} at each price of which the data does not tell"


def _mark(case: Case, symbol: str) -> str:
    told = len(case.tapes[symbol].marks)
    return f"{symbol}: " + (f"{told:,} from the data" if told else "the last trade's price")


def _funding(case: Case, assumed: BacktestConfig, symbols: tuple[str, ...]) -> str:
    if assumed.funding.source is FundingSource.NONE:
        return "none"
    if assumed.funding.source is FundingSource.CONSTANT:
        assert assumed.funding.rate is not None
        hours = assumed.funding.interval_hours
        return f"{_percent(assumed.funding.rate)} every {hours} h, settled at the mark price"
    told = "; ".join(f"{s}: {len(case.tapes[s].fundings):,} settlements" for s in symbols)
    return f"from the data, at its own times, settled at the mark price; {told}"


def _margin(case: Case, rules: MarketRules) -> str:
    symbol = rules.instrument.symbol
    accounts = {bot.account for bot in case.bots if bot.symbol == symbol}
    leverage = sorted({case.accounts[name].leverage_of(symbol) for name in accounts})
    return (
        f"cross, {'/'.join(map(str, leverage))}x; liquidated where equity meets "
        f"{_percent(rules.maintenance_rate)} of the notional, for a fee of "
        f"{_percent(rules.liquidation_fee)}; a loss beyond the wallet leaves it negative"
    )


def _rules(rules: MarketRules) -> str:
    instrument = rules.instrument
    return (
        f"tick {plain(instrument.tick_size)}, step {plain(instrument.step_size)}, quantity "
        f"{plain(instrument.min_quantity)} to {plain(instrument.max_quantity)}, at least "
        f"{plain(instrument.min_notional)} {instrument.quote}"
    )


def _each(markets: Mapping[str, MarketRules], say: Callable[[MarketRules], str]) -> str:
    """What holds of every market, said once if it is the same for all."""
    said = {symbol: say(rules) for symbol, rules in markets.items()}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{symbol}: {text}" for symbol, text in said.items())


def _percent(share: Decimal) -> str:
    return f"{plain(share * 100)} %"


def _ms(ns: int) -> str:
    return f"{plain(Decimal(ns) / 1_000_000)} ms"

"""From what a trader wrote down to a case: bots, assumptions, trading rules, data.

Everything that can be wrong about them together is found here, before anything runs: a symbol
without rules, an interval off the tick, a quantity off the step, an order below the least notional,
two bots on one market of one account.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from opensqt.backtest.case import AccountCase, Case, Latency
from opensqt.backtest.data.candles import CandlePath, worst_path
from opensqt.backtest.data.ordering import Parts, ranks
from opensqt.backtest.data.reading import read_tape
from opensqt.backtest.tape import RATE_UNIT, Fundings, Tape
from opensqt.core.exchange.rules import Fees, MarketRules
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import EXACT, is_multiple, plain
from opensqt.engine.bot import Bot
from opensqt.runtime.backtest_config import BacktestConfig, CandleWay, FundingSource
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, ConfigProblem, refuse

HOUR_NS: Final = 3_600 * 10**9
SYMBOLS_SHOWN: Final = 20


def make_bots(
    configs: Sequence[BotConfig], markets: Mapping[str, MarketRules], assumed: BacktestConfig
) -> tuple[Bot, ...]:
    """The bots of a case.

    Args:
        configs: As the trader wrote them; the same that trade live.
        markets: The trading rules, by symbol.
        assumed: Says whose account each bot trades on.

    Raises:
        ConfigError: A bot that cannot be; names the bot, the key, and what is allowed.
    """
    bots: list[Bot] = []
    for config in configs:
        who = f"bot {config.bot_id}"
        rules = markets.get(config.symbol)
        if rules is None:
            raise _of_bot(who, refuse("symbol", config.symbol, _listed(markets)))
        anchor, tick = config.grid.anchor, rules.instrument.tick_size
        if anchor is not None and not is_multiple(anchor, tick):
            allowed = f"a multiple of the tick {plain(tick)}"
            raise _of_bot(who, refuse("grid.anchor", plain(anchor), allowed))
        if any(bot.bot_id == config.bot_id for bot in bots):
            raise _of_bot(who, refuse("bot_id", config.bot_id, "another name for each bot"))
        account = config.account if assumed.accounts == "shared" else config.bot_id
        bots.append(Bot.of(config, rules.instrument, account=account))
        _check_together(who, bots)
    return tuple(bots)


def check_named(path: Path, symbol: str, markets: Mapping[str, MarketRules]) -> None:
    """Refuse a file that by its name is another symbol's: most tables do not say whose they are.

    Raises:
        ConfigError: It names a symbol of the markets, and not this one.
    """
    words = set(re.split(r"[^A-Z0-9]+", path.name.upper()))
    named = sorted(words & markets.keys())
    if named and symbol not in named and path.is_file():
        raise refuse("--data", str(path), f"data of {symbol}; by its name it is of {named[0]}")


def check_first_price(config: BotConfig, tape: Tape, instrument: Instrument) -> None:
    """Refuse a bot whose orders the exchange would refuse at the first price of its market.

    Raises:
        ConfigError: Naming the bot, the key, and what is allowed.
    """
    if len(tape.trades):
        ticks = int(tape.trades.price[0])
    elif len(tape.quotes):
        ticks = int(tape.quotes.bid[0])
    else:
        return
    try:
        config.check_instrument(instrument, EXACT.multiply(Decimal(ticks), tape.tick))
    except ConfigError as error:
        raise _of_bot(f"bot {config.bot_id}", error) from None


def read_market(
    path: Path,
    bot: Bot,
    assumed: BacktestConfig,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    strict: bool = False,
) -> Tape:
    """Read the market of a bot, along the way and with the funding that are assumed.

    Raises:
        DamagedData: It cannot be read, holds nothing in the span, or is wrong and `strict`.
    """
    worst = assumed.candles is CandleWay.WORST
    tape = read_tape(
        path,
        bot.instrument,
        start_ns=start_ns,
        end_ns=end_ns,
        strict=strict,
        candle_path=worst_path(bot.direction) if worst else CandlePath.NEAREST,
    )
    return with_funding(tape, assumed)


def with_funding(tape: Tape, assumed: BacktestConfig) -> Tape:
    """The tape with the funding that is assumed, instead of its own."""
    if assumed.funding.source is FundingSource.DATA:
        return tape
    if assumed.funding.source is FundingSource.NONE or not len(tape.trades):
        return replace(tape, fundings=Fundings.empty())
    assert assumed.funding.rate is not None
    every_ns = assumed.funding.interval_hours * HOUR_NS
    first, last = int(tape.trades.time_ns[0]), int(tape.trades.time_ns[-1])
    times = np.arange(-(-first // every_ns) * every_ns, last + 1, every_ns, dtype=np.int64)
    count = len(times)
    fundings = Fundings.of(
        time_ns=times,
        rate=np.full(count, int(EXACT.divide(assumed.funding.rate, RATE_UNIT))),
        interval_minutes=np.full(count, assumed.funding.interval_hours * 60),
        row=np.arange(count),
    )
    # Where its time is among what happens in the market, as with fundings from a file.
    places = ranks([tape.trades.row, tape.quotes.row, tape.marks.row])
    parts = Parts(
        trades=replace(tape.trades, row=places[0]),
        quotes=replace(tape.quotes, row=places[1]),
        marks=replace(tape.marks, row=places[2]),
        fundings=Fundings.empty(),
    ).with_beside(None, fundings)
    return replace(
        tape,
        trades=parts.trades,
        quotes=parts.quotes,
        marks=parts.marks,
        fundings=parts.fundings,
    )


def build_case(
    bots: Sequence[Bot],
    markets: Mapping[str, MarketRules],
    tapes: Mapping[str, Tape],
    assumed: BacktestConfig,
) -> Case:
    """The case.

    Args:
        bots: As `make_bots` made them.
        markets: The trading rules, by symbol.
        tapes: The markets that the bots trade, by symbol.
        assumed: Everything else.

    Raises:
        ConfigError: The leverage is more than a market allows.
    """
    symbols = {bot.symbol for bot in bots}
    leverage = {s: assumed.leverage_by_symbol.get(s, assumed.leverage) for s in sorted(symbols)}
    for symbol, wanted in leverage.items():
        if wanted > markets[symbol].max_leverage:
            allowed = f"up to {markets[symbol].max_leverage} for {symbol}"
            raise refuse("leverage", wanted, allowed)
    return Case(
        bots=tuple(bots),
        markets={symbol: assumed_rules(markets[symbol], assumed) for symbol in sorted(symbols)},
        tapes={symbol: tapes[symbol] for symbol in sorted(symbols)},
        accounts={
            name: AccountCase(deposit=assumed.deposit, leverage=leverage)
            for name in dict.fromkeys(bot.account for bot in bots)
        },
        latency=Latency(
            market_ns=assumed.latency.market,
            order_ns=assumed.latency.order,
            report_ns=assumed.latency.report,
        ),
    )


def assumed_rules(rules: MarketRules, assumed: BacktestConfig) -> MarketRules:
    """A market's rules, with what is assumed of fees and fills."""
    changed: dict[str, Any] = {"touch": assumed.fills.touch, "bounded": assumed.fills.bounded}
    if assumed.fees is not None:
        changed["fees"] = Fees(maker=assumed.fees.maker, taker=assumed.fees.taker)
    if assumed.fills.assumed_depth is not None:
        changed["assumed_depth"] = assumed.fills.assumed_depth
    return replace(rules, **changed)


def _check_together(who: str, bots: Sequence[Bot]) -> None:
    """Refuse the last bot if it does not go with those before it."""
    last = bots[-1]
    for bot in bots[:-1]:
        if bot.account != last.account:
            continue
        if bot.symbol == last.symbol:
            allowed = f"one bot for a symbol of an account, and {bot.bot_id} trades it on "
            raise _of_bot(who, refuse("symbol", last.symbol, f"{allowed}{bot.account}"))
        if bot.instrument.quote != last.instrument.quote:
            allowed = f"symbols in {bot.instrument.quote}, as the others of account {bot.account}"
            raise _of_bot(who, refuse("symbol", last.symbol, allowed))


def _listed(markets: Mapping[str, MarketRules]) -> str:
    names = sorted(markets)
    more = f" and {len(names) - SYMBOLS_SHOWN} more" if len(names) > SYMBOLS_SHOWN else ""
    return f"symbols with rules: {', '.join(names[:SYMBOLS_SHOWN]) or 'none'}{more} (--markets)"


def _of_bot(who: str, error: ConfigError) -> ConfigError:
    problems = tuple(
        ConfigProblem(key=problem.key, value=problem.value, allowed=problem.allowed)
        for problem in error.problems
    )
    return ConfigError(problems, source=who)

"""Checks of a bot that need the exchange's rules and the bot's own past."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from opensqt.core.grid.book import GridIdentity
from opensqt.core.grid.config import GridConfigError
from opensqt.core.instrument import Instrument, InstrumentRuleError
from opensqt.core.numbers import is_multiple, plain
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, ConfigProblem, refuse

SYMBOLS_SHOWN: Final = 20


def check_symbol(bot: BotConfig, instruments: Mapping[str, Instrument]) -> Instrument:
    """The instrument that a bot trades.

    Raises:
        ConfigError: The exchange does not list it.
    """
    instrument = instruments.get(bot.symbol)
    if instrument is None:
        names = sorted(instruments)
        more = f" and {len(names) - SYMBOLS_SHOWN} more" if len(names) > SYMBOLS_SHOWN else ""
        listed = ", ".join(names[:SYMBOLS_SHOWN]) + more
        raise refuse("symbol", bot.symbol, f"what the exchange lists: {listed or 'nothing'}")
    return instrument


def check_rules(bot: BotConfig, instrument: Instrument, price: Decimal | None) -> None:
    """Refuse what the exchange would refuse of every order.

    Args:
        bot: The settings.
        instrument: The exchange's rules.
        price: The market now; None checks only what needs no price.

    Raises:
        ConfigError: Naming the key.
    """
    anchor, tick = bot.grid.anchor, instrument.tick_size
    if anchor is not None and not is_multiple(anchor, tick):
        raise refuse("grid.anchor", plain(anchor), f"a multiple of the tick {plain(tick)}")
    if price is not None:
        bot.check_instrument(instrument, price)
        return
    grid = bot.grid.to_core()
    try:
        grid.check_tick(tick)
        if grid.quantity is not None:
            # Whether the notional is large enough depends on the price; all else does not.
            instrument.check_order(price=tick, quantity=grid.quantity, reduce_only=True)
    except GridConfigError as error:
        raise refuse(f"grid.{error.key}", error.value, error.allowed) from None
    except InstrumentRuleError as error:
        given = plain(grid.quantity or Decimal(0))
        raise refuse(
            "grid.quantity", given, f"an order that the exchange takes ({error})"
        ) from None


def check_past(bot: BotConfig, registered: GridIdentity | None) -> None:
    """Refuse settings other than those that the bot's grid is registered with.

    Levels are kept for ever, so that no holding loses its slot; another grid is another bot.

    Raises:
        ConfigError: Naming the first key that differs.
    """
    if registered is None:
        return
    anchor = bot.grid.anchor
    pairs = (
        ("account", bot.account, registered.account),
        ("symbol", bot.symbol, registered.symbol),
        ("grid.direction", bot.grid.direction.value, registered.direction.value),
        ("grid.interval", plain(bot.grid.interval), plain(registered.interval)),
    )
    for key, given, kept in pairs:
        if given != kept:
            raise refuse(key, given, f"{kept}, as this bot's grid is registered; else a new bot_id")
    if anchor is not None and not registered.lattice.contains(anchor):
        raise refuse(
            "grid.anchor",
            plain(anchor),
            f"a level of the registered grid, such as {plain(registered.anchor)}; left out is fine",
        )


def prefixed(error: ConfigError, index: int) -> tuple[ConfigProblem, ...]:
    """The problems of one bot, under their keys in the whole configuration."""
    return tuple(replace(p, key=f"bots[{index}].{p.key}") for p in error.problems)

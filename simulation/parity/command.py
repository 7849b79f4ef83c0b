"""The command: a backtest and the services on the same recorded market, and what differs."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from opensqt.adapters.replay.source import DamagedData
from opensqt.backtest.assembly import build_case, make_bots, read_market
from opensqt.backtest.case import Case, Mode
from opensqt.backtest.diff.compare import compare
from opensqt.backtest.markets import load_markets
from opensqt.backtest.recorded.runfile import write_run
from opensqt.backtest.recorded.sources import run_of
from opensqt.backtest.run import run
from opensqt.cli.diff import tell
from opensqt.cli.output import Output
from opensqt.runtime.backtest_config import BacktestConfig, LatencyConfig
from opensqt.runtime.bot_config import BotConfig
from opensqt.runtime.config import ConfigError, load_config
from services.execution.sending import Pauses
from simulation.parity.drawn import through_both
from simulation.parity.stack import NO_PAUSES, run_stack

SAME, DIFFERENT = 0, 1

RECORDING: Final = Path("recordings/btcusdt_usdm_20240808.jsonl.gz")
BOT: Final = Path("config/bot.example.yaml")
MARKETS: Final = Path("config/markets.binance_usdm.yaml")
MS: Final = 10**6

_DESCRIPTION: Final = """\
Play a recorded market to a backtest of a bot, and to the services themselves on virtual time, with
the same latencies, and say what they do differently: order by order and fill by fill, to the
nanosecond."""

_EPILOG: Final = f"""\
exit status: {SAME} when nothing differs, {DIFFERENT} when something does, 2 for a wrong option"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.random is not None:
            return _drawn(options)
        case = _case(options)
        backtest = run_of(case, run(case, mode=Mode(options.mode)))
    except (ConfigError, DamagedData, ValueError) as error:
        parser.error(str(error))
    pauses = Pauses() if options.pauses else NO_PAUSES
    services = run_stack(case, pauses=pauses, seed=options.seed)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_run(options.out / "backtest.json", backtest)
        write_run(options.out / "services.json", services)
    tolerance_ns = round(options.tolerance_ms * MS)
    found = compare(backtest, services, tolerance_ns=tolerance_ns, same_clock=True)
    tell(Output(as_json=False), found, limit=options.limit)
    return DIFFERENT if found.differences else SAME


def _drawn(options: argparse.Namespace) -> int:
    """Hold random cases against each other; the exit status."""
    if options.random < 1:
        raise ValueError(f"--random {options.random}; allowed: 1 or more cases")
    seeds = range(options.start, options.start + options.random)
    cases = orders = fills = refused = forced = different = 0
    for drawn in through_both(seeds, mode=Mode(options.mode)):
        cases += 1
        orders += len(drawn.found.a.orders)
        fills += drawn.found.a.fills
        refused += drawn.refused
        forced += drawn.forced
        if drawn.found.differences:
            different += 1
            print(f"random case {drawn.seed}:")
            tell(Output(as_json=False), drawn.found, limit=options.limit)
    print(
        f"{cases} random cases, {different} with differences: {orders} orders ({refused} refused, "
        f"{forced} forced), {fills} fills"
    )
    return DIFFERENT if different else SAME


def _case(options: argparse.Namespace) -> Case:
    market, order, report = options.latency
    assumed = BacktestConfig(latency=LatencyConfig(market=market, order=order, report=report))
    markets = load_markets(options.markets)
    bots = make_bots((load_config(BotConfig, options.config),), markets, assumed)
    tapes = {bot.symbol: read_market(options.data, bot, assumed) for bot in bots}
    return build_case(bots, markets, tapes, assumed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulation.parity",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", type=Path, default=BOT, help="the bot")
    add("--data", type=Path, default=RECORDING, help="what `opensqt backtest --data` takes")
    add("--markets", type=Path, default=MARKETS, help="trading rules")
    add(
        "--latency",
        nargs=3,
        default=("20ms", "20ms", "20ms"),
        metavar=("MARKET", "ORDER", "REPORT"),
        help="such as 20ms 50ms 20ms (20ms each)",
    )
    add("--mode", default="auto", choices=[mode.value for mode in Mode], help="of the backtest")
    add("--random", type=int, metavar="N", help="N random markets and bots instead; "
        "of the options above only --mode counts")  # fmt: skip
    add("--from", dest="start", type=int, default=0, metavar="SEED", help="of the first (0)")
    add("--pauses", action="store_true", help="with what execution leaves to placing (cancels "
        "follow by up to 5 ms, which a backtest does not know)")  # fmt: skip
    add("--seed", type=int, default=0, help="in which order processes take their turns")
    add("--tolerance-ms", type=float, default=0.0, help="times no further apart are equal (0)")
    add("--limit", type=int, default=50, help="differences to show")
    add("--out", type=Path, help="also write both runs into this folder")
    return parser

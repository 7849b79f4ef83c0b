"""``python -m chaos``: break OpenSQT on purpose, and say what came of it."""

import argparse
import asyncio
import fnmatch
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom
from typing import Final

from chaos.defects import DEFECTS
from chaos.faults import Fault, all_faults
from chaos.one_run import Outcome, SilentError
from chaos.report import Setting, page, table_lines
from chaos.series import Series, run_series
from opensqt.embedded.postgres_server import PostgresServerError
from opensqt.embedded.stack import StackError

EXIT_OK: Final = 0
EXIT_WRONG: Final = 1
EXIT_USAGE: Final = 2
SEEDS: Final = 10_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run a series; the exit code."""
    options = _parser().parse_args(argv)
    faults = _chosen(options.only)
    if not faults:
        known = "\n  ".join(fault.name for fault in all_faults())
        print(
            f"--only {' '.join(options.only)}: no such fault; there are\n  {known}", file=sys.stderr
        )
        return EXIT_USAGE
    if options.list:
        for fault in faults:
            print(f"{fault.name:<32} {fault.text}")
        return EXIT_OK
    if options.report is not None and not options.report.absolute().parent.is_dir():
        print(f"--report {options.report}: no such directory", file=sys.stderr)
        return EXIT_USAGE
    seed = SystemRandom().randrange(SEEDS) if options.seed is None else options.seed
    series = Series(
        faults=faults, runs=options.runs, seed=seed, defect=DEFECTS.get(options.defect or "")
    )
    print(f"{options.runs} runs of {len(faults)} faults, seed {seed}; Ctrl-C ends it", flush=True)
    outcomes: list[Outcome] = []
    began_s = time.monotonic()
    try:
        asyncio.run(_until_told(series, outcomes))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; everything is stopped", flush=True)
    except (StackError, PostgresServerError, SilentError, OSError) as error:
        print(f"the stage cannot be set: {error}", file=sys.stderr, flush=True)
    return _finish(outcomes, options, seed, faults, time.monotonic() - began_s)


async def _until_told(series: Series, outcomes: list[Outcome]) -> None:
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    await run_series(series, lambda line: print(line, flush=True), outcomes.append)


def _finish(
    outcomes: list[Outcome],
    options: argparse.Namespace,
    seed: int,
    faults: Sequence[Fault],
    seconds: float,
) -> int:
    if outcomes:
        print("\n".join(("", *table_lines(outcomes))))
    good = sum(outcome.good for outcome in outcomes)
    print(f"{good} of {options.runs} runs good in {seconds / 60:.1f} minutes, seed {seed}")
    if options.report is not None and outcomes:
        only = f" ONLY='{' '.join(options.only)}'" if options.only else ""
        command = f"make chaos RUNS={options.runs} SEED={seed}{only}"
        setting = Setting(command=command, faults=faults, seconds=seconds)
        options.report.write_text(page(outcomes, setting), encoding="utf-8")
    return EXIT_OK if good == options.runs else EXIT_WRONG


def _chosen(patterns: Sequence[str]) -> list[Fault]:
    """The faults that match one of the patterns; all when there is none."""
    return [
        fault
        for fault in all_faults()
        if not patterns or any(fnmatch.fnmatchcase(fault.name, pattern) for pattern in patterns)
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Trade with the real parts, break one thing at a time, and compare the exchange's own\n"
            "books with the slots after each: doubled orders, lost fills, stuck slots.\n\n"
            "A run takes about ten seconds. Everything that is started here is gone in the end,\n"
            "also after Ctrl-C; the logs stay below .run/chaos/."
        ),
        epilog=(
            "examples:\n"
            "  python -m chaos --runs 200 --report docs/chaos.md\n"
            "  python -m chaos --runs 5 --only 'kill:*' 'crash:placing.*'\n"
            "  python -m chaos --runs 1 --only kill:state --defect lost-fill   # must fail\n\n"
            "exit codes: 0 all runs good, 1 something was wrong, 2 wrong usage"
        ),
    )
    parser.add_argument("--runs", type=_positive, default=20, help="how many (default 20)")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="FAULT", help="only these; * stands for anything"
    )
    parser.add_argument(
        "--seed", type=int, help="decides the faults' order, the moments and the market"
    )
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="write the table there too")
    parser.add_argument("--list", action="store_true", help="list the faults and do nothing")
    parser.add_argument(
        "--defect",
        choices=sorted(DEFECTS),
        help="falsify the exchange's books, to see that it is noticed",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: allowed is 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())

"""The command: what it takes, what it says, and how it ends."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Final

from simulation.defects import DEFECTS, switched_on
from simulation.draw import draw
from simulation.judging import tell, watch
from simulation.runner import run_seeds

GOOD, VIOLATED = 0, 1

SEED_MAX: Final = 2**63 - 1

_DESCRIPTION: Final = """\
Run the whole of OpenSQT - market data, strategy, state, execution, risk and an exchange - in one
process on virtual time, let things go wrong, and hold every event against the numbered invariants
of docs/invariants.md. A seed means what goes wrong, and in which order everything happens; the
same seed always does the same."""

_EPILOG: Final = f"""\
examples:
  make sim                                1000 seeds, from 0 on
  make sim SEEDS=10000 FROM=5000          others
  make sim SEED=4711                      one seed: everything that happens in it, line by line
  make sim DEFECT=resend-on-timeout       until a deliberate defect is caught
  make sim SEEDS=100 ARGS=--digest        digests, to compare two machines

A seed that fails is made smaller and told as a story: the faults that are needed, what happened to
the order in question, and what is wrong in the end. The last line on stdout is always
'1000 seeds, 0 violations, N events'.

deliberate defects, of which each must be caught:
{chr(10).join(f"  {defect.name:<32}{defect.mistake}" for defect in DEFECTS.values())}

exit status: {GOOD} when all invariants held, {VIOLATED} when one did not, 2 for a wrong option."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run seeds; the exit status."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        return _one(options.seed, options.defect)
    seeds = range(options.start, options.start + options.seeds)
    tally = run_seeds(
        seeds,
        jobs=min(options.jobs, options.seeds),
        defect=options.defect,
        stop_at_first=bool(options.defect),
    )
    if options.digest:
        for seed, digest in sorted(tally.digests.items()):
            print(f"seed {seed}: {digest}")
        print(f"all: {tally.digest}")
    print(tally)
    return VIOLATED if tally.violations else GOOD


def _one(seed: int, defect: str) -> int:
    """One seed, line by line."""
    if defect:
        with switched_on(defect):
            return _one(seed, "")
    plan = draw(seed)
    for fault in plan.faults:
        print(f"{fault.at_ms / 1e3:10.4f} s  planned      {fault}")
    trace, violation = watch(plan)
    for entry in trace.entries:
        print(entry)
    print(f"digest {trace.digest()}")
    if violation is not None:
        print(f"\n{tell(seed)}\n")
    print(f"1 seeds, {int(violation is not None)} violations, {trace.events} events")
    return GOOD if violation is None else VIOLATED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulation",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seeds", type=_whole(1, 10**9), default=1000, metavar="N", help="how many (1000)"
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=_whole(0, SEED_MAX),
        default=0,
        metavar="SEED",
        help="the first one (0)",
    )
    parser.add_argument(
        "--seed", type=_whole(0, SEED_MAX), metavar="SEED", help="only this one, line by line"
    )
    parser.add_argument(
        "--jobs",
        type=_whole(1, 256),
        default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2,
        metavar="N",
        help="processes (one for each core)",
    )
    parser.add_argument(
        "--defect",
        choices=tuple(DEFECTS),
        default="",
        metavar="NAME",
        help="switch a deliberate defect on, and stop at the first seed that catches it",
    )
    parser.add_argument("--digest", action="store_true", help="print what identifies each run")
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r}; allowed are whole numbers from {least} to {most}"
            )
        return number

    return whole

"""Runs the benchmarks: `make bench`, or `python -m benchmarks [NAME...]`."""

import argparse
import asyncio
import importlib
import time

from benchmarks import report

NAMES = (
    "tick_to_wire",
    "placement",
    "state",
    "market_data",
    "reconciliation",
    "simulation",
    "recovery",
    "footprint",
    "backtest",
    "optimize",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument(
        "--orders", type=int, default=200, help="orders per stack and rate of tick_to_wire"
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="length of one turn of the throughput ones"
    )
    parser.add_argument(
        "--trace", action="store_true", help="tick_to_wire: say hop by hop where the time goes"
    )
    parser.add_argument(
        "--quick", action="store_true", help="backtest: fewer ticks, one turn; for a first look"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    for name in options.names or NAMES:
        machine, started = report.machine(), time.monotonic()
        module = importlib.import_module(f"benchmarks.{name}")
        result = asyncio.run(module.run(options))
        path = report.write(name, {"machine": machine, **result})
        print(f"{name}: {time.monotonic() - started:.0f} s, {path}\n")


if __name__ == "__main__":
    main()

"""Backtests of one grid, in OpenSQT and in the engines of others, on the same ticks; see README.md.

`ticks` is what they run on, `engines/` holds a script for each, which runs in a process and, where
it needs one, an environment of its own; `compare` lets them take turns, `fills` holds their fills
against each other, `scaling` measures ours on more data.
"""

import argparse
from typing import Any


async def run(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.backtest.compare import compare
    from benchmarks.backtest.scaling import scale

    compared = await compare(quick=options.quick)
    return {**compared, "scaling": await scale(quick=options.quick)}

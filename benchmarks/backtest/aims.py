"""What was aimed at before any of it was built, and what came of it."""

import math
from collections.abc import Mapping
from typing import Any, Final

from benchmarks import report

AIMS: Final = (
    # what, which market, which lines, which number, at least (or, negative, at most)
    ("fast path over hftbacktest", "wide", "fast", "over_hftbacktest", 10),
    ("fast path over hftbacktest", "tight", "fast", "over_hftbacktest", 10),
    ("fast path over hftbacktest, orders at every tick", "wide", "fast", "over_plain", 10),
    ("fast path over hftbacktest, orders at every tick", "tight", "fast", "over_plain", 10),
    ("fast path over NautilusTrader", "wide", "fast", "over_nautilus", 400),
    ("fast path over NautilusTrader", "tight", "fast", "over_nautilus", 300),
    ("event by event over NautilusTrader", "wide", "step", "over_nautilus", 5),
    ("event by event over NautilusTrader", "tight", "step", "over_nautilus", 5),
    ("memory, of NautilusTrader's", "wide", "fast", "memory_of_nautilus", -1 / 3),
    ("cold process to result, s", "wide", "fast", "cold_s", -1.0),
    ("cold process to result, s", "tight", "fast", "cold_s", -1.0),
)


def judge(
    result: Mapping[str, Any], lines: Mapping[str, str], *, whole: bool
) -> list[dict[str, Any]]:
    """Print which aims are reached; the same as data.

    Args:
        result: The lines of each market, as `compare` says them.
        lines: Which line stands for the fast path and which for the events one by one.
        whole: The measurement was on as many ticks as the aims are about.
    """
    judged = []
    for what, market, line, number, bound in AIMS:
        value = result[market][lines[line]].get(number, math.nan)
        reached = value >= bound if bound > 0 else value <= -bound
        judged.append(
            {"aim": what, "market": market, "bound": bound, "value": value, "reached": reached}
        )
    rows = [
        (
            f"{aim['aim']}, {aim['market']}",
            f"{'>=' if aim['bound'] > 0 else '<='} {report.number(abs(aim['bound']))}",
            report.number(aim["value"]),
            "yes" if aim["reached"] else "NO",
        )
        for aim in judged
    ]
    title = "aims" if whole else "aims (of a million ticks; these were fewer)"
    print(report.table(title, ("", "aim", "measured", "reached"), rows))
    return judged

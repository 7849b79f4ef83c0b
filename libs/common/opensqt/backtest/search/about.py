"""What a search is about, as texts: another search's study is refused by what differs in them."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import optuna

import opensqt
from opensqt.backtest.search.evaluation import BacktestSetup
from opensqt.backtest.search.searching import Search
from opensqt.backtest.search.space import Choices, SearchSpace
from opensqt.backtest.tape import Tape
from opensqt.core.numbers import plain


def about(plan: Search, setup: BacktestSetup, tape: Tape) -> dict[str, str]:
    """Everything that a trial's outcome or the choice of the next one depends on.

    How many trials there are is not among it: a study can be continued with more.
    """
    objectives = (f"{goal.direction} {goal.measure}" for goal in plan.goals.objectives)
    return {
        "opensqt": opensqt.__version__,
        "optuna": optuna.__version__,
        "sampler": str(plan.kind),
        "seed": str(plan.seed),
        "batch": str(plan.batch),
        "objectives": ", ".join(objectives),
        "constraints": ", ".join(map(str, plan.goals.constraints)) or "none",
        "windows": "; ".join(
            f"{window.train} then {window.test or 'the future'}" for window in plan.windows
        ),
        "data": f"{tape.source or 'no name'}, {len(tape.trades)} trades, digest {digest_of(tape)}",
        **dict(_space(plan.space)),
        **dict(_flat("bot", setup.bot.model_dump())),
        **dict(_flat("assume", setup.assumed.model_dump())),
        **{
            f"market.{field.name}": _text(getattr(setup.market, field.name))
            for field in fields(setup.market)
        },
    }


def digest_of(tape: Tape) -> str:
    """A short digest of everything on a tape."""
    digest = hashlib.blake2b(digest_size=8)
    for table in (tape.trades, tape.quotes, tape.marks, tape.fundings):
        for field in fields(table):
            digest.update(np.ascontiguousarray(getattr(table, field.name)).data)
        digest.update(b"/")
    digest.update(f"{tape.symbol} {tape.tick} {tape.quantity_unit}".encode())
    return digest.hexdigest()


def _space(space: SearchSpace) -> Iterator[tuple[str, str]]:
    for axis in space.axes:
        if isinstance(axis, Choices):
            text = ", ".join(map(_text, axis.values))
        else:
            last = axis.low + (axis.count - 1) * axis.step
            text = f"{plain(axis.low)} to {plain(last)} in steps of {plain(axis.step)}"
            text += ", logarithmic" if axis.log else ""
            text += f", {axis.grid_points} points" if axis.grid_points else ""
        yield f"space.{axis.key}", text
    for key, other in space.same.items():
        yield f"space.{key}", f"same as {other}"


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}", inner)
    else:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return str(value.value if isinstance(value, Enum) else value)


def name_of(about: Mapping[str, str]) -> str:
    """A short name that only this search has."""
    whole = "\n".join(f"{key}: {about[key]}" for key in sorted(about))
    return hashlib.blake2b(whole.encode(), digest_size=6).hexdigest()

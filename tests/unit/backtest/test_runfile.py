"""A run as a file: exact there and back, and what is wrong with one is said with its place."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from opensqt.backtest.recorded.run import Run, RunPurpose
from opensqt.backtest.recorded.runfile import (
    RunFileError,
    as_json,
    dumps,
    loads,
    read_run,
    write_run,
)
from tests.unit.backtest.runs import fill, order, run

RUN = run(
    order("100", "BUY", 1, fill(2, "100", "0.004"), fill(3, "100", "0.006", fee=None)),
    order("100", "SELL", 3),
    replace(
        order("100", "SELL", 9, fill(9, "90.123456789012345")),
        slot_price=None,
        price=None,
        purpose=RunPurpose.FORCED,
        placed_ns=None,
    ),
)


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    write_run(tmp_path / "run.json", RUN)
    assert read_run(tmp_path / "run.json") == RUN
    assert json.loads(dumps(RUN)) == as_json(RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_an_empty_run_comes_back() -> None:
    empty = Run(source="", orders=())
    assert loads(dumps(empty)) == empty


def test_a_report_that_holds_a_run_is_one() -> None:
    report = {"metrics": {"sharpe": 1.5}, "run": as_json(RUN)}
    assert loads(json.dumps(report)) == RUN


def test_exact_numbers_are_text() -> None:
    found = json.loads(dumps(RUN))["orders"][2]["fills"][0]["price"]
    assert found == "90.123456789012345"
    assert D(found) == RUN.orders[2].fills[0].price


def _with(change: Callable[[Any], object]) -> str:
    found = as_json(RUN)
    change(found)
    return json.dumps(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "format: 'list'"),
        (_with(lambda r: r.update(format="opensqt.run/9")), "'opensqt.run/9'; allowed"),
        (_with(lambda r: r.update(orders=None)), "orders: None; allowed: a list"),
        (_with(lambda r: r["orders"].append(3)), r"orders\[3\]: 3"),
        (_with(lambda r: r["orders"][1].update(price=100.5)), r"orders\[1\].price: 100.5"),
        (_with(lambda r: r["orders"][1].update(quantity="NaN")), r"orders\[1\].quantity: 'NaN'"),
        (_with(lambda r: r["orders"][0].update(side="LONG")), "allowed: BUY, SELL"),
        (_with(lambda r: r["orders"][0].update(cycle=True)), "allowed: a whole number"),
        (
            _with(lambda r: r["orders"][0]["fills"][1].pop("maker")),
            r"orders\[0\].fills\[1\].maker: None; allowed: true or false",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match=says):
        loads(text)
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(RunFileError, match=r"bad\.json: "):
        read_run(tmp_path / "bad.json")


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(RunFileError, match="nowhere"):
        read_run(Path("nowhere.json"))

"""What two runs do differently: each kind, what it follows from, and how orders are paired."""

import json
import random
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opensqt.backtest.diff import DifferenceKind, Link, compare
from opensqt.backtest.diff.clocks import shifted
from opensqt.backtest.diff.matching import pair_up
from opensqt.backtest.recorded.run import Run, RunEnd, RunOrder
from opensqt.backtest.recorded.runfile import write_run
from opensqt.cli.app import app
from opensqt.cli.exit_codes import ExitCode
from tests.unit.backtest.runs import S, fill, order, run

K = DifferenceKind
BUY = order("100", "BUY", 1, fill(5, "100"))


def kinds(a: Run, b: Run, **options: int) -> list[DifferenceKind]:
    return [found.kind for found in compare(a, b, **options).differences]


def test_the_same_run_has_no_differences_whatever_its_ids() -> None:
    a = run(BUY, order("90", "BUY", 1))
    b = run(*(replace(one, client_oid="x", cycle=7) for one in a.orders))
    assert kinds(a, b) == []


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (replace(BUY, price=D("100.1")), K.PRICE),
        (replace(BUY, quantity=D("0.02")), K.QUANTITY),
        (replace(BUY, fills=(), filled=D(0)), K.FILL_MISSING),
        (replace(BUY, fills=(fill(5, "100", "0.004"),)), K.FILL_PARTIAL),
        (replace(BUY, fills=(fill(5, "100", "0.004"), fill(5, "100", "0.006"))), K.FILL_SPLIT),
        (replace(BUY, fills=(fill(5, "99.9"),)), K.FILL_PRICE),
        (replace(BUY, fills=(fill(5.2, "100"),)), K.FILL_TIME),
        (replace(BUY, fills=(fill(5, "100", maker=False),)), K.FILL_ROLE),
        (replace(BUY, fills=(fill(5, "100", fee=D("0.13")),)), K.FEE),
        (replace(BUY, end=RunEnd.CANCELED), K.ENDED),
        (replace(BUY, placed_ns=2 * S), K.TIME),
        (replace(BUY, decided_ns=S // 2, placed_ns=None), K.TIME),
    ],
)
def test_each_difference_has_its_kind(other: RunOrder, kind: DifferenceKind) -> None:
    assert kinds(run(BUY), run(other)) == [kind]


def test_orders_that_only_one_run_has() -> None:
    assert kinds(run(BUY), run()) == [K.MISSING_ORDER]
    assert kinds(run(), run(BUY)) == [K.EXTRA_ORDER]
    late = compare(run(BUY), run(end_s=0.5)).differences[0]
    assert late.why == "B had ended by then"


def test_what_is_within_the_tolerance_is_equal_and_unknown_is_not_compared() -> None:
    later = replace(BUY, placed_ns=BUY.placed_ns + 40_000_000, fills=(fill(5.04, "100"),))
    assert kinds(run(BUY), run(later)) == []
    assert kinds(run(BUY), run(later), tolerance_ns=0) == [K.TIME, K.FILL_TIME]
    assert kinds(run(BUY), run(replace(BUY, fills=(fill(5, "100", fee=None),)))) == []


@pytest.mark.parametrize(
    ("unfilled", "why"),
    [
        ({"placed_ns": 6 * S}, "B's was not there yet: it was taken 1 s after that fill"),
        ({"ended_ns": 4 * S, "end": RunEnd.CANCELED}, "B's had ended before (CANCELED)"),
        ({"ended_ns": S, "end": RunEnd.REFUSED, "placed_ns": None}, "B's was refused"),
        (
            {"ended_ns": None, "end": RunEnd.OPEN},
            "B's rested and did not fill: more was ahead of it, or less traded",
        ),
    ],
)
def test_a_missing_fill_is_explained(unfilled: dict[str, object], why: str) -> None:
    other = replace(BUY, fills=(), filled=D(0), **unfilled)  # type: ignore[arg-type]
    found = compare(run(BUY), run(other)).differences
    assert next(one.why for one in found if one.kind is K.FILL_MISSING) == why


def test_what_follows_from_what() -> None:
    # A: 100 fills and is closed, 90 opens after it. B: 100 does not fill, so none of that happens.
    a = run(
        BUY,
        order("100", "SELL", 5.1, fill(7, "110")),
        order("90", "BUY", 6),
        order("50", "BUY", 2),
    )
    b = run(replace(BUY, fills=(), filled=D(0), end=RunEnd.OPEN), order("50", "BUY", 2.5))
    found = compare(a, b).differences
    assert [(one.kind, one.cause, one.link) for one in found] == [
        (K.TIME, None, None),  # of 50, which changes nothing
        (K.FILL_MISSING, None, None),
        (K.ENDED, 1, Link.SLOT),
        (K.MISSING_ORDER, 1, Link.SLOT),  # the exit of 100
        (K.MISSING_ORDER, 1, Link.GRID),  # 90
    ]
    assert len(compare(a, b).first_causes) == 2


def test_what_is_the_same_again_ends_what_follows() -> None:
    same = [order("100", "BUY", 20, fill(25, "100")), order("100", "SELL", 26)]
    late = order("100", "BUY", 1.5, fill(5, "100"))
    gone = order("100", "BUY", 40)
    found = compare(run(BUY, *same, gone), run(late, *same)).differences
    assert [(one.kind, one.cause) for one in found] == [(K.TIME, None), (K.MISSING_ORDER, None)]


def test_what_follows_an_order_that_was_only_late_is_another_cause() -> None:
    late = order("100", "BUY", 1.5, fill(5, "100"), ended_ns=round(5.2 * S))  # as a ledger hears it
    exit_a, exit_b = order("100", "SELL", 5.1), order("100", "SELL", 5.1, price=D(115))
    found = compare(run(BUY, exit_a), run(late, exit_b)).differences
    assert [(one.kind, one.cause) for one in found] == [(K.TIME, None), (K.PRICE, None)]


def test_an_order_too_many_in_the_middle_leaves_the_others_paired() -> None:
    many = [order("100", "BUY", t) for t in range(0, 100, 10)]
    without = [one for one in many if one.decided_ns != 40 * S]
    found = compare(run(*many), run(*without)).differences
    assert [(one.kind, one.pair.number) for one in found] == [(K.MISSING_ORDER, 5)]


def test_pairs_are_all_orders_once_and_in_their_order() -> None:
    rng = random.Random(4)
    for _ in range(200):
        a, b = (
            sorted(
                (order("100", "BUY", rng.random() * 50) for _ in range(rng.randrange(8))),
                key=lambda one: one.decided_ns or 0,
            )
            for _ in range(2)
        )
        pairs = pair_up(a, b, tolerance_ns=0)
        assert [pair.a for pair in pairs if pair.a is not None] == a
        assert [pair.b for pair in pairs if pair.b is not None] == b
        assert all(pair.a is not None or pair.b is not None for pair in pairs)


def test_runs_of_different_days_are_compared_from_their_first_order_on() -> None:
    a = run(BUY, order("100", "SELL", 6, fill(20, "110")))
    day_ns = 86_400 * S
    b = shifted(a, day_ns)
    # Its first order was late by 2 s; the fills say by how much the clocks are apart all the same.
    late = replace(b.orders[0], decided_ns=3 * S + day_ns, placed_ns=3 * S + day_ns)
    b = replace(b, orders=(late, b.orders[1]))
    assert compare(a, b).shift_ns == day_ns
    assert kinds(a, b) == [K.TIME]
    assert compare(a, b, same_clock=True).shift_ns == 0


# --- the command -----------------------------------------------------------------------------------


def _diff(tmp_path: Path, a: Run, b: Run, *options: str) -> tuple[int, str]:
    for name, one in (("a", a), ("b", b)):
        write_run(tmp_path / name, one)
    answer = CliRunner().invoke(app, ["diff", str(tmp_path / "a"), str(tmp_path / "b"), *options])
    return answer.exit_code, answer.output


def test_the_command_says_when_there_is_nothing_to_say(tmp_path: Path) -> None:
    code, text = _diff(tmp_path, run(BUY), run(BUY))
    assert (code, text) == (ExitCode.OK, "no differences: 1 orders, 1 fills\n")


def test_the_command_shows_differences_to_people_and_programs(tmp_path: Path) -> None:
    other = replace(BUY, fills=(), filled=D(0), end=RunEnd.OPEN)
    code, text = _diff(tmp_path, run(BUY), run(other))
    assert code == ExitCode.FAILURE
    assert "fill missing" in text
    assert "follows #0" in text
    assert "1 of them first causes" in text
    code, text = _diff(tmp_path, run(BUY), run(other), "--json")
    found = json.loads(text)
    assert code == ExitCode.FAILURE
    assert found["counts"] == {"ended differently": 1, "fill missing": 1}
    assert found["differences"][0]["slot_price"] == "100"


def test_the_command_refuses_what_is_no_run_or_no_time(tmp_path: Path) -> None:
    write_run(tmp_path / "a", run(BUY))
    (tmp_path / "b").write_text("{}")
    answer = CliRunner().invoke(app, ["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    assert answer.exit_code == ExitCode.USAGE
    assert "allowed: 'opensqt.run/1'" in answer.output
    code, text = _diff(tmp_path, run(BUY), run(BUY), "--tolerance", "soon")
    assert code == ExitCode.USAGE
    assert "--tolerance soon" in text
    assert _diff(tmp_path, run(BUY), run(BUY), "--tolerance", "0s")[0] == ExitCode.OK

"""Windows over a history: nothing is judged on what it was chosen on."""

from dataclasses import fields

import numpy as np
import pytest

from opensqt.backtest.search.walk import (
    Span,
    TooLittleHistoryError,
    WalkForward,
    between,
    history_of,
    windows,
)
from opensqt.testing.tapes import Walk, random_tape

WALK = WalkForward(train_ns=40, test_ns=10, step_ns=10)


def test_windows_walk_on_and_end_with_one_for_the_future() -> None:
    found = windows(Span(start_ns=100, end_ns=175), WALK)
    assert [(w.train.start_ns, w.train.end_ns) for w in found] == [
        (100, 140), (110, 150), (120, 160), (135, 175),
    ]  # fmt: skip
    tests = [w.test for w in found]
    assert tests[-1] is None
    assert [(t.start_ns, t.end_ns) for t in tests if t] == [(140, 150), (150, 160), (160, 170)]
    assert all(w.test is None or w.train.end_ns == w.test.start_ns for w in found)


def test_without_walk_forward_there_is_one_window_and_no_test() -> None:
    history = Span(start_ns=1, end_ns=9)
    (window,) = windows(history, None)
    assert (window.train, window.test) == (history, None)


def test_too_little_history_is_told() -> None:
    with pytest.raises(TooLittleHistoryError, match="one train and one test window together"):
        windows(Span(start_ns=0, end_ns=49), WALK)
    assert len(windows(Span(start_ns=0, end_ns=50), WALK)) == 2


def test_cutting_a_tape_at_any_times_loses_and_doubles_nothing() -> None:
    tape = random_tape(3, Walk(trades=300, quotes=True, marks=True, fundings=4))
    whole = history_of([tape])
    edges = [whole.start_ns, *np.linspace(whole.start_ns, whole.end_ns, 7).astype(int)[1:-1]]
    parts = [
        between(tape, Span(start_ns=int(a), end_ns=int(b)))
        for a, b in zip(edges, [*edges[1:], whole.end_ns], strict=True)
    ]
    for name in ("trades", "marks", "fundings"):
        table = getattr(tape, name)
        for field in fields(table):
            joined = np.concatenate([getattr(getattr(part, name), field.name) for part in parts])
            assert np.array_equal(joined, getattr(table, field.name)), (name, field.name)
    assert np.shares_memory(parts[0].trades.price, tape.trades.price), "nothing is copied"


def test_a_span_without_trades_is_told() -> None:
    tape = random_tape(3)
    with pytest.raises(TooLittleHistoryError, match="BTCUSDT: no trades in 1970"):
        between(tape, Span(start_ns=0, end_ns=10))

"""Client order ids: one per intent, and back."""

import re
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensqt.core.identifiers import (
    IdentifierError,
    check_bot_id,
    epoch_at,
    grid_order_id,
    parse_order_id,
)
from opensqt.core.orders import Purpose, Side

intents = st.fixed_dictionaries(
    {
        "bot_id": st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True),
        "epoch": st.integers(0, 36**6 - 1),
        "slot_price": st.integers(1, 10**11).map(lambda n: D(n).scaleb(-2)),
        "side": st.sampled_from(Side),
        "purpose": st.sampled_from(Purpose),
        "cycle": st.integers(0, 36**4 - 1),
    }
)


@given(intents)
def test_an_id_is_taken_by_every_exchange_and_reads_back(intent: dict[str, object]) -> None:
    text = grid_order_id(**intent)  # type: ignore[arg-type]
    assert re.fullmatch(r"[A-Za-z0-9]{1,28}", text)
    assert not text.startswith("t")
    read = parse_order_id(text)
    assert read is not None
    assert {k: getattr(read, k) for k in intent if k != "bot_id"} == {
        k: v for k, v in intent.items() if k != "bot_id"
    }


@given(intents, intents)
def test_different_intents_of_a_bot_have_different_ids(
    one: dict[str, object], other: dict[str, object]
) -> None:
    other = {**other, "bot_id": one["bot_id"]}
    same = grid_order_id(**one) == grid_order_id(**other)  # type: ignore[arg-type]
    assert same == (one == other)


@given(st.text(max_size=40))
def test_a_strangers_id_is_not_ours_and_never_an_error(text: str) -> None:
    parse_order_id(text)


@pytest.mark.parametrize(
    "stranger", ["", "web_abc", "x-TBzTen1X123", "autoclose-1", "gba43w23sfp14d8urcsX"]
)
def test_known_strangers_are_not_ours(stranger: str) -> None:
    assert parse_order_id(stranger) is None


def test_an_id_that_would_not_fit_is_refused() -> None:
    with pytest.raises(IdentifierError, match="28"):
        grid_order_id(
            bot_id="b",
            epoch=1,
            slot_price=D("1234567890.123456789"),
            side=Side.BUY,
            purpose=Purpose.OPEN,
            cycle=36**6,
        )


@pytest.mark.parametrize("bad", ["", "BTC", "1x", "a" * 33, "a.b"])
def test_a_bot_id_says_what_is_allowed(bad: str) -> None:
    with pytest.raises(IdentifierError, match="first a letter"):
        check_bot_id(bad)


def test_the_epoch_is_seconds_since_2020() -> None:
    assert epoch_at(1_577_836_800 * 10**9 + 125 * 10**9 + 999_999_999) == 125
    assert epoch_at(0) == 0

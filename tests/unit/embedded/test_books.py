"""Our books held against the exchange's."""

from dataclasses import replace
from decimal import Decimal

from opensqt.embedded.paper.books import Comparison, ExchangeBooks, LedgerBooks, OpenOrder, compare
from opensqt.embedded.paper.summary import summarise, summary_lines

ORDER = OpenOrder(
    client_oid="b1", side="BUY", price=Decimal(61790), quantity=Decimal("0.002"), filled=Decimal(0)
)
LEDGER = LedgerBooks(
    position=Decimal("0.004"),
    open_orders={"b1": ORDER},
    unsettled=0,
    intents=frozenset({"a1", "a2", "b1"}),
    fills=2,
    realised=Decimal(0),
    fees=Decimal("0.05"),
)
EXCHANGE = ExchangeBooks(
    accepted={"a1": 1, "a2": 1, "b1": 1},
    open_orders={"b1": ORDER},
    position=Decimal("0.0040"),
    buys=2,
    sells=0,
    realised=Decimal(0),
    unrealised=Decimal("0.2"),
    fees=Decimal("0.05"),
    funding=Decimal(0),
)


def test_equal_books_agree() -> None:
    comparison = compare(LEDGER, EXCHANGE)
    assert comparison.agree
    assert comparison.duplicates == 0
    assert comparison.exchange.orders == 3


def test_another_position_is_told_with_both_numbers() -> None:
    comparison = compare(replace(LEDGER, position=Decimal("0.006")), EXCHANGE)
    assert not comparison.agree
    assert "0.006" in comparison.differences[0]
    assert "0.0040" in comparison.differences[0]


def differences(ours: dict[str, OpenOrder], theirs: dict[str, OpenOrder]) -> tuple[str, ...]:
    return compare(
        replace(LEDGER, open_orders=ours), replace(EXCHANGE, open_orders=theirs)
    ).differences


def test_an_order_that_only_one_side_has_is_a_difference() -> None:
    (missing,) = differences({"b1": ORDER}, {})
    (stranger,) = differences({}, {"b1": ORDER})
    assert "the exchange does not" in missing
    assert "no slot has it" in stranger


def test_an_order_that_differs_in_what_filled_is_a_difference() -> None:
    (other,) = differences({"b1": ORDER}, {"b1": replace(ORDER, filled=Decimal("0.001"))})
    assert "0.001" in other


def test_an_id_that_was_taken_twice_is_a_duplicate() -> None:
    comparison = compare(LEDGER, replace(EXCHANGE, accepted={"a1": 3, "a2": 1, "b1": 1}))
    assert comparison.duplicates == 2


def test_an_order_without_an_intent_is_a_duplicate_from_the_first_on() -> None:
    comparison = compare(LEDGER, replace(EXCHANGE, accepted={"a1": 1, "x9": 1, "x8": 2}))
    assert comparison.duplicates == 3


def test_what_the_exchange_did_by_itself_is_no_duplicate() -> None:
    accepted = {"a1": 1, "autoclose-8000000025": 1, "adl_autoclose": 2}
    assert compare(LEDGER, replace(EXCHANGE, accepted=accepted)).duplicates == 0


def test_an_intent_that_never_arrived_is_none() -> None:
    assert compare(LEDGER, replace(EXCHANGE, accepted={"a1": 1})).duplicates == 0


def test_the_summary_is_exact_and_has_the_promised_keys() -> None:
    summary = summarise(compare(LEDGER, EXCHANGE))
    promised = {"orders", "fills", "buys", "sells", "duplicates", "agree", "pnl"}
    assert promised | {"position_slots", "position_exchange"} <= summary.keys()
    assert summary["position_slots"] == summary["position_exchange"] == "0.004"
    assert summary["pnl"] == {
        "realised": "0",
        "unrealised": "0.2",
        "fees": "0.05",
        "funding": "0",
        "realised_slots": "0",
        "fees_slots": "0.05",
    }


def test_people_are_told_the_verdict_last() -> None:
    good: Comparison = compare(LEDGER, EXCHANGE)
    bad = compare(replace(LEDGER, position=Decimal(0)), EXCHANGE)
    assert summary_lines(good)[-1] == "slots and exchange agree"
    assert "DISAGREE" in summary_lines(bad)[-1]


def test_a_bot_that_was_halted_is_told() -> None:
    halted = compare(
        replace(LEDGER, standing="HALTED", standing_reason="LIQUIDATION: SELL 1 BTCUSDT"), EXCHANGE
    )
    assert summarise(halted)["standing"] == "HALTED"
    assert any("HALTED LIQUIDATION: SELL 1 BTCUSDT" in line for line in summary_lines(halted))
    trading = compare(replace(LEDGER, standing="TRADING"), EXCHANGE)
    assert not any("TRADING" in line for line in summary_lines(trading))

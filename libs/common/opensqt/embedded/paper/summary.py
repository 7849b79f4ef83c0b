"""The summary of a paper run: what `make run` ends with, and SUMMARY=file.json holds."""

import json
from collections.abc import Mapping
from pathlib import Path

from opensqt.core.numbers import plain
from opensqt.embedded.paper.books import Comparison


def summarise(comparison: Comparison) -> dict[str, object]:
    """The summary as JSON; the exchange's half comes from the exchange's own books.

    Numbers of things are numbers, quantities and money are text, exactly as they were.
    """
    ledger, exchange = comparison.ledger, comparison.exchange
    return {
        "orders": exchange.orders,
        "fills": exchange.buys + exchange.sells,
        "buys": exchange.buys,
        "sells": exchange.sells,
        "duplicates": comparison.duplicates,
        "position_slots": plain(ledger.position),
        "position_exchange": plain(exchange.position),
        "open_orders_slots": len(ledger.open_orders),
        "open_orders_exchange": len(exchange.open_orders),
        "fills_slots": ledger.fills,
        "unsettled": ledger.unsettled,
        "standing": ledger.standing,
        "standing_reason": ledger.standing_reason,
        "agree": comparison.agree,
        "differences": list(comparison.differences),
        "pnl": {
            "realised": plain(exchange.realised),
            "unrealised": plain(exchange.unrealised),
            "fees": plain(exchange.fees),
            "funding": plain(exchange.funding),
            "realised_slots": plain(ledger.realised),
            "fees_slots": plain(ledger.fees),
        },
    }


def write_summary(path: Path, summary: Mapping[str, object]) -> None:
    """Write the summary; a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def summary_lines(comparison: Comparison) -> list[str]:
    """The summary for people."""
    ledger, exchange = comparison.ledger, comparison.exchange
    result = exchange.realised + exchange.unrealised - exchange.fees + exchange.funding
    rows = [
        ("orders", f"{exchange.orders} on the exchange, {comparison.duplicates} doubled"),
        (
            "fills",
            f"{exchange.buys + exchange.sells}: {exchange.buys} buys, {exchange.sells} sells",
        ),
        (
            "position",
            f"{plain(exchange.position)} on the exchange, {plain(ledger.position)} in slots",
        ),
        (
            "open orders",
            f"{len(exchange.open_orders)} on the exchange, {len(ledger.open_orders)} in slots",
        ),
        ("realised", f"{plain(exchange.realised)} ({plain(ledger.realised)} slot by slot)"),
        ("unrealised", plain(exchange.unrealised)),
        ("fees", plain(exchange.fees)),
        ("funding", plain(exchange.funding)),
        ("result", plain(result)),
    ]
    if ledger.standing not in (None, "TRADING"):
        rows.append(("the bot is", f"{ledger.standing} {ledger.standing_reason}".rstrip()))
    lines = [f"  {name:<12} {text}" for name, text in rows]
    verdict = (
        "slots and exchange agree"
        if comparison.agree
        else "slots and exchange DISAGREE:\n  " + "\n  ".join(comparison.differences)
    )
    return ["summary", *lines, verdict]

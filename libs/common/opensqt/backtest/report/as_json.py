"""A run for programs: everything exact, as text; statistics as numbers, null when undefined.

It holds the run itself, too, so that `opensqt diff` takes it.
"""

import json
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import opensqt
from opensqt.backtest.figures.accounting import AccountBooks, BotAccounts, PnlSplit
from opensqt.backtest.figures.economics import GridEconomics, level_result
from opensqt.backtest.recorded.runfile import as_json as run_as_json
from opensqt.backtest.recorded.sources import run_of
from opensqt.backtest.report.assumptions import NOT_MODELLED
from opensqt.backtest.report.contents import Contents
from opensqt.core.numbers import plain

REPORT_FORMAT: Final = "opensqt.backtest/1"


def write_json(path: Path, contents: Contents) -> None:
    """Write the whole of it; a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    whole = {**report_json(contents), "run": run_as_json(run_of(contents.case, contents.result))}
    temporary.write_text(json.dumps(whole) + "\n", encoding="utf-8")
    temporary.replace(path)


def report_json(contents: Contents) -> dict[str, Any]:
    """Everything but the run itself."""
    result = contents.result
    return {
        "report": REPORT_FORMAT,
        "version": opensqt.__version__,
        "start_ns": result.start_ns,
        "end_ns": result.end_ns,
        "events": result.events,
        "acted": result.acted,
        "mode": result.mode.value,
        "detours": list(result.detours),
        "pnl": _split(contents.accounting.split),
        "accounts": [_account(contents, books) for books in contents.accounting.accounts],
        "assumptions": {a.subject: a.text for a in contents.assumptions},
        "not_modelled": list(NOT_MODELLED),
        "data": [
            {"symbol": symbol, "kind": note.kind, "count": note.count, "text": note.text}
            for symbol, note in contents.notes
        ],
        "warnings": list(contents.warnings),
    }


def _account(contents: Contents, books: AccountBooks) -> dict[str, Any]:
    return {
        "name": books.name,
        "quote": books.quote,
        "initial": plain(books.initial),
        "final": plain(books.final),
        "pnl": _split(books.split),
        "metrics": _plain(contents.metrics[books.name]),
        "bots": [_bot(bot, contents.economics[bot.bot_id]) for bot in books.bots],
    }


def _bot(bot: BotAccounts, economics: GridEconomics) -> dict[str, Any]:
    values = _plain(bot)
    values["pnl"] = _split(bot.split)
    del values["split"]
    values["grid"] = _plain(economics)
    for name in ("best", "worst"):
        level = values["grid"].pop(name)
        values["grid"][f"{name}_level"] = None if level is None else level.level
    values["levels"] = [
        {**_plain(level), "result": plain(level_result(level, bot.mark))} for level in bot.levels
    ]
    return values


def _split(split: PnlSplit) -> dict[str, str]:
    return {**_plain(split), "total": plain(split.total)}


def _plain(value: Any) -> dict[str, Any]:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {k: plain(v) if isinstance(v, Decimal) else v for k, v in found.items()}

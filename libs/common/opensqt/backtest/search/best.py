"""The best settings as a bot's configuration, for `opensqt up`, `run` and `backtest` to take."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from opensqt.backtest.search.settings import ASSUME, with_settings
from opensqt.backtest.search.space import Value
from opensqt.core.numbers import plain
from opensqt.runtime.backtest_config import BacktestConfig
from opensqt.runtime.bot_config import BotConfig


def write_best(
    path: Path,
    bot: BotConfig,
    assumed: BacktestConfig,
    settings: Mapping[str, Value],
    *,
    origin: Sequence[str],
) -> None:
    """Write a bot's configuration with some settings changed.

    Args:
        path: The YAML file.
        bot: As it was configured.
        assumed: What the backtests assumed.
        settings: What was found to be best.
        origin: Where they come from, in lines.

    Raises:
        OSError: The file cannot be written.
    """
    changed, _ = with_settings(bot, assumed, settings)
    lines = [f"# {line}" for line in origin]
    lines += [
        f"# found best under {key.removeprefix(ASSUME)}: {text_of(value)}"
        for key, value in settings.items()
        if key.startswith(ASSUME)
    ]
    lines += _yaml(changed.model_dump(exclude_none=True, exclude_defaults=True), "")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def text_of(value: Any) -> str:
    """A setting as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return plain(value)
    return str(value.value if isinstance(value, Enum) else value)


def _yaml(section: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            # Defaults are left out, but a section that is there means something.
            yield f"{indent}{key}:" if value else f"{indent}{key}: {{}}"
            yield from _yaml(value, f"{indent}  ")
        else:
            yield f"{indent}{key}: {text_of(value)}"

"""Keys of a space, the configurations that they belong to, and the lattice they stand on.

``grid.…`` are keys of the bot's configuration, ``assume.…`` of what the backtest assumes.
"""

import difflib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from opensqt.backtest.search.space import Axis, Choices, Range, SearchSpace, Value
from opensqt.backtest.search.space_config import AxisConfig, SpaceConfig, as_number
from opensqt.core.instrument import Instrument
from opensqt.core.numbers import is_multiple, plain
from opensqt.runtime.backtest_config import BacktestConfig, FeesConfig, FillsConfig, LatencyConfig
from opensqt.runtime.bot_config import AtrConfig, BotConfig, GridBotConfig
from opensqt.runtime.config import ConfigError, ConfigProblem

GRID: Final = "grid."
ASSUME: Final = "assume."

_SECTIONS: Final[Mapping[str, tuple[type[BaseModel], tuple[str, ...]]]] = {
    "grid": (GridBotConfig, ()),
    "grid.atr": (AtrConfig, ()),
    "assume": (BacktestConfig, ("deposit", "leverage")),
    "assume.latency": (LatencyConfig, ()),
    "assume.fees": (FeesConfig, ()),
    "assume.fills": (FillsConfig, ()),
}
"""What may be searched: the sections, and which of their keys (none said: all). Funding and the way
inside a candle are not among them: they change the data, which is read once."""

_RIVALS: Final = {"grid.quantity": "grid.quote_amount", "grid.quote_amount": "grid.quantity"}
"""Of these a bot has exactly one: a searched one takes the place of the other."""


def known_keys() -> tuple[str, ...]:
    """Every key that may be searched."""
    return tuple(key for key, _ in _fields())


def read_space(config: SpaceConfig, instrument: Instrument) -> SearchSpace:
    """The lattice that a space stands for.

    Args:
        config: The space as written.
        instrument: The bot's: prices are searched in its ticks, quantities in its steps.

    Raises:
        ConfigError: With every key that is unknown, off the lattice or of a wrong kind.
    """
    problems: list[ConfigProblem] = []
    axes: list[Axis] = []
    same: dict[str, str] = {}
    fields = dict(_fields())
    for key, axis in config.space.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"meant {near[0]}? " if near else ""
            problems.append(_problem(key, "", f"unknown; {hint}Known: {', '.join(fields)}"))
        elif axis.same_as is not None:
            other = config.space.get(axis.same_as)
            if other is None or other.same_as is not None:
                listed = ", ".join(k for k, a in config.space.items() if a.same_as is None)
                problems.append(
                    _problem(key, f"same_as {axis.same_as}", f"another searched key: {listed}")
                )
            same[key] = axis.same_as
        elif axis.choices is not None:
            axes.append(_choices(key, axis, fields[key], instrument, problems))
        else:
            axes.append(_range(key, axis, fields[key], instrument, problems))
    for key, rival in _RIVALS.items():
        if key < rival and key in config.space and rival in config.space:
            problems.append(_problem(key, "", f"one of {key} and {rival}; a bot has one of them"))
    if problems:
        raise ConfigError(tuple(problems), source="the space")
    return SearchSpace(axes=tuple(axes), same=same)


def with_settings(
    bot: BotConfig, assumed: BacktestConfig, settings: Mapping[str, Value]
) -> tuple[BotConfig, BacktestConfig]:
    """The configurations with some settings changed.

    Raises:
        ValidationError: The settings contradict each other.
    """
    grid = bot.grid.model_dump()
    for key, value in settings.items():
        if not key.startswith(GRID):
            continue
        if (rival := _RIVALS.get(key)) is not None:
            grid[rival.removeprefix(GRID)] = None
        section, name = grid, key.removeprefix(GRID)
        if name.startswith("atr."):
            section = grid["atr"] = dict(grid["atr"] or {})
            name = name.removeprefix("atr.")
        section[name] = value
    changed = bot.model_copy(update={"grid": GridBotConfig.model_validate(grid)})
    parts: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        if key.startswith(ASSUME):
            section_name, _, name = key.removeprefix(ASSUME).rpartition(".")
            parts.setdefault(section_name, {})[name] = _assumed_adapter(key).validate_python(value)
    update = parts.pop("", {})
    for name, values in parts.items():
        part = getattr(assumed, name)
        model, _ = _SECTIONS[ASSUME + name]
        update[name] = part.model_copy(update=values) if part else model.model_validate(values)
    return changed, assumed.model_copy(update=update) if update else assumed


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for section, (model, only) in _SECTIONS.items():
        for name, field in model.model_fields.items():
            key = f"{section}.{name}"
            if key not in _SECTIONS and (not only or name in only):
                yield key, field


def _choices(
    key: str,
    axis: AxisConfig,
    field: FieldInfo,
    instrument: Instrument,
    problems: list[ConfigProblem],
) -> Choices:
    assert axis.choices is not None
    values = tuple(as_number(value) for value in axis.choices)
    if len({str(value) for value in values}) < len(values):
        problems.append(_problem(key, "choices", "each value once"))
    for value in values:
        _check(f"{key}.choices", value, field, problems)
        _check_lattice(key, value, instrument, problems)
    return Choices(key=key, values=values)


def _range(
    key: str,
    axis: AxisConfig,
    field: FieldInfo,
    instrument: Instrument,
    problems: list[ConfigProblem],
) -> Range:
    assert axis.low is not None
    assert axis.high is not None
    found = len(problems)
    step = axis.step or _lattice(key, instrument)
    if step is None:
        if _kind(field) is not int:
            problems.append(
                _problem(f"{key}.step", "", "required: this key has no step of its own")
            )
        step = Decimal(1)
    span = axis.high - axis.low
    if not is_multiple(span, step):
        allowed = f"low plus a whole number of steps of {plain(step)}"
        problems.append(_problem(f"{key}.high", plain(axis.high), allowed))
    if axis.log and (axis.low <= 0 or not is_multiple(axis.low, step)):
        allowed = f"with log, a multiple of the step {plain(step)} above 0"
        problems.append(_problem(f"{key}.low", plain(axis.low), allowed))
    for name, value in (("low", axis.low), ("high", axis.high)):
        _check(f"{key}.{name}", value, field, problems)
    for value in (axis.low, step):
        _check_lattice(key, value, instrument, problems)
    if len(problems) > found:
        return Range(key=key, low=axis.low, step=step, count=1)
    return Range(
        key=key,
        low=axis.low,
        step=step,
        count=int(span / step) + 1,
        log=axis.log,
        grid_points=axis.points,
    )


def _lattice(key: str, instrument: Instrument) -> Decimal | None:
    """What the values of a key are multiples of on this exchange."""
    if key in ("grid.interval", "grid.anchor"):
        return instrument.tick_size
    if key in ("grid.quantity", "grid.max_position"):
        return instrument.step_size
    return None


def _check(where: str, value: Value, field: FieldInfo, problems: list[ConfigProblem]) -> None:
    try:
        # Whole numbers are whole, whatever they are written as.
        whole = isinstance(value, Decimal) and value == value.to_integral_value()
        _adapter(field).validate_python(int(value) if whole else value)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input ")
        problems.append(_problem(where, _shown(value), message))


def _check_lattice(
    key: str, value: Value, instrument: Instrument, problems: list[ConfigProblem]
) -> None:
    unit = _lattice(key, instrument)
    if unit is None or isinstance(value, str | bool) or is_multiple(Decimal(value), unit):
        return
    name = "tick" if unit == instrument.tick_size else "step"
    problems.append(
        _problem(
            key, _shown(value), f"multiples of the {name} {plain(unit)} of {instrument.symbol}"
        )
    )


def _adapter(field: FieldInfo) -> TypeAdapter[Any]:
    # A type that is put together from values; no checker can follow it.
    whole: Any = field.annotation
    if field.metadata:
        whole = Annotated[field.annotation, *field.metadata]
    return TypeAdapter(whole)


@cache
def _assumed_adapter(key: str) -> TypeAdapter[Any]:
    return _adapter(dict(_fields())[key])


def _kind(field: FieldInfo) -> object:
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation


def _problem(key: str, value: str, allowed: str) -> ConfigProblem:
    return ConfigProblem(key=f"space.{key}", value=value, allowed=allowed)


def _shown(value: Value) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)

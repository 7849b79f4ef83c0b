"""Values are changed by making others: `dataclasses.replace`, for values that change often.

The standard one looks up every field by its name and calls a constructor with all of them as
keywords, which for an order takes longer than anything that is decided about it. This one copies
the fields by a function that is written once for each class, the way `dataclasses` itself writes
constructors.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["replace"]

if TYPE_CHECKING:
    from dataclasses import replace
else:
    V = TypeVar("V")

    def replace(value: V, /, **changes: Any) -> V:
        """The value with some of its fields changed.

        Args:
            value: Of a dataclass with slots that checks nothing when it is made.
            changes: The fields that differ.

        Raises:
            TypeError: There is no such field, or the class is not of that kind.
        """
        kind = type(value)
        copy = _COPIERS.get(kind) or _copier(kind)
        try:
            return copy(value, changes)
        except KeyError as error:
            known = ", ".join(field.name for field in fields(kind))
            raise TypeError(f"{kind.__name__} has no field {error}; allowed: {known}") from None


_COPIERS: dict[type, Callable[[Any, dict[str, Any]], Any]] = {}


def _copier(kind: type) -> Callable[[Any, dict[str, Any]], Any]:
    if not hasattr(kind, "__slots__") or hasattr(kind, "__post_init__"):
        raise TypeError(f"{kind.__name__}; allowed: dataclasses with slots and no __post_init__")
    names = [field.name for field in fields(kind)]
    # Frozen values refuse to be assigned to; the slots themselves do not.
    setters = {name: getattr(kind, name).__set__ for name in names}
    lines = [
        "def copy(value, changes):",
        "    other = new(kind)",
        *(f"    set_{name}(other, value.{name})" for name in names),
        "    for name, changed in changes.items():",
        "        setters[name](other, changed)",
        "    return other",
    ]
    scope: dict[str, Any] = {f"set_{name}": setter for name, setter in setters.items()}
    scope |= {"new": object.__new__, "kind": kind, "setters": setters}
    exec("\n".join(lines), scope)  # noqa: S102  # written here, of the names of fields alone
    copy: Callable[[Any, dict[str, Any]], Any] = scope["copy"]
    _COPIERS[kind] = copy
    return copy

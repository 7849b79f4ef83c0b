"""YAML as configuration needs it: exact numbers, no duplicate keys, no aliases, no surprises.

PyYAML's safe loader reads YAML 1.1, where ``0.1`` is a binary float, ``NO`` is a boolean and
``1:30`` is ninety. Here a number with a fraction or an exponent stays the text that was written,
for `Decimal` to read exactly; only ``true``, ``false``, ``null`` and whole numbers get a type.
"""

import re
from typing import Any, Final

import yaml

MAX_TEXT_LENGTH: Final = 1 << 20
"""Characters that a configuration may have; more is a mistake, not a configuration."""


class YamlError(ValueError):
    """Text that is not the YAML described above: where, and why."""


class _ExactLoader(yaml.SafeLoader):
    """A safe loader with resolvers of its own, in the spirit of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own attribute

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # An alias can make a structure contain itself, or grow without bound; a tag can ask for
        # any type, and for values that do not fit it.
        event = self.peek_event()  # type: ignore[no-untyped-call]
        what = ""
        if isinstance(event, yaml.AliasEvent):
            what = "an alias"
        elif getattr(event, "tag", None) not in (None, "!"):
            what = f"the tag {event.tag!r}"
        if what:
            raise yaml.composer.ComposerError(
                None, None, f"{what} is not read here; write the value out", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value!r} is given twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


_ExactLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf")
)
_ExactLoader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:null|~|)$"), ["n", "~", ""]
)
# No leading zero: PyYAML would read 010 as eight.
_ExactLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:0|-?[1-9][0-9]{0,63})$"), list("-0123456789")
)


def parse_yaml(text: str) -> Any:
    """Read one YAML document.

    Returns:
        Dicts, lists, text, whole numbers, booleans and None; fractions are text.

    Raises:
        YamlError: Malformed, too long, a key given twice, or a tag that asks for an object.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise YamlError(f"{len(text)} characters; at most {MAX_TEXT_LENGTH} are read")
    try:
        return yaml.load(text, Loader=_ExactLoader)  # noqa: S506 - derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise YamlError(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from None
    except RecursionError:
        raise YamlError("nested too deeply") from None

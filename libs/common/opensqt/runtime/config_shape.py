"""Reading the shape of pydantic models: which fields a path leads to, and which are secrets."""

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation mentions, through Optional, unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from models_in(argument)


def fields_of(annotation: Any) -> Mapping[str, Any]:
    """The names and annotations of the fields of the models that an annotation mentions."""
    return {
        name: field.annotation
        for model in models_in(annotation)
        for name, field in model.model_fields.items()
    }


def field_at(annotation: Any, path: tuple[str | int, ...]) -> Any:
    """The annotation that a path of keys and indices leads to, or None where there is none."""
    for part in path:
        fields = fields_of(annotation)
        if part in fields:
            annotation = fields[str(part)]
        elif isinstance(part, str) and fields and not _is_mapping(annotation):
            return None
        # Otherwise an index, a key of a mapping or the tag of a union: the same models go on.
    return annotation


def is_secret(annotation: Any) -> bool:
    """Tell whether an annotation holds a secret itself, not inside a model."""
    if annotation is SecretStr:
        return True
    return any(is_secret(argument) for argument in typing.get_args(annotation))


def secret_values(value: Any) -> Iterator[str]:
    """The secrets inside a model, a list or a mapping."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secret_values(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secret_values(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from secret_values(item)


def _is_mapping(annotation: Any) -> bool:
    origins = {typing.get_origin(annotation)} | {
        typing.get_origin(argument) for argument in typing.get_args(annotation)
    }
    return any(isinstance(origin, type) and issubclass(origin, Mapping) for origin in origins)

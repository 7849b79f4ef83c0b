"""Loading a process's configuration: a YAML file, then the environment, then one check of it all.

Environment: ``OPENSQT_<SECTION>__<KEY>`` sets ``section.key``; lists are written as YAML, such as
``[BTCUSDT, ETHUSDT]``. A variable whose first part is no section of this process belongs to another
one and is passed over, unless it looks like a misspelling.

Secrets come from the environment (``OPENSQT_EXCHANGE__API_KEY``) or from a file that the
configuration or the environment names (``api_key_file: /run/secrets/key``). Written into the YAML
itself they are refused, since configurations get committed and pasted.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from opensqt.runtime.config_shape import field_at, fields_of, is_secret
from opensqt.runtime.exact_yaml import YamlError, parse_yaml
from opensqt.runtime.redaction import MASK, looks_secret

ENV_PREFIX: Final = "OPENSQT_"
SECRET_FILE_SUFFIX: Final = "_file"  # noqa: S105 - the end of a key's name
SHOWN_VALUE_LENGTH: Final = 80
SHOWN_KEYS_MAX: Final = 40

ConfigT = TypeVar("ConfigT", bound=BaseModel)
_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One thing that is wrong with a configuration."""

    key: str
    """Path of the key, such as ``grid.interval``; empty when no key is to blame."""
    value: str
    """What was given, as text; secrets are masked. Empty when nothing was given."""
    allowed: str
    """What would have been right."""

    def __str__(self) -> str:
        """One line: key, value, what is allowed."""
        given = f" = {self.value}" if self.value else ""
        return f"{self.key}{given}: {self.allowed}" if self.key else f"{self.value}: {self.allowed}"


class ConfigError(Exception):
    """A configuration that is refused, with every problem that was found in it."""

    def __init__(self, problems: tuple[ConfigProblem, ...], *, source: str = "") -> None:
        assert problems
        self.problems = problems
        self.source = source
        heading = f"{source or 'configuration'} is not usable:"
        super().__init__("\n  ".join([heading, *map(str, problems)]))


def refuse(key: str, value: object, allowed: str) -> ConfigError:
    """A `ConfigError` about one key, for what only a running service can find out.

    Such as a symbol that the exchange does not list.
    """
    return ConfigError((ConfigProblem(key=key, value=_shown(value), allowed=allowed),))


def load_config(
    model: type[ConfigT],
    path: Path | str | None,
    *,
    env_prefix: str = ENV_PREFIX,
    environ: Mapping[str, str] | None = None,
) -> ConfigT:
    """Read, override from the environment, and check.

    Args:
        model: What the configuration must look like.
        path: The YAML file; None takes everything from the environment and the defaults.
        env_prefix: What the names of the environment variables begin with.
        environ: The environment; by default that of the process.

    Raises:
        ConfigError: With all problems at once; nothing in it shows a secret.
    """
    source = str(path) if path is not None else "the environment"
    data = _read_file(Path(path)) if path is not None else {}
    problems: list[ConfigProblem] = []
    _refuse_written_secrets(model, data, (), env_prefix, problems)
    _apply_environment(
        model, data, os.environ if environ is None else environ, env_prefix, problems
    )
    _read_secret_files(model, data, (), problems)
    if not problems:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            problems.extend(_problems_of(model, error))
    raise ConfigError(tuple(problems), source=source)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            (ConfigProblem(key="", value=str(path), allowed=f"cannot be read: {error.strerror}"),)
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            (ConfigProblem(key="", value=str(path), allowed=f"is not UTF-8: {error.reason}"),)
        ) from None
    except YamlError as error:
        raise ConfigError((ConfigProblem(key="", value=str(path), allowed=str(error)),)) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(
            (ConfigProblem(key="", value=str(path), allowed="the top level must be keys: values"),)
        )
    return data


def _refuse_written_secrets(
    annotation: Any, data: Any, path: _Path, env_prefix: str, problems: list[ConfigProblem]
) -> None:
    for key, value in _children(data):
        here = (*path, key)
        inner = field_at(annotation, (key,))
        if inner is not None and is_secret(inner) and value is not None:
            variable = env_prefix + "__".join(str(part) for part in here).upper()
            problems.append(
                ConfigProblem(
                    key=_dotted(here),
                    value=MASK,
                    allowed=f"a secret is not written here; set {variable}, "
                    f"or name a file that holds it as {key}{SECRET_FILE_SUFFIX}",
                )
            )
        elif inner is not None:
            _refuse_written_secrets(inner, value, here, env_prefix, problems)


def _apply_environment(
    model: type[BaseModel],
    data: dict[str, Any],
    environ: Mapping[str, str],
    env_prefix: str,
    problems: list[ConfigProblem],
) -> None:
    for name in sorted(environ):
        if not name.startswith(env_prefix):
            continue
        parts = tuple(part.lower() for part in name.removeprefix(env_prefix).split("__"))
        known = fields_of(model)
        top = parts[0].removesuffix(SECRET_FILE_SUFFIX) if len(parts) == 1 else parts[0]
        if parts[0] not in known and top not in known:
            # Kubernetes sets OPENSQT_STATE_PORT and the like: those have no double underscore.
            if len(parts) > 1 and (near := _nearest(parts[0], known)):
                problems.append(
                    ConfigProblem(key=name, value="", allowed=f"unknown section; meant {near}?")
                )
            continue
        section = data
        for part in parts[:-1]:
            if section.get(part) is None:
                section[part] = {}
            if not isinstance(section[part], dict):
                problems.append(
                    ConfigProblem(key=name, value="", allowed=f"{part} is not a section")
                )
                break
            section = section[part]
        else:
            section[parts[-1]] = _environment_value(model, parts, environ[name])


def _environment_value(model: type[BaseModel], parts: tuple[str, ...], text: str) -> Any:
    """Text, except that lists and mappings may be written as YAML."""
    annotation = field_at(model, parts)
    if annotation is not None and not is_secret(annotation) and text.lstrip()[:1] in ("[", "{"):
        try:
            return parse_yaml(text)
        except YamlError:
            return text
    return text


def _read_secret_files(
    annotation: Any, data: Any, path: _Path, problems: list[ConfigProblem]
) -> None:
    """Replace every ``x_file`` beside a secret field ``x`` by the file's content."""
    if isinstance(data, dict):
        for name, field in fields_of(annotation).items():
            key = name + SECRET_FILE_SUFFIX
            if not is_secret(field) or key not in data or key in fields_of(annotation):
                continue
            file = data.pop(key)
            if file is None:
                continue
            problem = ""
            if data.get(name) is not None:
                problem = f"either {name} or {key}, not both"
            else:
                try:
                    data[name] = Path(str(file)).read_text(encoding="utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    problem = f"the file cannot be read: {getattr(error, 'strerror', error)}"
                else:
                    problem = "" if data[name] else "the file is empty"
            if problem:
                problems.append(
                    ConfigProblem(key=_dotted((*path, key)), value=str(file), allowed=problem)
                )
    for part, value in _children(data):
        inner = field_at(annotation, (part,))
        if inner is not None:
            _read_secret_files(inner, value, (*path, part), problems)


def _children(data: Any) -> list[tuple[str | int, Any]]:
    if isinstance(data, dict):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, list) else []


def _problems_of(model: type[BaseModel], error: ValidationError) -> list[ConfigProblem]:
    return [
        _problem_of(model, item["type"], item["loc"], item["input"], item["msg"])
        for item in error.errors(include_url=False, include_context=False)
    ]


def _problem_of(
    model: type[BaseModel], kind: str, loc: _Path, given: Any, message: str
) -> ConfigProblem:
    key = _dotted(loc)
    if kind == "extra_forbidden":
        known = fields_of(field_at(model, loc[:-1]))
        near = _nearest(str(loc[-1]), known)
        hint = f"unknown key; meant {near}?" if near else "unknown key"
        names = sorted(known)
        listed = ", ".join(names[:SHOWN_KEYS_MAX]) + (" …" if len(names) > SHOWN_KEYS_MAX else "")
        hidden = looks_secret(str(loc[-1])) or (near is not None and is_secret(known[near]))
        return ConfigProblem(
            key=key, value=MASK if hidden else _shown(given), allowed=f"{hint} Known: {listed}"
        )
    if kind == "missing":
        annotation = field_at(model, loc)
        how = f" (or {loc[-1]}{SECRET_FILE_SUFFIX})" if is_secret(annotation) else ""
        return ConfigProblem(key=key, value="", allowed=f"required, and not given{how}")
    allowed = message.removeprefix("Value error, ").removeprefix("Input ")
    hidden = is_secret(field_at(model, loc)) or looks_secret(str(loc[-1]) if loc else "")
    return ConfigProblem(key=key, value=MASK if hidden else _shown(given), allowed=allowed)


def _shown(value: Any) -> str:
    """A scalar as text; the content of sections is left out, since it may hold secrets."""
    if isinstance(value, BaseModel | Mapping):
        return ""
    if isinstance(value, list | tuple | set):
        return "a list"
    text = str(value)
    if len(text) > SHOWN_VALUE_LENGTH:
        text = text[:SHOWN_VALUE_LENGTH] + "…"
    return repr(text) if isinstance(value, str) else text


def _nearest(name: str, known: Mapping[str, Any]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.7)), None)


def _dotted(path: _Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def config_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of the YAML file: secrets appear as the ``…_file`` keys that name a file."""
    schema = model.model_json_schema(mode="validation")
    for part in (schema, *schema.get("$defs", {}).values()):
        properties = part.get("properties", {})
        for name in [name for name, rule in properties.items() if _is_password(rule)]:
            del properties[name]
            properties[name + SECRET_FILE_SUFFIX] = {
                "type": "string",
                "title": f"File that holds {name}",
            }
            if name in part.get("required", []):
                part["required"].remove(name)  # the environment may give it
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _is_password(rule: Mapping[str, Any]) -> bool:
    options = (rule, *rule.get("anyOf", ()))
    return any(option.get("format") == "password" for option in options)

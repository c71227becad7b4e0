"""Read an experiment file; say in one line what is wrong with it."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import UserError
from orchestrator.experiment.files import FROM_FILES, with_files
from orchestrator.experiment.model import Experiment

__all__ = ["load_experiment", "shipped_experiments", "shipped_or_given"]

CHECKOUT = Path(__file__).resolve().parents[2]
SHIPPED = Path("testbed/experiments")


def shipped_experiments(checkout: Path = CHECKOUT) -> list[Path]:
    """The experiment files of the project, sorted by name."""
    return sorted((checkout / SHIPPED).glob("*.toml"))


def shipped_or_given(name: str, checkout: Path = CHECKOUT) -> Path:
    """The experiment file that a user means by ``name``: a path, or a shipped one's stem.

    Raises:
        UserError: it is neither.
    """
    given, shipped = Path(name), checkout / SHIPPED / f"{name}.toml"
    if given.exists() or given.suffix == ".toml" or "/" in name:
        return given
    if shipped.exists():
        return shipped
    known = ", ".join(path.stem for path in shipped_experiments(checkout))
    raise UserError(f"{name}: no such experiment; shipped are {known}, or give a .toml file")


def load_experiment(path: Path, checkout: Path = CHECKOUT) -> Experiment:
    """Read and check an experiment.

    Raises:
        UserError: one line that names file, key and value, and says what is allowed.
    """
    table = _read(path, checkout)
    for key, meant in FROM_FILES.items():
        if key in table:
            raise UserError(f"{path}: unknown key {key!r} (did you mean {meant!r}?)")
    try:
        experiment = Experiment.model_validate(table)
    except ValidationError as error:
        raise UserError(_one_line(path, error.errors(), table)) from None
    return with_files(experiment, path, checkout)


def _read(path: Path, checkout: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(str(SHIPPED / one.name) for one in shipped_experiments(checkout))
        raise UserError(f"{path}: no such experiment file; there are: {known or 'none'}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path}: cannot read the experiment file: {reason}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None


def _one_line(path: Path, errors: list[ErrorDetails], table: Mapping[str, Any]) -> str:
    # A misspelt key also leaves its right spelling missing: name what was written.
    # An array of bad tables also counts as too short: say only what is bad in it.
    errors = [one for one in errors if one["type"] != "too_short" or not one["input"]]
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{path}: {_describe(first, table)}{more}"


def _describe(error: ErrorDetails, table: Mapping[str, Any]) -> str:
    location = error["loc"]
    key = _dotted(location, table)
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(location, key, error["input"])
        case "missing":
            return f"missing key {key!r}: it must be given"
        case "value_error":
            message = error["msg"].removeprefix("Value error, ")
            if not key:
                return message
            value = error["input"]
            shown = f" = {_shown(value)}" if not isinstance(value, (list, dict)) else ""
            return f"{key}{shown}: {message}"
        case _:
            allowed = _allowed(location) or error["msg"]
            return f"{key} = {_shown(error['input'])} is not allowed; allowed: {allowed}"


def _unknown_key(location: tuple[int | str, ...], key: str, value: object) -> str:
    known = _keys_at(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown key {key!r} = {_shown(value)}{hint}; allowed: {', '.join(known)}"


def _dotted(location: Iterable[int | str], table: Mapping[str, Any]) -> str:
    """``('variant', 1, 'name')`` as ``variant[2 off].name``: counted as people count."""
    text = ""
    here: Any = table
    for step in location:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
        if isinstance(step, int):
            name = here.get("name") if isinstance(here, Mapping) else None
            text += f"[{step + 1}{f' {name}' if isinstance(name, str) else ''}]"
        else:
            text += f".{step}" if text else step
    return text


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _model_at(location: Iterable[int | str]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = Experiment
    for step in location:
        if isinstance(step, int) or model is None:
            continue
        field = model.model_fields.get(step)
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _keys_at(location: Iterable[int | str]) -> list[str]:
    model = _model_at(location)
    if model is None:
        return []
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _allowed(location: tuple[int | str, ...]) -> str:
    """What the field's own schema allows, in words; empty where it says nothing."""
    names = [step for step in location if isinstance(step, str)]
    model = _model_at(names[:-1])
    if not names or model is None:
        return ""
    schema = model.model_json_schema()["properties"].get(names[-1], {})
    if isinstance(location[-1], int):
        schema = schema.get("items", schema)
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return " or ".join(filter(None, (_in_words(option) for option in options)))


KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
}


def _in_words(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    if "description" in schema and "pattern" in schema:
        return str(schema["description"])
    if "prefixItems" in schema:
        return f"a list: {', '.join(map(_in_words, schema['prefixItems']))}"
    if schema.get("type") == "array":
        items = schema.get("items", {})
        return "one or more tables" if "$ref" in items else f"a list of {_in_words(items)}"
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum")
    kind = KINDS.get(schema.get("type", ""), "a table")
    if low is None or high is None:
        return kind
    over = "above " if "exclusiveMinimum" in schema else ""
    return f"{kind} from {over}{low:g} to {high:g}"

"""TOML files as dataclasses: every key and type is checked, and an error names the file, the key and what
would be right.
"""

import os
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from meshlens.errors import UsageError

__all__ = ["load_toml", "read_table"]

T = TypeVar("T")

_WORDS: Final[dict[type, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def load_toml(path: str | os.PathLike[str], kind: type[T]) -> T:
    """Read a file as a dataclass. Raises UsageError."""
    try:
        table = tomllib.loads(Path(path).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return read_table(kind, table, str(path))


def read_table(kind: type[T], table: Mapping[str, Any], source: str, inside: str = "") -> T:
    """Make a dataclass of a table. `inside` is the table's own key, with a dot at its end.

    A field may be text, a number, a truth value, a Literal, a tuple of these, another dataclass, or one of
    them and None. Metadata `at_least` and `at_most` bound numbers.
    """
    assert is_dataclass(kind)
    known = {each.name: each for each in fields(kind)}
    hints = get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            right = f"did you mean {inside}{near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"{source}: no key {inside}{key}; {right}")
        values[key] = _value(hints[key], value, source, f"{inside}{key}")
        _check_bounds(values[key], known[key].metadata, source, f"{inside}{key}")
    for name, each in known.items():
        if name not in values and each.default is MISSING and each.default_factory is MISSING:
            raise UsageError(f"{source}: {inside}{name} is missing: {_word(hints[name])}")
    return kind(**values)


def _value(hint: Any, value: Any, source: str, key: str) -> Any:
    kinds = [each for each in get_args(hint) or (hint,) if each is not types.NoneType]
    if get_origin(hint) in {Union, types.UnionType}:
        hint = kinds[0]
    if is_dataclass(hint) and isinstance(value, dict):
        assert isinstance(hint, type)
        return read_table(hint, value, source, f"{key}.")
    if get_origin(hint) is tuple and isinstance(value, list):
        each = get_args(hint)[0]
        return tuple(_value(each, item, source, f"{key}[{number}]") for number, item in enumerate(value))
    if get_origin(hint) is Literal and isinstance(value, str):
        if value in get_args(hint):
            return value
        near = get_close_matches(value, get_args(hint), 1)
        right = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(get_args(hint))}"
        raise UsageError(f"{source}: {key} cannot be {value!r}; {right}")
    if type(value) is hint or (hint is float and type(value) is int):
        return float(value) if hint is float else value
    raise UsageError(f"{source}: {key} has to be {_word(hint)}, not {_shown(value)}")


def _word(hint: Any) -> str:
    if get_origin(hint) in {Union, types.UnionType}:
        hint = get_args(hint)[0]
    if is_dataclass(hint):
        return "a table"
    if get_origin(hint) is tuple:
        return "a list, each " + _word(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    return _WORDS[hint]


def _shown(value: object) -> str:
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _check_bounds(value: Any, bounds: Mapping[str, Any], source: str, key: str) -> None:
    if value is not None and "at_least" in bounds and value < bounds["at_least"]:
        raise UsageError(f"{source}: {key} has to be at least {bounds['at_least']}, not {value}")
    if value is not None and "at_most" in bounds and value > bounds["at_most"]:
        raise UsageError(f"{source}: {key} can be at most {bounds['at_most']}, not {value}")

"""What a table's address may ask for behind the question mark: filter, sort, limit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from starlette.datastructures import QueryParams

from meshlens.errors import UsageError
from meshlens.web.tables import Row

__all__ = ["LIMIT_DEFAULT", "LIMIT_MAX", "number", "one_of", "only", "select"]

LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 10_000
_WORDS: Final = ("q", "sort", "limit", "offset")
N = TypeVar("N", int, float)


def select(rows: Sequence[Row], params: QueryParams, order: str) -> tuple[int, list[Row]]:
    """How many rows match, and those of them that are asked for.

    `FIELD=VALUE` keeps rows with that value, named twice with either; `q=TEXT` those with the text in any of
    their values; `sort=FIELD` or `sort=-FIELD` (falling) sorts, `offset` and `limit` cut.
    Raises UsageError for what is not a word or a field.
    """
    fields = [name for name in (rows[0] if rows else ()) if not any(_nested(row[name]) for row in rows)]
    if rows:
        only(params, (*_WORDS, *fields))
    wanted = {name: set(params.getlist(name)) for name in params if name not in _WORDS}
    text = params.get("q", "").lower()
    found = [
        row
        for row in rows
        if all(_text(row[name]) in values for name, values in wanted.items())
        and (not text or any(text in _text(row[name]).lower() for name in fields))
    ]
    order = params.get("sort") or order
    by = order.removeprefix("-")
    if rows and by not in fields:
        raise UsageError(f"sort={order}: no such field; there are {', '.join(fields)}")
    found.sort(key=lambda row: _rank(row[by]), reverse=order.startswith("-"))
    offset = number(params, "offset", int, 0, 0, 1_000_000_000)
    limit = number(params, "limit", int, LIMIT_DEFAULT, 1, LIMIT_MAX)
    return len(found), found[offset : offset + limit]


def only(params: Mapping[str, str], known: Sequence[str]) -> None:
    """Raise UsageError if there is a parameter that is not known: a misspelt one must not go unnoticed."""
    for name in params:
        if name not in known:
            raise UsageError(f"unknown parameter {name!r}; there are {', '.join(known)}")


def number(
    params: Mapping[str, str], name: str, type: Callable[[str], N], default: N, least: N, most: N
) -> N:
    """A parameter that is a number within bounds. Raises UsageError if it is none."""
    try:
        value = type(params.get(name, str(default)))
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise UsageError(f"{name}={params[name]}: a number from {least} to {most} is wanted")
    return value


def one_of(params: Mapping[str, str], name: str, choices: Sequence[Any]) -> Any:
    """A parameter that is one of some words; the first is meant where it is not given."""
    value = params.get(name, choices[0])
    if value not in choices:
        raise UsageError(f"{name}={value}: there are {', '.join(choices)}")
    return value


def _nested(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple))


def _text(value: Any) -> str:
    """A value as it is asked for."""
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _rank(value: Any) -> tuple[bool, Any]:
    """A key that sorts None below everything."""
    return (value is not None, value)

"""Filter lists: `id;expression` a line, as bpfcountd reads them, and the tree form.

docs/filter-lists.md describes both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from meshlens.errors import UsageError
from meshlens.filters.errors import ListError, nearest

__all__ = ["FilterDef", "FilterList", "ListError", "labels_of", "load_list", "parse_list"]

#: Longest expression after expansion, and all expressions of a list together, in characters.
MAX_EXPRESSION_CHARS = 1 << 20
MAX_LIST_CHARS = 1 << 24

_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")
_MAC_VARIABLE = re.compile(r"\$MAC\b")
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}")
_LABEL = r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"'
_LABELS = re.compile(rf"{_LABEL}(?:\s*,\s*{_LABEL})*,?")


@dataclass(frozen=True)
class FilterDef:
    """One filter: `expression` has its references expanded, in parentheses; `$MAC` still stands in it.

    A helper (its id begins with `%`) is there to be referred to; it is counted only on request.
    """

    id: str
    expression: str
    line: int
    source: str = "<list>"

    @property
    def helper(self) -> bool:
        return self.id.startswith("%")

    @property
    def uses_mac(self) -> bool:
        return _MAC_VARIABLE.search(self.expression) is not None

    @property
    def labels(self) -> dict[str, str] | None:
        """The Prometheus labels that the id spells (`type="arp",subtype="request"`), or None."""
        return labels_of(self.id)

    @property
    def where(self) -> str:
        """The filter's place, as errors name it."""
        return f"{self.source}:{self.line}: filter {self.id!r}"


@dataclass(frozen=True)
class FilterList:
    """The filters of a list in the order of its lines, helpers included.

    Of frames that do not match the `prefilter`, if there is one, none of the filters sees anything.
    """

    filters: tuple[FilterDef, ...]
    source: str = "<list>"
    prefilter: str = ""

    def __iter__(self) -> Iterator[FilterDef]:
        return iter(self.filters)

    def __len__(self) -> int:
        return len(self.filters)

    @cached_property
    def uses_mac(self) -> bool:
        """Whether the list means something else on each interface."""
        return any(each.uses_mac for each in self.filters) or bool(_MAC_VARIABLE.search(self.prefilter))

    def with_mac(self, mac: str) -> "FilterList":
        """The list with an interface's own address (`02:00:00:00:00:01`) in the place of `$MAC`."""
        if not _MAC.fullmatch(mac):
            raise UsageError(f"{mac!r} is no MAC address; it should look like 02:00:00:00:00:01")
        own = [replace(each, expression=_MAC_VARIABLE.sub(mac, each.expression)) for each in self.filters]
        return FilterList(tuple(own), self.source, _MAC_VARIABLE.sub(mac, self.prefilter))


def load_list(path: str | Path) -> FilterList:
    """Read a list file (UTF-8). Raises UsageError when it cannot be read, ListError for a bad line."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read filter list {path}: {error.strerror}") from None
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ListError(f"byte {data[error.start]:#04x} is not UTF-8", str(path), line, column) from None
    return parse_list(text, source=str(path))


def parse_list(text: str, *, source: str = "<list>") -> FilterList:
    """Read the text of a list; `source` names it in errors.

    Raises ListError (with line and column) for a line that is no `id;expression`, an id that stands twice,
    indentation that fits no line above, a reference to an unknown id or in a cycle, an expression that
    expands to more than MAX_EXPRESSION_CHARS, or a list of more than MAX_LIST_CHARS.
    """
    entries = _entries(text.removeprefix("\ufeff"), source)
    expanded = _expand_all(entries, source)
    filters = [FilterDef(entry.id, expanded[entry.id], entry.line, source) for entry in entries.values()]
    return FilterList(tuple(filters), source)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line as it stands: `column` is where `expression` begins, `parent` the id it is nested under."""

    id: str
    expression: str
    line: int
    column: int
    parent: str | None

    def needs(self) -> Iterator[tuple[str, int]]:
        """The ids that the expression is built from, and the columns that name them."""
        if self.parent is not None:
            yield self.parent, self.column
        for found in _REFERENCE.finditer(self.expression):
            yield found[1].strip(), self.column + found.start()


def _entries(text: str, source: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    enclosing: list[tuple[int, str]] = []  # indentation and id of the lines that the current one is nested in
    for number, line in enumerate(text.split("\n"), 1):
        body = line.lstrip()
        if not body or body.startswith("#"):
            continue
        margin = line[: len(line) - len(body)]
        indent = len(margin.expandtabs())
        parent = _parent(enclosing, indent, source, number, len(margin) + 1)
        entry = _entry(line, number, len(margin) + 1, parent, source)
        if entry.id in entries:
            reason = f"id {entry.id!r} stands already in line {entries[entry.id].line}"
            raise ListError(reason, source, number, len(margin) + 1)
        entries[entry.id] = entry
        enclosing.append((indent, entry.id))
    return entries


def _parent(enclosing: list[tuple[int, str]], indent: int, source: str, line: int, column: int) -> str | None:
    """Leave what the line's indentation ends; the id that the line is nested in."""
    left = indent
    while enclosing and enclosing[-1][0] >= indent:
        left, _ = enclosing.pop()
    if left != indent:
        raise ListError("indentation fits no line above", source, line, column)
    return enclosing[-1][1] if enclosing else None


def _entry(line: str, number: int, column: int, parent: str | None, source: str) -> _Entry:
    before, separator, after = line.partition(";")
    own_id = before.strip()
    if not separator:
        raise ListError("expected `id;expression`", source, number, column)
    if own_id in ("", "%"):
        raise ListError("there is no id before the `;`", source, number, column)
    expression = after.partition(";")[0]  # bpfcountd ignores what follows a second `;`
    column = len(before) + 2 + len(expression) - len(expression.lstrip())
    if not expression.strip():
        reason = f"filter {own_id!r} has no expression (`len >= 0` matches every frame)"
        raise ListError(reason, source, number, column)
    entry = _Entry(_nested_id(parent, own_id), expression.strip(), number, column, parent)
    for found in _REFERENCE.finditer(entry.expression):
        if not found[2]:
            raise ListError("`${` without `}`", source, number, column + found.start())
    return entry


def _nested_id(parent: str | None, own_id: str) -> str:
    """PARENT:CHILD, or with a comma where both are labels; the `%` of a helper moves to the front."""
    if parent is None:
        return own_id
    above, below = parent.removeprefix("%"), own_id.removeprefix("%")
    separator = "," if labels_of(above) and labels_of(below) else ":"
    return f"{'%' if own_id.startswith('%') else ''}{above}{separator}{below}"


def _expand_all(entries: dict[str, _Entry], source: str) -> dict[str, str]:
    """All expressions by id, with what they refer to in the place of the references."""
    done: dict[str, str] = {}
    chars = 0
    for start in entries.values():
        # Depth first, with a stack of our own: a chain of references may be as long as the list.
        path = {start.id: start.needs()} if start.id not in done else {}
        while path:
            current, needs = next(reversed(path.items()))
            entry = entries[current]
            missing = next((need for need in needs if need[0] not in done), None)
            if missing is not None:
                _check_reference(missing, entry, list(path), entries, source)
                path[missing[0]] = entries[missing[0]].needs()
                continue
            path.popitem()
            done[entry.id] = _expanded(entry, done, source)
            chars += len(done[entry.id])
            if chars > MAX_LIST_CHARS:
                reason = f"the list expands to more than {MAX_LIST_CHARS} characters"
                raise ListError(reason, source, entry.line, entry.column)
    return done


def _check_reference(
    need: tuple[str, int], entry: _Entry, path: list[str], entries: dict[str, _Entry], source: str
) -> None:
    needed, column = need
    if needed in path:
        cycle = " -> ".join([*path[path.index(needed) :], needed])
        raise ListError(f"references form a cycle: {cycle}", source, entry.line, column)
    if needed not in entries:
        hint = "; the interface's address is `$MAC`" if needed == "MAC" else nearest(needed, entries)
        raise ListError(f"there is no filter {needed!r} to refer to{hint}", source, entry.line, column)


def _expanded(entry: _Entry, done: dict[str, str], source: str) -> str:
    # Before building it: a line of references to long expressions could be gigabytes.
    chars = len(entry.expression) + sum(len(done[needed]) for needed, _ in entry.needs())
    if chars > MAX_EXPRESSION_CHARS:
        reason = f"filter {entry.id!r} expands to more than {MAX_EXPRESSION_CHARS} characters"
        raise ListError(reason, source, entry.line, entry.column)
    own = _REFERENCE.sub(lambda found: f"({done[found[1].strip()]})", entry.expression)
    return own if entry.parent is None else f"({done[entry.parent]}) and ({own})"


def labels_of(filter_id: str) -> dict[str, str] | None:
    """The Prometheus labels that an id spells, or None; the `%` of a helper is no part of them."""
    text = filter_id.removeprefix("%")
    if not _LABELS.fullmatch(text):
        return None
    pairs = [(found[1], _unescaped(found[2])) for found in re.finditer(_LABEL, text)]
    return dict(pairs) if len({name for name, _ in pairs}) == len(pairs) else None


def _unescaped(value: str) -> str:
    """A label value as Prometheus' text format escapes it."""
    return re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), value)

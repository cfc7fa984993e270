"""Filter lists: `id;expression` a line, as bpfcountd reads them, and the tree form. See docs/filter-lists.md."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from meshlens.errors import UsageError
from meshlens.filters.errors import ListError, nearest

__all__ = ["FilterDef", "FilterList", "ListError", "load_list", "parse_list"]

#: Longest expression after expansion, and all expressions of a list together, in characters.
MAX_EXPRESSION_CHARS = 1 << 20
MAX_LIST_CHARS = 1 << 24

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_MAC_VARIABLE = re.compile(r"\$MAC\b")
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){5}")
_LABEL = r'[A-Za-z_][A-Za-z0-9_]*="(?:[^"\\\n]|\\.)*"'
_LABELS = re.compile(rf"\s*{_LABEL}\s*(?:,\s*{_LABEL}\s*)*,?\s*")
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


@dataclass(frozen=True)
class FilterDef:
    """One filter: `expression` has its references expanded, in parentheses; `$MAC` still stands in it.

    A helper (its id begins with `%`) exists to be referred to; it is counted only on request.
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
        return _labels(self.id)

    @property
    def where(self) -> str:
        """The filter's place, as errors name it."""
        return f"{self.source}:{self.line}: filter {self.id!r}"


@dataclass(frozen=True)
class FilterList:
    """The filters of a list, in the order of its lines, helpers included."""

    filters: tuple[FilterDef, ...]
    source: str = "<list>"

    def __iter__(self) -> Iterator[FilterDef]:
        return iter(self.filters)

    def __len__(self) -> int:
        return len(self.filters)

    @cached_property
    def uses_mac(self) -> bool:
        """Whether the list means something else on each interface."""
        return any(each.uses_mac for each in self.filters)

    def with_mac(self, mac: str) -> "FilterList":
        """The list with `$MAC` replaced by an interface's address (`aa:bb:cc:dd:ee:ff`)."""
        if not _MAC.fullmatch(mac):
            raise UsageError(f"{mac!r} is no MAC address; it should look like 02:00:00:00:00:01")
        return replace(
            self,
            filters=tuple(
                replace(each, expression=_MAC_VARIABLE.sub(mac, each.expression)) for each in self.filters
            ),
        )


def load_list(path: str | Path) -> FilterList:
    """Read a list file (UTF-8). Raises UsageError when it cannot be read, ListError for a bad line."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read filter list {path}: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ListError(f"byte {data[error.start]:#04x} is not UTF-8", str(path), line, column) from None
    return parse_list(text, source=str(path))


def parse_list(text: str, *, source: str = "<list>") -> FilterList:
    """Read the text of a list; `source` names it in errors.

    Raises ListError (with line and column) for a line that is no `id;expression`, an id that stands twice,
    indentation that fits no line above, a reference to an unknown id or in a cycle, or an expression that
    expands to more than MAX_EXPRESSION_CHARS.
    """
    entries = _entries(text.removeprefix("\ufeff"), source)
    expanded = _expand_all(entries, source)
    return FilterList(
        tuple(FilterDef(id, expanded[id], entry.line, source) for id, entry in entries.items()), source
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line as it stands: `column` is where `expression` begins, `parent` the id it is nested under."""

    id: str
    expression: str
    line: int
    column: int
    parent: str | None


def _entries(text: str, source: str) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    open_parents: list[tuple[int, str]] = []  # (indentation, id) of the lines that enclose the current one
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip().expandtabs()
        body = line.lstrip()
        if not body or body.startswith("#"):
            continue
        indent = len(line) - len(body)
        parent = _enclosing(open_parents, indent, source, number)
        entry = _entry(line, indent, number, parent, source)
        if entry.id in entries:
            earlier = entries[entry.id].line
            raise ListError(f"id {entry.id!r} stands already in line {earlier}", source, number, indent + 1)
        entries[entry.id] = entry
        open_parents.append((indent, entry.id))
    return entries


def _enclosing(open_parents: list[tuple[int, str]], indent: int, source: str, line: int) -> str | None:
    """Close what the line's indentation ends; the id that the line is nested under."""
    closed = None
    while open_parents and open_parents[-1][0] >= indent:
        closed = open_parents.pop()[0]
    if closed is not None and closed != indent or (closed is None and not open_parents and indent):
        raise ListError("indentation fits no line above", source, line, indent + 1)
    return open_parents[-1][1] if open_parents else None


def _entry(line: str, indent: int, number: int, parent: str | None, source: str) -> _Entry:
    id, separator, rest = line[indent:].partition(";")
    id = id.strip()
    if not separator:
        raise ListError("expected `id;expression`", source, number, indent + 1)
    if not id.lstrip("%"):
        raise ListError("the id before `;` is missing", source, number, indent + 1)
    expression = rest.partition(";")[0]  # bpfcountd too reads nothing beyond a second `;`
    column = line.index(";") + 2 + len(expression) - len(expression.lstrip())
    if not expression.strip():
        raise ListError(f"filter {id!r} has no expression (`len >= 0` matches every frame)", source, number, column)
    return _Entry(_nested_id(parent, id), expression.strip(), number, column, parent)


def _nested_id(parent: str | None, id: str) -> str:
    """PARENT:CHILD (labels are joined by a comma); a helper child's `%` moves to the front."""
    if parent is None:
        return id
    parent, child = parent.removeprefix("%"), id.removeprefix("%")
    separator = "," if _labels(parent) and _labels(child) else ":"
    return f"{'%' if id.startswith('%') else ''}{parent}{separator}{child}"


def _expand_all(entries: dict[str, _Entry], source: str) -> dict[str, str]:
    """All expressions by id, references replaced. Iterative: a chain may be as long as the list."""
    done: dict[str, str] = {}
    total = 0
    for start in entries:
        path = [start] if start not in done else []
        on_path = set(path)
        while path:
            entry = entries[path[-1]]
            missing = next(((id, at) for id, at in _needs(entry) if id not in done), None)
            if missing is None:
                done[entry.id] = _expanded(entry, done, source)
                total += len(done[entry.id])
                if total > MAX_LIST_CHARS:
                    raise ListError(
                        f"the list's expressions expand to more than {MAX_LIST_CHARS} characters", source, entry.line
                    )
                on_path.remove(path.pop())
                continue
            id, at = missing
            column = entry.column + at
            if id not in entries:
                known = nearest(id, list(entries))
                raise ListError(f"unknown reference ${{{id}}}{known}", source, entry.line, column)
            if id in on_path:
                cycle = " -> ".join([*path[path.index(id) :], id])
                raise ListError(f"references form a cycle: {cycle}", source, entry.line, column)
            path.append(id)
            on_path.add(id)
    return done


def _needs(entry: _Entry) -> Iterator[tuple[str, int]]:
    """The ids that an entry's expression is built from, each with its offset in the expression."""
    if entry.parent is not None:
        yield entry.parent, 0
    for found in _REFERENCE.finditer(entry.expression):
        yield found[1].strip(), found.start()


def _expanded(entry: _Entry, done: dict[str, str], source: str) -> str:
    pieces = [entry.expression]
    size = len(entry.expression) + sum(len(done[id]) + 2 for id, _ in _needs(entry))
    if size > MAX_EXPRESSION_CHARS:
        raise ListError(
            f"filter {entry.id!r} expands to more than {MAX_EXPRESSION_CHARS} characters", source, entry.line
        )
    own = _REFERENCE.sub(lambda found: f"({done[found[1].strip()]})", pieces[0])
    return own if entry.parent is None else f"({done[entry.parent]}) and ({own})"


def _labels(id: str) -> dict[str, str] | None:
    if not _LABELS.fullmatch(id.removeprefix("%")):
        return None
    pairs = [pair.split("=", 1) for pair in re.findall(_LABEL, id)]
    labels = {name: re.sub(r"\\.", _unescaped, value[1:-1]) for name, value in pairs}
    return labels if len(labels) == len(pairs) else None


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPES.get(escape[0], escape[0])

"""What is wrong with a filter or a list, and where."""

from collections.abc import Iterable
from difflib import get_close_matches

from meshlens.errors import UsageError

__all__ = ["FilterError", "ListError", "nearest"]


class ListError(UsageError):
    """A line of a filter list cannot be read; `source`, `line` and `column` (from 1) say which."""

    def __init__(self, reason: str, source: str, line: int, column: int = 1) -> None:
        super().__init__(f"{source}:{line}:{column}: {reason}")
        self.reason = reason
        self.source = source
        self.line = line
        self.column = column


class FilterError(UsageError):
    """An expression cannot be compiled; `where` names the filter once it is known (`FilterError.at`)."""

    def __init__(self, reason: str, where: str = "") -> None:
        super().__init__(f"{where}: {reason}" if where else reason)
        self.reason = reason
        self.where = where

    def at(self, where: str) -> "FilterError":
        """The same error, told of the filter at `where` (see `FilterDef.where`)."""
        return FilterError(self.reason, where)


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing when no known word is close."""
    close = get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""

"""What `meshlens.flows()` gives: an iterable of flows that knows what it missed and how to become a table."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any

from meshlens.errors import UsageError
from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.lists import FilterDef, FilterList
from meshlens.probes.flows.record import Flow, columns

__all__ = ["FlowStream", "compile_filter", "library", "to_pandas", "to_parquet"]


class FlowStream(ABC):
    """Flows as they end. `missed` says how many packets are in none of them, by the reason.

    `other` counts frames without IP, which belong to no flow.
    """

    def __init__(self) -> None:
        self.missed: dict[str, int] = {}
        self.other = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Flow]:
        """The flows, each when it has ended; all at the end."""

    def to_pandas(self) -> Any:
        """A pandas.DataFrame of all flows; see the function of this name."""
        return to_pandas(self)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write all flows into a Parquet file; see the function of this name."""
        to_parquet(self, path)


def to_pandas(flows: Iterable[Flow]) -> Any:
    """The flows as a pandas.DataFrame: a column a field of Flow, the head as tuples.

    Raises UsageError if pandas is not installed.
    """
    return library("pandas").DataFrame(columns(flows))


def to_parquet(flows: Iterable[Flow], path: str | os.PathLike[str]) -> None:
    """Write the flows into a Parquet file: a column a field of Flow, the head as lists.

    Raises UsageError if pyarrow is not installed, OSError if the file cannot be written.
    """
    arrow = library("pyarrow")
    lists = arrow.list_(arrow.int64())
    texts = ("interface", "protocol", "src", "dst", "direction", "ended", "inside")
    schema = arrow.schema(
        (name, lists if name.startswith("head_") else arrow.string() if name in texts else arrow.int64())
        for name in Flow.__dataclass_fields__
    )
    table = arrow.table(columns(flows), schema=schema)
    import_module("pyarrow.parquet").write_table(table, os.fspath(path))


def library(name: str) -> Any:
    """An optional library by name. Raises UsageError if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise UsageError(f"this needs {name}, which is not installed: pip install {name}") from None


def compile_filter(expression: str, link_type: int) -> CompiledList | None:
    """The filter for frames of one link type, None if it is empty. Raises FilterError."""
    if not expression.strip():
        return None
    return compile_list(FilterList((FilterDef("filter", expression, 1, "filter"),), ""), link_type=link_type)

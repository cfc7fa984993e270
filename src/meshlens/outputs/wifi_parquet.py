"""Stations of Wi-Fi interfaces as a Parquet file: a row for each reading of each."""

import os
from collections.abc import Iterable
from importlib import import_module
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from meshlens.errors import MeshlensError, UsageError
from meshlens.outputs.wifi_stations import station_row
from meshlens.wifi.joined.record import WifiStation

__all__ = ["StationRows"]

_DERIVED: Final = dict.fromkeys(("loss_ratio", "retry_ratio", "subframe_error_ratio"), float)


class StationRows:
    """Keeps the rows, and writes them at the end. Raises UsageError if pyarrow is not installed.

    Lists and maps are JSON text, rates their names.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.rows = list[dict[str, Any]]()
        try:
            self._arrow = import_module("pyarrow")
        except ImportError:
            raise UsageError(
                "Parquet files need pyarrow, which is not installed: pip install 'meshlens[parquet]'"
            ) from None

    def add(self, stations: Iterable[WifiStation], time_ns: int) -> None:
        """One reading."""
        self.rows += (station_row(each, time_ns) for each in stations)

    def write(self) -> None:
        """Replace the file. Raises MeshlensError."""
        hints = {"time_ns": int, **get_type_hints(WifiStation), **_DERIVED}
        schema = self._arrow.schema((name, self._type(hint)) for name, hint in hints.items())
        table = self._arrow.Table.from_pylist(self.rows, schema=schema)
        try:
            import_module("pyarrow.parquet").write_table(table, self.path)
        except OSError as error:
            raise MeshlensError(f"cannot write {self.path}: {error.strerror or error}") from error

    def _type(self, hint: Any) -> Any:
        told = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        for kind, column in ((bool, "bool_"), (int, "int64"), (float, "float64")):
            if kind in told:
                return getattr(self._arrow, column)()
        return self._arrow.string()

"""Tables of fingerprints and of predictions for other programs: CSV or Parquet, addresses hashed.

A MAC or IP address says who it was. In a table it is replaced by a keyed hash (BLAKE2b, RFC 7693), whose key
is forgotten when the table is written: rows of the same station can still be found in it, the station cannot.
"""

import csv
import os
import secrets
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from typing import TextIO

from meshlens.classify.features import Feature, Sample
from meshlens.errors import MeshlensError, UsageError

__all__ = ["Names", "feature_table", "write_csv", "write_table"]


class Names:
    """How stations and flows are called in a table: by a hash of theirs, or plainly."""

    def __init__(self, *, plain: bool = False, key: bytes | None = None) -> None:
        self.plain = plain
        self._key = key or secrets.token_bytes(16)

    def __call__(self, name: str) -> str:
        return name if self.plain else blake2b(name.encode(), digest_size=8, key=self._key).hexdigest()


def feature_table(
    features: Sequence[Feature], samples: Iterable[Sample], names: Names
) -> tuple[list[str], list[list[str | int]]]:
    """Column names and rows: file, name, first_ns, then the features in their order."""
    columns = ["file", "name", "first_ns", *(feature.name for feature in features)]
    return columns, [[sample.file, names(sample.name), sample.first_ns, *sample.values] for sample in samples]


def write_table(path: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a Parquet file, or CSV if the name ends with .csv.

    Raises UsageError for another ending or if pyarrow is not installed, MeshlensError where writing fails.
    """
    ending = Path(path).suffix
    try:
        match ending:
            case ".csv":
                with open(path, "w", newline="", encoding="utf-8") as file:
                    write_csv(file, columns, rows)
            case ".parquet":
                _write_parquet(path, columns, rows)
            case _:
                raise UsageError(f"{path}: a table ends with .parquet or .csv, not with {ending!r}")
    except OSError as error:
        raise MeshlensError(f"{path}: cannot be written: {error.strerror or error}") from None


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a heading and the rows as CSV."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def _write_parquet(path: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError(
            f"{path}: Parquet needs pyarrow: pip install 'meshlens[parquet]', or name a .csv file"
        ) from None
    cells = zip(*rows, strict=True) if rows else [()] * len(columns)
    parquet.write_table(
        arrow.table({name: list(column) for name, column in zip(columns, cells, strict=True)}),
        os.fspath(path),
    )

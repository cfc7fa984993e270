"""Parquet files by the hour: the flows that ended in it, and what the stations had, every few minutes.

The daemon itself only appends JSON lines to a file whose name begins with a dot. When its hour is over, a
child process makes `flows-2026-11-23T10.parquet` of it (UTC) and puts it in place in one step; the library
that it takes is 60 MiB large and lives as long as the child. What a killed daemon leaves is converted by the
next one.

    python -m meshlens.outputs.parquet .flows-2026-11-23T10.jsonl    # what the child does
"""

import builtins
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TextIO, get_origin, get_type_hints

from meshlens.errors import MeshlensError, UsageError
from meshlens.probes.flows.record import Flow
from meshlens.probes.stations.record import Station
from meshlens.readings.reading import Reading

__all__ = ["ParquetHours", "convert"]

#: Rows that are converted at a time: what bounds the child's memory.
_BATCH: Final = 10_000
#: What there is in a sample of a station in the place of its `dhcp` and `syn`.
_FINGERPRINT: Final = {
    "dhcp_options": tuple[int, ...],
    "dhcp_requested": tuple[int, ...],
    "vendor_class": str,
    "hostname": str,
    "syn_ttl": int,
    "syn_window": int,
    "syn_mss": int,
    "syn_options": tuple[int, ...],
}

log = logging.getLogger(__name__)


class ParquetHours:
    """Writes readings into `directory`; station samples at most every `stations_s` seconds.

    Raises UsageError if pyarrow is not installed, MeshlensError if the directory cannot be written.
    """

    def __init__(self, directory: str | os.PathLike[str], *, stations_s: float = 300) -> None:
        if find_spec("pyarrow") is None:
            raise UsageError(
                "Parquet files need pyarrow, which is not installed: pip install 'meshlens[parquet]'"
            )
        self.directory, self.stations_s = Path(directory), stations_s
        self._hour = ""
        self._spools: dict[str, TextIO] = {}
        self._sampled_ns = 0
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._left_behind = sorted(self.directory.glob(".*-*.jsonl"))
        except OSError as error:
            raise MeshlensError(f"cannot write Parquet files to {directory}: {error.strerror}") from error

    def write(self, reading: Reading) -> None:
        """Append what is new, and begin another file with another hour. Raises MeshlensError."""
        ended = [child for child in self._children if child.poll() is not None]
        self._children = [child for child in self._children if child not in ended]
        hour = datetime.fromtimestamp(reading.time_ns / 1e9, UTC).strftime("%Y-%m-%dT%H")
        try:
            if hour != self._hour:
                self._turn(hour)
            self._append("flows", (asdict(flow) for flow in reading.ended))
            if reading.time_ns - self._sampled_ns >= self.stations_s * 1e9:
                self._sampled_ns = reading.time_ns
                self._append("stations", _samples(reading))
        except OSError as error:
            raise MeshlensError(
                f"cannot write Parquet files to {self.directory}: {error.strerror}"
            ) from error
        if any(child.returncode for child in ended):
            raise MeshlensError(f"an hour in {self.directory} could not be converted: its lines stay there")

    def close(self) -> None:
        """Wait until finished hours are converted. The hour that goes on is, by who writes next."""
        for spool in self._spools.values():
            spool.close()
        for child in self._children:
            child.wait(60)

    def _turn(self, hour: str) -> None:
        finished = [Path(spool.name) for spool in self._spools.values()]
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()
        self._hour = hour
        finished += [path for path in self._left_behind if not path.stem.endswith(hour)]
        self._left_behind = []
        if finished:
            words = [sys.executable, "-m", __spec__.name, *map(str, finished)]
            self._children.append(subprocess.Popen(words, stdin=subprocess.DEVNULL))  # noqa: S603

    def _append(self, kind: str, records: Iterable[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        if lines:
            if kind not in self._spools:
                path = self.directory / f".{kind}-{self._hour}.jsonl"
                self._spools[kind] = path.open("a", encoding="ascii")
                if self._spools[kind].tell():  # a kill may have cut off the last line
                    self._spools[kind].write("\n")
            self._spools[kind].write(lines)
            self._spools[kind].flush()


def convert(spool: Path) -> Path:
    """Make the Parquet file of `.KIND-HOUR.jsonl`, and remove that. Returns its path.

    Lines that a kill has cut off are left out. A file of that hour that is there already is not replaced: the
    new one gets a number.
    """
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    name = spool.stem.removeprefix(".")
    kind = name.partition("-")[0]
    part = spool.with_name(f".{name}.part")
    schema = arrow.schema((name, _type(arrow, hint)) for name, hint in _columns(kind).items())
    writer = None
    with spool.open(encoding="ascii") as lines:
        records = _records(lines)
        while batch := list(islice(records, _BATCH)):
            if writer is None:
                writer = parquet.ParquetWriter(part, schema)
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
    target = _free(spool.with_name(f"{name}.parquet"))
    if writer:
        writer.close()
        part.replace(target)
    spool.unlink()
    return target


def _columns(kind: str) -> dict[str, Any]:
    """Names and types of what the lines of a spool hold."""
    if kind == "flows":
        return get_type_hints(Flow)
    own = {name: hint for name, hint in get_type_hints(Station).items() if name not in {"dhcp", "syn"}}
    return {"time_ns": int, **own, **_FINGERPRINT}


def _type(arrow: ModuleType, hint: Any) -> Any:
    """The column type of a field: numbers, lists of numbers, names to numbers; all else is text."""
    match get_origin(hint):
        case builtins.tuple:
            return arrow.list_(arrow.int64())
        case builtins.frozenset:
            return arrow.list_(arrow.string())
        case builtins.dict:
            return arrow.map_(arrow.string(), arrow.int64())
    return arrow.int64() if hint is int else arrow.string()


def _records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in filter(str.strip, lines):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            log.warning("a line that was cut off is left out")
        else:
            if "protocols" in record:  # a map is made of pairs
                record["protocols"] = list(record["protocols"].items())
            yield record


def _free(path: Path) -> Path:
    """The path itself, or with a number if it is taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


def _samples(reading: Reading) -> Iterator[dict[str, Any]]:
    """The stations of a reading as flat records."""
    for station in reading.stations:
        record = asdict(station)
        dhcp, syn = record.pop("dhcp"), record.pop("syn")
        yield {
            "time_ns": reading.time_ns,
            **record,
            "seen": sorted(station.seen),
            "dhcp_options": dhcp and dhcp["options"],
            "dhcp_requested": dhcp and dhcp["requested"],
            "vendor_class": dhcp and dhcp["vendor_class"],
            "hostname": dhcp and dhcp["hostname"],
            "syn_ttl": syn and syn["ttl"],
            "syn_window": syn and syn["window"],
            "syn_mss": syn and syn["mss"],
            "syn_options": syn and syn["options"],
        }


def main(words: list[str]) -> int:
    """Convert these spools; one that cannot be converted stays, and holds up no other."""
    failed = 0
    for word in words:
        try:
            convert(Path(word))
        except (AttributeError, OSError, TypeError, ValueError) as error:
            failed += 1
            print(f"meshlens: cannot convert {word}: {error}", file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

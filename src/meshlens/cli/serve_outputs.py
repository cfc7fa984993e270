"""The outputs that the settings of `meshlens serve` name, opened."""

from collections.abc import Iterator
from contextlib import ExitStack

from meshlens.cli.serve_settings import Influx, Outputs, Respondd, read_token
from meshlens.errors import UsageError
from meshlens.outputs.hub import Hub
from meshlens.outputs.influx import format_influx
from meshlens.outputs.readings import READING_KINDS, format_readings
from meshlens.outputs.respondd import format_respondd, format_respondd_compact
from meshlens.outputs.sinks import AppendedFile, Paced, ReplacedFile, Sink, UdpInflux
from meshlens.outputs.unixd import serve_unix
from meshlens.probes.snapshot import Snapshot
from meshlens.readings.reading import Reading

__all__ = ["open_outputs"]


def open_outputs(outputs: Outputs, hub: Hub) -> dict[str, Sink]:
    """The sinks by their names in the settings. Raises MeshlensError; then none stays open."""
    with ExitStack() as undo:
        opened = {}
        for name, sink in _open(outputs, hub):
            undo.callback(sink.close)
            opened[name] = sink
        undo.pop_all()
    return opened


def _open(outputs: Outputs, hub: Hub) -> Iterator[tuple[str, Sink]]:
    if outputs.prometheus:
        yield "prometheus", ReplacedFile(outputs.prometheus.textfile, lambda _: hub.metrics())
    if outputs.respondd:
        yield "respondd", _Respondd(outputs.respondd, hub)
    if outputs.influx:
        for name, sink in _influx(outputs.influx):
            yield name, Paced(sink, outputs.influx.interval)
    if outputs.jsonl:
        kinds = outputs.jsonl.kinds
        for unknown in set(kinds) - set(READING_KINDS):
            raise UsageError(
                f"outputs.jsonl.kinds: no kind {unknown!r}; there are {', '.join(READING_KINDS)}"
            )
        sink = AppendedFile(outputs.jsonl.file, lambda reading: format_readings(reading, kinds))
        yield "jsonl", Paced(sink, outputs.jsonl.interval)
    if outputs.parquet:
        from meshlens.outputs.parquet import ParquetHours

        yield "parquet", ParquetHours(outputs.parquet.directory, stations_s=outputs.parquet.stations_interval)


def _influx(influx: Influx) -> Iterator[tuple[str, Sink]]:
    if influx.file:
        yield "influx.file", AppendedFile(influx.file, format_influx)
    if influx.udp:
        host, _, port = influx.udp.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 0xFFFF:
            raise UsageError(f"outputs.influx.udp takes HOST:PORT, as in localhost:8089, not {influx.udp!r}")
        yield "influx.udp", UdpInflux(host.strip("[]"), int(port))
    if influx.url:
        if not influx.url.startswith(("http://", "https://")):
            raise UsageError(f"outputs.influx.url begins with http:// or https://, {influx.url!r} does not")
        from meshlens.outputs.influx_http import HttpInflux  # HTTP and TLS: 5 MiB

        yield "influx.url", HttpInflux(influx.url, read_token(influx.token_file) if influx.token_file else "")


class _Respondd:
    """The counts as a file and on a unix socket, where each client is told the newest."""

    def __init__(self, settings: Respondd, hub: Hub) -> None:
        self._mesh, self._hub = settings.mesh, hub
        self._format = format_respondd_compact if settings.compact else format_respondd
        self._file = ReplacedFile(settings.file, self._content) if settings.file else None
        self._server = ExitStack()
        if settings.socket:
            self._server.enter_context(
                serve_unix(settings.socket, lambda: self._text(hub.latest() or Reading(0)))
            )

    def write(self, reading: Reading) -> None:
        if self._file:
            self._file.write(reading)

    def close(self) -> None:
        self._server.close()

    def _content(self, reading: Reading) -> bytes:
        return self._text(reading).encode()

    def _text(self, reading: Reading) -> str:
        return self._format(
            Snapshot(reading.time_ns, reading.counts, reading.missed.get("count", {})), self._mesh
        )

"""Counting until told to stop: reports, servers, SIGHUP."""

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event

import click

from meshlens.cli.report import Report
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import MeshlensError, UsageError
from meshlens.filters.lists import load_list
from meshlens.probes.count.session import CountSession

__all__ = ["Services", "count_live"]


@dataclass(frozen=True, slots=True)
class Services:
    """Who else is told: bpfcountd's sockets, Prometheus ([HOST:]PORT), a file for node_exporter."""

    sockets: Sequence[str] = ()
    socket_mode: int = 0o666
    socket_group: str | None = None
    prometheus_listen: str | None = None
    textfile: str | None = None

    def __bool__(self) -> bool:
        return bool(self.sockets or self.prometheus_listen or self.textfile)

    @contextmanager
    def running(self, session: CountSession) -> Iterator[None]:
        """Answer within the `with` block."""
        with ExitStack() as servers:
            for path in self.sockets:
                from meshlens.outputs.bpfcountd import serve_bpfcountd

                servers.enter_context(
                    serve_bpfcountd(path, session.snapshot, mode=self.socket_mode, group=self.socket_group)
                )
            if self.prometheus_listen:
                from meshlens.outputs.prometheus import serve_prometheus

                host, port = _address(self.prometheus_listen)
                servers.enter_context(serve_prometheus(session.snapshot, host=host, port=port))
            yield

    def write(self, session: CountSession) -> None:
        """Write the file, if one is wanted."""
        if self.textfile:
            from meshlens.outputs.prometheus import write_textfile

            write_textfile(self.textfile, session.snapshot())

    def capabilities(self) -> set[str]:
        """What they take: to write where others own the directory, to give a group, to use a low port."""
        taken = {
            "dac_override": bool(self.sockets or self.textfile),
            "chown": self.socket_group is not None,
            "net_bind_service": self.prometheus_listen is not None,
        }
        return {name for name, needed in taken.items() if needed}


def count_live(
    session: CountSession,
    opened: AbstractContextManager[Report],
    services: Services,
    *,
    list_path: str | None,
    interval_s: float,
    duration_s: float | None,
) -> None:
    """Count for `duration_s`, or until interrupted; report each `interval_s` and at the end.

    SIGHUP reads `list_path` again.
    """
    with session:
        sockets = {"net_raw"} if session.attach == "socket" else set()
        drop_capabilities(ATTACHING | sockets | services.capabilities())
        if not session.attachments:
            click.echo("meshlens: no interface to count on yet; waiting for one", err=True)
        with services.running(session), _reload_at_sighup(session, list_path) as reload, opened as report:
            try:
                _report_regularly(session, report, services, reload, interval_s, duration_s)
            except KeyboardInterrupt:
                _end(session, report, services)
                raise
            _end(session, report, services)


@contextmanager
def _reload_at_sighup(session: CountSession, list_path: str | None) -> Iterator[Callable[[], None]]:
    """Yields what reads the list again if SIGHUP asked for it; a list that is wrong changes nothing."""
    asked = Event()

    def ask(*_: object) -> None:
        asked.set()
        session.wake()

    def reload() -> None:
        if list_path is None or not asked.is_set():
            return
        asked.clear()
        try:
            session.reload(load_list(list_path))
        except MeshlensError as error:
            click.echo(f"meshlens: {error}; the list read before stays in force", err=True)

    before = signal.signal(signal.SIGHUP, ask) if list_path else None
    try:
        yield reload
    finally:
        if list_path:
            signal.signal(signal.SIGHUP, before)


def _report_regularly(
    session: CountSession,
    report: Report,
    services: Services,
    reload: Callable[[], None],
    interval_s: float,
    duration_s: float | None,
) -> None:
    services.write(session)
    now = time.monotonic()
    due, end = now + interval_s, now + (math.inf if duration_s is None else duration_s)
    while now < end:
        session.wait(min(due, end) - now)
        reload()
        now = time.monotonic()
        if due <= now < end:
            report.show(session.snapshot())
            services.write(session)
            due = max(due + interval_s, now)


def _end(session: CountSession, report: Report, services: Services) -> None:
    """Detach first: what is told last is all that was counted."""
    session.close()
    report.end(session.snapshot())
    services.write(session)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 0xFFFF:
        raise UsageError(
            f"--prometheus-listen takes PORT or HOST:PORT, as in 9100 or [::]:9100, not {text!r}"
        )
    return host.strip("[]") or "127.0.0.1", int(port)

"""The daemon: attach, give up what is not needed, answer and read until told to stop, reload when asked."""

import gc
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import click

from meshlens import __version__
from meshlens.cli import notify
from meshlens.cli.errors import Terminated
from meshlens.cli.serve_http import listen, serving
from meshlens.cli.serve_outputs import open_outputs
from meshlens.cli.serve_settings import Settings
from meshlens.ebpf import run_statistics
from meshlens.ebpf.capabilities import ATTACHING, drop_capabilities
from meshlens.errors import MeshlensError
from meshlens.outputs.engine import Engine
from meshlens.outputs.history.query import rates_by_step
from meshlens.outputs.history.store import HistoryStore
from meshlens.outputs.hub import Hub
from meshlens.outputs.sinks import Sink
from meshlens.readings.session import Monitor

__all__ = ["open_monitor", "serve"]

_TURN_S: Final = 1.0
#: What only a new process can change.
_FIXED: Final = ("listen", "token_file", "names", "statistics", "history")

log = logging.getLogger(__name__)


def open_monitor(settings: Settings) -> Monitor:
    """The probes that the settings want; not attached yet. Raises UsageError for filters that are wrong."""
    return Monitor(
        settings.interfaces,
        settings.chosen_probes(),
        filters=settings.filter_list(),
        filter=settings.filter,
        options=settings.probe_options(),
        lenient=settings.lenient,
    )


def serve(settings: Settings, load: Callable[[], Settings]) -> None:
    """Run until SIGTERM or Ctrl-C. At SIGHUP go on with what `load` gives, unless that is wrong."""
    with ExitStack() as stack:
        if settings.statistics:
            stack.enter_context(run_statistics())
        listener, token = listen(settings)
        stack.callback(listener.close)
        daemon = _Daemon(settings, load, stack)
        asked = stack.enter_context(_signals(daemon.wake))
        sockets = {"net_raw"} if settings.count.attach == "socket" else set()
        drop_capabilities(ATTACHING | sockets)
        web = stack.enter_context(serving(daemon.hub, listener, token, settings))
        stack.callback(daemon.hub.close)  # before the server waits for its clients
        host, port = listener.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        click.echo(f"meshlens: {daemon.status()}; {address}", err=True)
        gc.freeze()  # what is there now stays: no need to look at it again and again
        daemon.run(asked, web.is_alive)


@dataclass
class _Asked:
    """What signals have asked for since it was looked at."""

    reload: bool = False
    end: type[BaseException] | None = None


@contextmanager
def _signals(wake: Callable[[], None]) -> Iterator[_Asked]:
    """SIGHUP, SIGTERM and Ctrl-C are noted, not raised: a reading is never handed out by half."""
    asked = _Asked()

    def note(number: int, _: object) -> None:
        if number == signal.SIGHUP:
            asked.reload = True
        else:
            asked.end = Terminated if number == signal.SIGTERM else KeyboardInterrupt
            signal.signal(number, signal.SIG_IGN if number == signal.SIGTERM else signal.default_int_handler)
        wake()

    before = {
        number: signal.signal(number, note) for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Daemon:
    """The monitor and all it feeds; `stack` closes the monitor."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], stack: ExitStack) -> None:
        self.settings, self._load = settings, load
        kept = settings.history
        self._store: HistoryStore | None = None
        if kept:
            levels = (kept.fine_hours * 3600, kept.coarse_days * 86_400)
            self._store = HistoryStore(kept.file, keep_s=levels, max_bytes=kept.max_mib << 20)
        query = partial(rates_by_step, kept.file) if kept else None
        self.hub = Hub(settings.interval, version=__version__, query=query)
        self.monitor = open_monitor(settings)
        self._list = settings.filter_list()
        self.monitor.__enter__()
        stack.callback(self._close_monitor)  # the one of that time
        for probe, why in self.monitor.absent.items():
            log.warning("the probe %s does not run: %s", probe, why)
        self._engine = Engine(self.monitor, self.hub, self._outputs(settings), settings.interval)

    def run(self, asked: _Asked, answers: Callable[[], bool]) -> None:
        """Read until asked to end. Raises MeshlensError if nobody answers HTTP any more."""
        watchdog_s = notify.watchdog_s()
        turn_s = min(_TURN_S, watchdog_s / 2) if watchdog_s else _TURN_S
        notify.ready(self.status())
        try:
            while asked.end is None:
                self._engine.turn(turn_s)
                notify.notify("WATCHDOG=1")
                if not answers():
                    raise MeshlensError("the HTTP server has ended; see what it has logged")
                if asked.reload:
                    asked.reload = False
                    self._reload()
        finally:
            notify.stopping()
            self._engine.finish()
        assert asked.end
        raise asked.end

    def wake(self) -> None:
        self.monitor.wake()

    def _close_monitor(self) -> None:
        self.monitor.close()

    def status(self) -> str:
        """What runs where, in a line."""
        return (
            f"{', '.join(self.monitor.probes)} on {', '.join(self.settings.interfaces) or 'all interfaces'}"
        )

    def _outputs(self, settings: Settings) -> dict[str, Sink]:
        history: dict[str, Sink] = {"history": self._store} if self._store else {}
        return history | open_outputs(settings.outputs, self.hub)

    def _reload(self) -> None:
        notify.reloading()
        try:
            self._take(self._load())
        except MeshlensError as error:
            log.error("%s; what was read before stays in force", error)  # noqa: TRY400  (one line says it all)
        else:
            log.info("read again: %s", self.status())
        notify.ready(self.status())

    def _take(self, new: Settings) -> None:
        """Go on with other settings. Nothing has changed if it raises."""
        for name in _FIXED:
            if getattr(new, name) != getattr(self.settings, name):
                log.warning("%s has changed, which takes a restart", name)
        listed = new.filter_list()
        with ExitStack() as undo:
            other = None
            if _attached(new) != _attached(self.settings) or (listed is None) != (self._list is None):
                other = undo.enter_context(open_monitor(new))
            self._replace_outputs(new)
            undo.callback(self._replace_outputs, self.settings)
            if other:
                self._take_over(other)
            elif listed and listed != self._list:
                self.monitor.reload(listed)
            undo.pop_all()
        self.settings, self._list = new, listed
        self.hub.interval_s = self._engine.interval_s = new.interval

    def _take_over(self, other: Monitor) -> None:
        """Both are attached for a moment: the history goes on with what the other one counts from here on.

        The two readings stand side by side: what comes in the milliseconds between them is in neither.
        """
        last, first = self.monitor.read(), other.read()
        ended = (*last.ended, *self.monitor.finish().ended)
        self._engine.hand_out(replace(last, flows=(), ended=ended))
        if self._store:
            self._store.begin_at(first)
        self.monitor = self._engine.source = other

    def _replace_outputs(self, settings: Settings) -> None:
        """Open those of `settings`, or again those of before. The store stays as it is."""
        self._engine.outputs.pop("history", None)
        self._engine.close_outputs()
        try:
            self._engine.outputs = self._outputs(settings)
        except MeshlensError:
            self._engine.outputs = self._outputs(self.settings)
            raise


def _attached(settings: Settings) -> tuple[object, ...]:
    """What the programs depend on, but for the list of filters, which can be replaced in place."""
    options = (
        settings.stations,
        settings.flows,
        settings.count,
        settings.wifi,
        settings.transmitters,
        settings.classify,
    )
    return settings.interfaces, settings.chosen_probes(), settings.filter, settings.lenient, *options

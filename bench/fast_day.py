"""A day of `meshlens serve` in minutes: new stations and flows all the time, full maps, flapping interfaces.

All is real but the time in the readings: frames, programs, maps, ageing, the history, the files of each hour.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from bench.network import Namespace, Sender, joined
from bench.report import Figure, Skip
from meshlens.ebpf.query import attached
from meshlens.errors import NotSupported, PermissionDenied
from meshlens.filters.lists import parse_list
from meshlens.outputs.engine import Engine
from meshlens.outputs.history.query import totals
from meshlens.outputs.history.store import HistoryStore
from meshlens.outputs.hub import Hub
from meshlens.outputs.parquet import ParquetHours
from meshlens.outputs.sinks import Sink
from meshlens.packet import craft
from meshlens.readings.reading import Reading
from meshlens.readings.session import Monitor

_DAY_NS: Final = 86_400 * 10**9
_START_NS: Final = 1_795_392_000 * 10**9  # 2026-11-23 00:00:00 UTC
_STEPS, _QUICK_STEPS = 288, 96
#: Real seconds a step, at least; what is idle for longer is let go, a station once a reading has told of it.
_STEP_S, _FLOW_IDLE_S, _STATION_IDLE_S = 0.25, 0.9, 4.0
#: New ones in each step, on each interface. Every third step brings more than the maps have room for.
_STATIONS, _FLOWS = 60, 200
_MAX_STATIONS, _MAX_FLOWS = 256, 1024
_STORM: Final = 4
_FLAP_EVERY: Final = 8
_PROGRAMS: Final = 8
_FILTERS: Final = "all;len >= 0\nudp;udp\nodd;udp[3] & 1 = 1\n"


def figures(quick: bool) -> Iterator[Figure]:
    steps = _QUICK_STEPS if quick else _STEPS
    try:
        with tempfile.TemporaryDirectory() as directory, joined(2) as (near, far), far.inside():
            day = _Day(near, far, Path(directory))
            begin = time.monotonic()
            early = late = _Held()
            for step in range(steps):
                day.step(step, _START_NS + _DAY_NS * step // steps)
                if step == steps // 3:
                    early = day.held()
            late = day.held()
            day.end(_START_NS + _DAY_NS)
            passed_s = time.monotonic() - begin
            yield from _growth(early, late)
            yield from day.losses()
            yield from day.files(passed_s)
    except (PermissionDenied, NotSupported) as error:
        raise Skip(str(error)) from None


class _Held:
    """What the process and the kernel hold for it."""

    def __init__(self, kernel_bytes: int = 0, directory: str = "-") -> None:
        found = re.search(r"^Rss:\s*(\d+) kB", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
        assert found
        self.resident_mib, self.kernel_kib = int(found[1]) / 1024, kernel_bytes / 1024
        # The files of the hour are open or not yet.
        targets = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        self.descriptors = sum(not each.startswith(directory) for each in targets)


def _growth(early: _Held, late: _Held) -> Iterator[Figure]:
    note = "from the end of the eighth hour to the end of the day"
    grown = late.resident_mib - early.resident_mib
    yield Figure("resident memory grows by", grown, "MiB", f"{note}; {late.resident_mib:.0f} MiB", at_most=3)
    kernel = late.kernel_kib - early.kernel_kib
    note = f"programs and maps: {late.kernel_kib:,.0f} KiB"
    yield Figure("kernel memory grows by", kernel, "KiB", note, at_most=0)
    yield Figure("file descriptors grow by", late.descriptors - early.descriptors, "", at_most=0)


class _Day:
    """What is sent, and what is said of it."""

    def __init__(self, near: Namespace, far: Namespace, directory: Path) -> None:
        self.near, self.far, self.directory = near, far, directory
        self.random = Random(7)
        self.sent = self.flapped = 0
        self.in_flows = 0
        self.last = Reading(0)
        self.history = HistoryStore(directory / "history.db", keep_s=(6 * 3600, 86_400 * 2))
        outputs: dict[str, Sink] = {
            "history": self.history,
            "parquet": ParquetHours(directory / "parquet", stations_s=900),
        }
        self.hub = Hub(_STEP_S)
        self.monitor = Monitor(
            ["veth*"],
            ["interfaces", "stations", "flows", "count"],
            filters=parse_list(_FILTERS),
            options={
                "stations": {"max_stations": _MAX_STATIONS, "idle_s": _STATION_IDLE_S},
                "flows": {"max_flows": _MAX_FLOWS, "idle_s": _FLOW_IDLE_S},
            },
        )
        self.monitor.__enter__()
        self.engine = Engine(self.monitor, self.hub, outputs, _STEP_S)

    def step(self, number: int, time_ns: int) -> None:
        """Send, wait, read; now and then an interface goes and comes back."""
        if number % _FLAP_EVERY == _FLAP_EVERY - 1:
            self._flap("veth1")
        many = _STORM if number % 3 == 2 else 1
        for interface in ("veth0", "veth1"):
            frames = [self._frame(number, each % (_STATIONS * many)) for each in range(_FLOWS * many)]
            sender = Sender.on(self.near, interface, frames)
            sender.send()
            sender.link.close()
            self.sent += len(frames)
        self.monitor.wait(_STEP_S)
        self._hand_out(self.monitor.read(), time_ns)

    def end(self, time_ns: int) -> None:
        """Detach; the last reading has what was still going on."""
        self._hand_out(self.monitor.finish(), time_ns)
        self.engine.close_outputs()

    def held(self) -> _Held:
        return _Held(sum(each.memory_bytes for each in self.last.costs), str(self.directory))

    def losses(self) -> Iterator[Figure]:
        into = [each for i in self.last.interfaces for each in i.traffic if each.direction == "in"]
        yield self._uncounted("interfaces", sum(each.packets for each in into))
        everything = [each for each in self.last.counts if (each.filter, each.direction) == ("all", "in")]
        yield self._uncounted("count", sum(each.packets for each in everything))
        yield self._uncounted("flows", self.in_flows)
        kept = totals(
            self.directory / "history.db", "stations", since_ns=_START_NS, until_ns=_START_NS + 2 * _DAY_NS
        )
        yield self._uncounted("stations", sum(each.packets_in for each in kept.rows))

    def files(self, passed_s: float) -> Iterator[Figure]:
        hours = len(list((self.directory / "parquet").glob("flows-*.parquet")))
        size = (self.directory / "history.db").stat().st_size
        yield Figure("hours in Parquet files", hours, "", at_least=24)
        yield Figure("the history", size / 1e6, "MB", f"the day took {passed_s:.0f} s; {self.flapped} flaps")

    def _uncounted(self, probe: str, counted: int) -> Figure:
        missed = sum(self.last.missed[probe].values())
        note = f"{self.sent:,} sent, {counted:,} counted, {missed:,} told as missed"
        lost = abs(self.sent - counted - missed)
        return Figure(f"{probe}: packets lost without a word", lost, "", note, at_most=0)

    def _hand_out(self, reading: Reading, time_ns: int) -> None:
        self.last = replace(reading, time_ns=time_ns)
        self.in_flows += sum(flow.packets for flow in reading.ended)
        self.engine.hand_out(self.last)
        self.hub.metrics()

    def _flap(self, interface: str) -> None:
        """Take an interface away with its peer, and bring it back; the programs follow."""
        self.near.ip("link", "del", interface)
        self.monitor.wait(0.05)
        self.near.ip("link", "add", interface, "type", "veth", "peer", interface, "netns", self.far.name)
        for namespace in (self.near, self.far):
            namespace.ip("link", "set", interface, "up")
        index = self.far.ifindex(interface)
        while len(attached(index)) < _PROGRAMS:
            self.monitor.wait(0.02)
        self.flapped += 1

    def _frame(self, step: int, station: int) -> bytes:
        """A datagram of a station of this step, in a flow of its own."""
        number = (step * _STATIONS + station) & 0xFFFF
        address = f"10.{number >> 8}.{number & 255}.{self.random.randrange(1, 255)}"
        payload = bytes(self.random.randrange(8, 400))
        datagram = craft.udp(address, "192.0.2.1", self.random.randrange(1024, 65536), 53, payload)
        return craft.ip_frame(
            f"a4:cf:12:00:{number >> 8:02x}:{number & 255:02x}", datagram, "02:00:00:00:00:01"
        )

"""Several probes as one: parts of a reading, errors at the start, waiting; with sessions that are made up."""

import threading
import time
from dataclasses import replace
from typing import Any, Self

import pytest

from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.probes.cost import ProbeCost
from meshlens.readings.probes import Part, Probe, ProbeName, Wanted
from meshlens.readings.session import Monitor, monitor
from tests.readings import reading

ONE = reading(1)


class Session:
    """Notes what is done to it."""

    def __init__(self, refuses: Exception | None = None) -> None:
        self.refuses, self.entered, self.closed, self.ticks = refuses, 0, 0, 0
        self.missed = {"map_full": 7}

    def __enter__(self) -> Self:
        if self.refuses:
            raise self.refuses
        self.entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1

    def wait(self, seconds: float) -> None:
        self.ticks += 1

    def costs(self) -> list[ProbeCost]:
        return [ONE.costs[0]]


class FakeProbe(Probe):
    def __init__(self, session: Any, part: Part) -> None:
        super().__init__(session)
        self.part = part

    def read(self) -> Part:
        return self.part


class Bench:
    """A registry of two probes whose sessions can be looked at."""

    def __init__(self, refuses: Exception | None = None) -> None:
        self.sessions = {"interfaces": Session(), "stations": Session(refuses)}
        self.wanted: list[Wanted] = []

    def monitor(self, *probes: ProbeName, **arguments: Any) -> Monitor:
        def opener(name: str, part: Part) -> Any:
            def opened(wanted: Wanted) -> Probe:
                self.wanted.append(wanted)
                return FakeProbe(self.sessions[name], part)

            return opened

        openers = {
            "interfaces": opener("interfaces", {"interfaces": ONE.interfaces}),
            "stations": opener("stations", {"stations": ONE.stations}),
        }
        return Monitor(["w*"], probes or ("interfaces", "stations"), openers=openers, **arguments)  # type: ignore[arg-type]


def test_a_reading_has_the_parts_of_all_probes_and_no_others() -> None:
    with Bench().monitor() as running:
        got = running.read()
    assert (got.interfaces, got.stations, got.flows) == (ONE.interfaces, ONE.stations, ())
    assert got.missed == {"interfaces": {"map_full": 7}, "stations": {"map_full": 7}}
    assert got.costs == (ONE.costs[0],) * 2
    assert abs(got.time_ns - time.time_ns()) < 60e9


def test_only_what_is_asked_for_is_opened_and_gets_what_it_is_told() -> None:
    bench = Bench()
    bench.monitor("stations", filter="arp", options={"stations": {"idle_s": 9}})
    assert bench.wanted == [Wanted(("w*",), "arp", None, {"idle_s": 9})]


def test_a_probe_that_cannot_start_is_an_error_and_the_others_are_closed() -> None:
    bench = Bench(NotSupported("no ring buffers"))
    with (
        pytest.raises(NotSupported, match="the probe 'stations' cannot run here: no ring buffers"),
        bench.monitor(),
    ):
        pass
    first = bench.sessions["interfaces"]
    assert (first.entered, first.closed) == (1, 1)


def test_a_lenient_monitor_says_which_probe_is_absent_and_why() -> None:
    with Bench(NotSupported("no ring buffers")).monitor(lenient=True) as running:
        assert running.absent == {"stations": "no ring buffers"}
        assert running.probes == ("interfaces",)
        assert running.read().stations == ()


def test_even_a_lenient_monitor_wants_one_probe_and_hides_no_other_error() -> None:
    with (
        pytest.raises(NotSupported, match="no probe can run here"),
        Bench(NotSupported("x")).monitor("stations", lenient=True),
    ):
        pass
    with (
        pytest.raises(UsageError, match="no interface"),
        Bench(UsageError("no interface")).monitor(lenient=True),
    ):
        pass


def test_unknown_probes_and_count_without_filters_are_refused() -> None:
    with pytest.raises(UsageError, match="no probe 'gossip'; there are interfaces, stations"):
        Bench().monitor("gossip")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'count' counts by filters"):
        monitor("lo", ["count"])


def test_waiting_lets_each_probe_tick_and_ends_in_time_or_when_woken() -> None:
    bench = Bench()
    with bench.monitor() as running:
        begin = time.monotonic()
        running.wait(0.05)
        assert 0.05 <= time.monotonic() - begin < 5
        assert all(session.ticks for session in bench.sessions.values())
        threading.Timer(0.05, running.wake).start()
        running.wait(60)
        assert time.monotonic() - begin < 30


def test_a_wake_before_the_wait_is_not_lost() -> None:
    with Bench().monitor() as running:
        running.wake()
        begin = time.monotonic()
        running.wait(60)
        assert time.monotonic() - begin < 30


def test_after_the_end_it_goes_on_telling_what_was_seen() -> None:
    with Bench().monitor() as running:
        last = running.finish()
    assert replace(running.read(), time_ns=last.time_ns) == last


def test_a_list_cannot_be_replaced_where_none_is_counted_by() -> None:
    with Bench().monitor() as running, pytest.raises(MeshlensError, match="'count' does not run"):
        running.reload(None)  # type: ignore[arg-type]

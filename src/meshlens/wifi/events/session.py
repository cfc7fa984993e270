"""Events as they happen, from nl80211's multicast groups."""

import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from meshlens.probes.interfaces import matches
from meshlens.wifi.events.meaning import event_of
from meshlens.wifi.events.record import WifiEvent
from meshlens.wifi.events.roaming import Roaming
from meshlens.wifi.netlink.interfaces import wifi_interfaces
from meshlens.wifi.netlink.nl80211 import Attribute, Attributes, Listener, Nl80211, number

__all__ = ["WifiEvents", "wifi_events"]

_FOREVER_S: Final = 3600.0


def wifi_events(interfaces: str | Sequence[str] = ()) -> "WifiEvents":
    """What happens on Wi-Fi `interfaces` (names and globs; none: all), as nl80211 tells it.

        with meshlens.wifi_events() as events:
            for event in events:
                print(event.interface, event.kind, event.mac, event.why)

    Events that belong to no interface (regulatory ones) are told always. Entering raises NotSupported without
    nl80211.
    """
    return WifiEvents([interfaces] if isinstance(interfaces, str) else interfaces)


class WifiEvents:
    """Heard from `with` on; what happens between two calls waits in the kernel, 1 MiB of it."""

    def __init__(self, interfaces: Sequence[str] = (), *, listen: Callable[[], Listener] = Listener) -> None:
        self.interfaces = tuple(interfaces)
        self._listen = listen
        self._listener: Listener | None = None
        self._names: dict[int, str] = {}
        self._access_points: set[int] = set()
        self._roaming = Roaming()
        self._told_overruns = 0

    def __enter__(self) -> Self:
        self._wake_end, self._waker = os.pipe()
        try:
            self._listener = self._listen()
        except BaseException:
            self._close_pipe()
            raise
        self._look()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
            self._close_pipe()

    def __iter__(self) -> Iterator[WifiEvent]:
        """All events from now on, until `wake()` or an interrupt."""
        while True:
            events = self.wait(_FOREVER_S)
            if events is None:
                return
            yield from events

    def wait(self, seconds: float) -> list[WifiEvent] | None:
        """The events, as soon as there are any; [] if none came for so long, None after `wake()`."""
        listener, deadline = self._listener, time.monotonic() + seconds
        assert listener, "within `with` only"
        while (left := deadline - time.monotonic()) >= 0:
            ready, _, _ = select.select([listener.fileno(), self._wake_end], [], [], left)
            if self._wake_end in ready:
                os.read(self._wake_end, 1)
                return None
            if ready and (events := list(self._fetch(listener))):
                return events
        return []

    def wake(self) -> None:
        """End a `wait()`: from another thread, or from a signal handler."""
        if self._listener:
            os.write(self._waker, b"w")

    @property
    def missed(self) -> dict[str, int]:
        """How often the kernel told more than could be fetched; of how many events it does not say."""
        return {"overruns": self._told_overruns}

    def _fetch(self, listener: Listener) -> Iterator[WifiEvent]:
        for command, told in listener.receive():
            event = self._event(command, told)
            if event:
                yield event
        if lost := listener.overruns - self._told_overruns:
            self._told_overruns = listener.overruns
            yield WifiEvent(time.time_ns(), "events-lost", "", details={"times": lost})

    def _event(self, command: int, told: Attributes) -> WifiEvent | None:
        index = number(told.get(Attribute.IFINDEX, b""))
        event = event_of(command, told, self._name(index, told), time.time_ns())
        if event is None:
            return None
        if event.kind in ("join", "leave"):
            self._look()
        event = self._roaming.note(event, on_access_point=index in self._access_points)
        is_wanted = not self.interfaces or not event.interface or matches(event.interface, self.interfaces)
        return event if is_wanted else None

    def _name(self, index: int, told: Attributes) -> str:
        """The interface's name; the one it had, if it is gone."""
        if not index:
            return ""
        if Attribute.IFNAME in told:
            self._names[index] = told[Attribute.IFNAME].rstrip(b"\0").decode(errors="replace")
        elif index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                return f"if{index}"
        return self._names[index]

    def _look(self) -> None:
        """Which interfaces there are, and what they are now."""
        with Nl80211() as nl80211:
            there = wifi_interfaces(nl80211)
        self._names |= {each.index: each.name for each in there}
        self._access_points = {each.index for each in there if each.is_access_point}

    def _close_pipe(self) -> None:
        os.close(self._wake_end)
        os.close(self._waker)

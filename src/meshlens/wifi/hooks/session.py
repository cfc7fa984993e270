"""What our own Wi-Fi interfaces send to each station and hear of it."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from meshlens.ebpf.tracing import Hook
from meshlens.errors import UsageError
from meshlens.probes.session import AttachedProgram, Session
from meshlens.wifi.hooks.attach import HOOKS, Hooked
from meshlens.wifi.hooks.following import Radios
from meshlens.wifi.hooks.record import HookedStation, record

__all__ = ["HookedSession", "hooked_stations"]

#: Frames that are in no station's numbers, though they should be, or only in those of no rate.
_MISSED: Final = ("unreadable", "stations_full", "rates_full")
_DIRECTIONS: Final = {"sent": "out", "heard": "in", "handed over": "out"}


def hooked_stations(
    interfaces: str | Sequence[str] = (),
    *,
    max_stations: int = 1024,
    idle_s: float = 0,
    hooks: Sequence[Hook] = HOOKS,
) -> "HookedSession":
    """What is sent to the stations of wireless `interfaces` (none: all that are up), and heard of them.

        with hooked_stations("wlan0") as session:
            session.wait(10)
            for each in session.stations():
                print(each.mac, each.tx_frames, each.loss_ratio, each.signal)

    It is read where drivers report to mac80211: by fentry, else by kprobes (`hooks`). `max_stations` is the
    room in the kernel, 3 KiB each, for stations by CPU that saw them; a frame whose station finds none is
    counted in `missed`. One with which nothing was exchanged for `idle_s` seconds is forgotten; 0: never.

    Entering raises NotSupported that names what the kernel lacks (BTF, a function, a field), UsageError for
    an interface that is not there or is not wireless, PermissionDenied.
    """
    if max_stations < 1 or idle_s < 0:
        raise UsageError("max_stations has to be more than 0, idle_s at least 0")
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    return HookedSession(names, max_stations, idle_s, hooks)


class HookedSession(Session):
    """Counted from `with` on; `stations()` tells what so far, also after the end."""

    probe = "wifi hooks"

    def __init__(self, names: Sequence[str], max_stations: int, idle_s: float, hooks: Sequence[Hook]) -> None:
        self._radios = Radios(names, max_stations, hooks)
        super().__init__(self._radios)
        self.idle_s = idle_s
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)

    def stations(self) -> list[HookedStation]:
        """By interface, those with most frames first.

        What was seen belongs to the name of an interface, and goes on when one of that name comes back.
        """
        with self._lock:
            if self.idle_s:
                self._radios.forget(int(self.idle_s * 1e9))
            seen, bitrates = self._radios.seen(), self._radios.bitrates
        made = [
            record(name, mac, entry, rates, bitrates[name], self._offset_ns)
            for name, stations in seen.items()
            for mac, (entry, rates) in stations.items()
        ]
        return sorted(made, key=lambda each: (each.interface, -each.tx_frames - each.rx_frames, each.mac))

    @property
    def functions(self) -> tuple[Hooked, ...]:
        """The functions of mac80211 that are watched, what for, and by which kind of probe."""
        return self._radios.functions

    @property
    def outcomes(self) -> dict[str, dict[str, int]]:
        """What became of all frames, "sent" and "heard": counted, of no station of ours, or missed."""
        with self._lock:
            return self._radios.outcomes()

    @property
    def missed(self) -> dict[str, int]:
        """Frames that are in no station's numbers, by reason; `rates_full`: in all but those of rates.

        `interrupted`: the kernel did not run a program because it was running on that CPU already.
        """
        outcomes = self.outcomes.values()
        missed = {reason: sum(each[reason] for each in outcomes) for reason in _MISSED}
        with self._lock:
            return missed | {"interrupted": self._radios.interrupted()}

    def _programs(self) -> Iterator[AttachedProgram]:
        return (
            (hooked.function, _DIRECTIONS[hooked.purpose], program)
            for hooked, program in self._radios.programs()
        )

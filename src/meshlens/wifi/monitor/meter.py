"""The monitor program on one interface, and what its maps hold."""

import struct
import time
from functools import cache
from typing import Final

from meshlens.ebpf import R0, Asm, Helper, Link, Program, ProgramSpec, ProgramType
from meshlens.ebpf.verifier import VerifierError
from meshlens.filters.compiler import CompiledList
from meshlens.probes.attach import attach_at_tc
from meshlens.probes.interfaces import Interface
from meshlens.wifi.monitor.layout import (
    RATES,
    TALLY,
    TRANSMITTERS,
    Entry,
    RateCount,
    RateKey,
    at,
    read_tally,
    unpack_key,
    unpack_rate,
)
from meshlens.wifi.monitor.program import Clock, monitor_program

__all__ = ["Entries", "MonitorMeter", "Rates"]

Entries = list[tuple[bytes | None, Entry]]
Rates = list[tuple[RateKey, RateCount]]

_NS: Final = 1_000_000_000


class MonitorMeter:
    """Attached from the start until `close`."""

    def __init__(
        self,
        interface: Interface,
        link_type: int,
        compiled: CompiledList | None,
        max_transmitters: int,
    ) -> None:
        self._offset_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        self.program: Program = monitor_program(
            max_transmitters,
            link_type=link_type,
            compiled=compiled,
            clock=_clock(),
            clock_offset_ns=self._offset_ns,
        ).load()
        self._transmitters, self._rates = self.program.maps[TRANSMITTERS], self.program.maps[RATES]
        self._tally = self.program.maps[TALLY].mmap()
        try:
            _, link = attach_at_tc(self.program, interface.index, "in")
        except BaseException:
            self._free()
            raise
        self._link: Link = link

    def read(self) -> tuple[Entries, Rates]:
        """What was heard so far."""
        # By way of a dictionary: a hash that is written to meanwhile may show a key twice.
        values, used = dict(self._transmitters.items()), dict(self._rates.items())
        entries = [(unpack_key(key), Entry.unpack(value)) for key, value in values.items()]
        rates = [(RateKey.unpack(key), unpack_rate(value)) for key, value in used.items()]
        return [pair for pair in entries if pair[1].kinds], rates

    def outcomes(self) -> dict[str, int]:
        """What became of the frames so far."""
        return read_tally(self._tally)

    def forget(self, idle_ns: int) -> None:
        """Drop the transmitters that were not heard for so long, which makes room for others."""
        oldest = time.clock_gettime_ns(time.CLOCK_MONOTONIC) + self._offset_ns - idle_ns
        offset, newest = at("last_ns").offset, dict[bytes | None, int]()
        keys = []
        for key, value in self._transmitters.items():
            (last_ns,) = struct.unpack_from("=Q", value, offset)
            transmitter = unpack_key(key)  # of several CPUs, maybe
            newest[transmitter] = max(last_ns, newest.get(transmitter, 0))
            keys.append(key)
        gone = {key for key in keys if 0 < newest[unpack_key(key)] < oldest}
        for key in gone:
            self._transmitters.delete(key)
        if gone:
            size = self._transmitters.spec.key_size
            for key in [key for key in self._rates.keys() if key[:size] in gone]:  # noqa: SIM118  (a map)
                self._rates.delete(key)

    def close(self) -> None:
        """Detach, and give the program and its maps back."""
        self._link.close()
        self._free()

    def _free(self) -> None:
        self._tally.release()
        self.program.close()
        for each in self.program.maps.values():
            each.close()


@cache
def _clock() -> Clock:
    """The cheap clock where the kernel has it (Linux 5.11)."""
    a = Asm()
    a.call(Helper.ktime_get_coarse_ns)
    a.ret(R0)
    try:
        ProgramSpec("probe", ProgramType.SCHED_CLS, a).load().close()
    except VerifierError:
        return "fine"
    return "coarse"

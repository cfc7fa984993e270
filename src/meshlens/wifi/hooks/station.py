"""What the programs have in common: a probe that finds a station's entry and adds to it."""

from pathlib import Path
from typing import Final

from meshlens.ebpf import (
    NOEXIST,
    R0,
    R1,
    R2,
    R3,
    R7,
    R8,
    R10,
    Helper,
    ProgramSpec,
    Reg,
    Slot,
    possible_cpus,
)
from meshlens.ebpf.contexts import Field
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, Trace, View, exists
from meshlens.errors import NotSupported
from meshlens.packet.ieee80211 import HeaderFlag
from meshlens.probes.tally import emit_tally
from meshlens.wifi.hooks.layout import (
    BIAS_DB,
    BLANK,
    HOMES,
    KEY,
    OUTCOMES,
    RATE_BYTES,
    RATE_KEY,
    RATES,
    SIGNAL_BINS,
    SIGNAL_STEP_DB,
    STATIONS,
    hook_maps,
    in_signal,
    within,
)

__all__ = ["HEADER_BYTES", "RATE_AT", "StationProbe"]

#: As much of an 802.11 header as all data and management frames have.
HEADER_BYTES: Final = 24
#: Where in the key a rate stands, which begins with the key of its station.
RATE_AT: Final = KEY.size
_IFINDEX_AT, _MAC_AT, _CPU_AT = 8, 12, 18
_DIRECTIONS: Final = HeaderFlag.TO_DS | HeaderFlag.FROM_DS


class StationProbe(Trace):
    """A probe on a function of mac80211 that is given a radio (`hw`) and a frame of a station.

    R9 is the context; from `find` on, R7 is the station's entry. R6 and R8 are free.
    """

    def __init__(self, hook: Hook, function: Function, types: KernelTypes) -> None:
        super().__init__(hook, function)
        self.types = types
        self.hw = self.argument("hw")
        self.key = self.slot(RATE_KEY.size)
        self.header = self.slot(HEADER_BYTES + 8)  # QoS control is behind it, mostly
        self.home = self.slot(16)
        self._zeros = self.slot(RATE_BYTES)
        self.call(Helper.get_smp_processor_id)
        self.store(R10, self.key.offset + _CPU_AT, R0, 2)
        self.read(R1, self.hw)
        self.store(R10, self.key.offset, R1, 8)
        self.store(R10, self.home.offset, R1, 8)

    def finish(self, name: str, max_stations: int, *outcomes: str) -> ProgramSpec:
        """The ends of the program: the outcomes of all, and those of its own."""
        for outcome in ("counted", "unreadable", "elsewhere", "stations_full", *outcomes):
            self.label(outcome)
            self.tally(outcome)
            self.ret(0)
        return self.program(name, maps=hook_maps(max_stations))

    def tally(self, outcome: str) -> None:
        """Count what became of the frame. Clobbers R0 and R1."""
        self.load(R0, R10, self.key.offset + _CPU_AT, 2)
        with self.if_(R0, "<", possible_cpus()):  # always: only the verifier does not know
            emit_tally(self, OUTCOMES.index(outcome), 1)

    def constant(self, name: str) -> int:
        """A flag; 0 if this kernel does not have it."""
        try:
            return self.types.constant(name)
        except NotSupported:
            return 0

    # Who it is.

    def mac(self, view: View) -> None:
        """The station's address, from kernel memory."""
        self.copy(Slot(self.key.offset + _MAC_AT, 6), view)

    def mac_in_header(self, offset: int) -> None:
        """The station's address, from the header."""
        self.move(self.key.offset + _MAC_AT, self.header.offset + offset)

    def ifindex(self, index: Reg) -> None:
        """The interface at which the station is."""
        self.store(R10, self.key.offset + _IFINDEX_AT, index, 4)

    def home_key(self) -> Slot:
        """The key of HOMES and SEQUENCES: radio and address of the station."""
        self.move(self.home.offset + 8, self.key.offset + _MAC_AT)
        self.store(R10, self.home.offset + 14, 0, 2)
        return self.home

    def move(self, to: int, offset: int) -> None:
        """Copy an address on the stack. Clobbers R0."""
        for part in range(0, 6, 2):  # all that its places are aligned to
            self.load(R0, R10, offset + part, 2)
            self.store(R10, to + part, R0, 2)

    def lookup_station(self) -> None:
        """R0 = the entry, or 0."""
        self.call(Helper.map_lookup_elem, STATIONS, Slot(self.key.offset, KEY.size))

    def find(self, net: View | None = None) -> None:
        """R7 = the station's entry, a new one if need be.

        `net` points to the network namespace of the interface; a station of another than ours gets no entry.
        """
        self.lookup_station()
        self.mov(R7, R0)
        with self.if_(R7, "==", 0):
            if net is not None and exists(net.ns.inum):
                self.read(R1, net.ns.inum)
                self.ld_imm64(R2, Path("/proc/self/ns/net").stat().st_ino)
                self.jump_if(R1, "!=", R2, "elsewhere")
            self.map_value(R3, BLANK)
            self.call(Helper.map_update_elem, STATIONS, Slot(self.key.offset, KEY.size), R3, NOEXIST)
            self.lookup_station()
            self.mov(R7, R0)
            self.jump_if(R7, "==", 0, "stations_full")
            ifindex = Slot(self.key.offset + _IFINDEX_AT, 4)
            self.call(Helper.map_update_elem, HOMES, self.home_key(), ifindex, 0)

    def bssid(self) -> None:
        """Keep the BSSID from the header, once. A data frame in four-address format has none."""
        offset, kept = within("bssid").offset, self.new_label()
        self.load(R0, R7, offset, 8)
        self.jump_if(R0, "!=", 0, kept)
        self.load(R2, R10, self.header.offset + 1, 1)
        self.alu("&=", R2, int(_DIRECTIONS))
        for direction, place in ((0, 16), (HeaderFlag.TO_DS, 4), (HeaderFlag.FROM_DS, 10)):
            with self.if_(R2, "==", int(direction)):
                for part in range(0, 6, 2):
                    self.load(R0, R10, self.header.offset + place + part, 2)
                    self.store(R7, offset + part, R0, 2)
        self.label(kept)

    # What is added to it.

    def increase(self, name: str | Field, amount: Reg | int = 1, *, base: Reg = R7) -> None:
        """Add to a number of the entry, or behind `base`. Clobbers R0."""
        offset, size = within(name) if isinstance(name, str) else name
        self.load(R0, base, offset, size)
        self.alu("+=", R0, amount)
        self.store(base, offset, R0, size)

    def signal(self, name: str) -> None:
        """Add the signal R1, in dBm and sign-extended. Clobbers R0 to R2."""
        self.alu("+=", R1, BIAS_DB)
        self.alu("&=", R1, 0xFF)
        self.increase(in_signal(name, "frames"))
        self.increase(in_signal(name, "sum"), R1)
        offset, size = in_signal(name, "last")
        self.store(R7, offset, R1, size)
        for extreme, flip in (("max", 0), ("below", 0xFF)):
            self.mov(R2, R1)
            self.alu("^=", R2, flip)
            offset, size = in_signal(name, extreme)
            self.load(R0, R7, offset, size)
            with self.if_(R2, ">", R0):
                self.store(R7, offset, R2, size)
        with self.if_(R1, ">", SIGNAL_STEP_DB * SIGNAL_BINS - 1):
            self.mov(R1, SIGNAL_STEP_DB * SIGNAL_BINS - 1)
        self.alu(">>=", R1, SIGNAL_STEP_DB.bit_length() - 1)
        self.alu("<<=", R1, 3)
        self.alu("+=", R1, R7)
        self.increase(in_signal(name, "bins"), base=R1)

    def rate_byte(self, number: int, value: Reg | int) -> None:
        """One of the eight bytes of the rate in the key; a register gives its lowest one."""
        self.store(R10, self.key.offset + RATE_AT + number, value, 1)

    def rate_of_he(self, guard: View, dual: View, unit: View) -> None:
        """What is special in HE: guard interval, DCM and resource unit, in the rate's sixth byte."""
        self.mov(R2, 0)
        for view, shift in ((guard, 0), (dual, 2), (unit, 4)):
            self.read(R1, view)
            self.alu("<<=", R1, shift)
            self.alu("|=", R2, R1)
        self.rate_byte(5, R2)

    def rate_of_eht(self, number: int, low: View, guard: View) -> None:
        """EHT's guard interval above another field, in a byte of the rate; kernels without EHT have none."""
        self.read(R1, low)
        if exists(guard):
            self.read(R2, guard)
            self.alu("<<=", R2, 4)
            self.alu("|=", R1, R2)
        self.rate_byte(number, R1)

    def no_rate(self) -> None:
        """All eight bytes 0."""
        for part in (0, 4):
            self.store(R10, self.key.offset + RATE_AT + part, 0, 4)

    def find_rate(self) -> None:
        """R8 = the numbers of the rate in the key; 0 if there is no room, which is tallied."""
        found = self.new_label()
        self.call(Helper.map_lookup_elem, RATES, self.key)
        self.jump_if(R0, "!=", 0, found)
        for offset in range(0, RATE_BYTES, 8):
            self.store(R10, self._zeros.offset + offset, 0, 8)
        self.call(Helper.map_update_elem, RATES, self.key, self._zeros, NOEXIST)
        self.call(Helper.map_lookup_elem, RATES, self.key)
        self.jump_if(R0, "!=", 0, found)
        self.tally("rates_full")
        self.mov(R0, 0)
        self.label(found)
        self.mov(R8, R0)

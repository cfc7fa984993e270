"""The kernel side of the task: find whose packet it is, add it to the row, let the model decide.

`sample` is the definition. Until a station has sent its WINDOW of packets each is dissected, as `stations`
does it; later ones, and all that it is sent, cost a look-up, which finds the action of its class.
"""

from typing import Final, Literal

from meshlens.classify.ethernet_station import TASK
from meshlens.classify.ethernet_station.features import EVERY, WINDOW
from meshlens.classify.ethernet_station.layout import (
    BEHIND,
    BLANK,
    ENTRY,
    KEY_SLOT,
    OCTETS_SLOT,
    PACKETS_SLOT,
    ethernet_maps,
    fill,
    offset,
)
from meshlens.classify.ethernet_station.update import emit_update
from meshlens.classify.kernel.entry import (
    FIRST_NS,
    OUTCOMES,
    SAMPLES,
    VERDICT,
    emit_action,
    emit_run_model,
)
from meshlens.classify.kernel.sampler import Sampler, mac_name
from meshlens.ebpf import R0, R1, R3, R6, R7, R8, R10, Asm, Helper, ProgramSpec, possible_cpus
from meshlens.ebpf.contexts import Skb
from meshlens.ebpf.features import has_atomic_fetch
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.dissect import KEY
from meshlens.probes.stations.entry import NOW, emit_lookup, emit_new
from meshlens.probes.stations.frame import FRAMES, Frame
from meshlens.probes.stations.headers import emit_headers
from meshlens.probes.tally import emit_tally

__all__ = ["SAMPLER", "ethernet_program"]

_ETHERNET: Final = 1
_ADDRESS_BYTES: Final = 6
_OUI_BYTES: Final = 3
#: Where in a frame the station's address stands.
_ADDRESS_AT: Final[dict[Direction, int]] = {"in": 6, "out": 0}

Clock = Literal["exact", "skb"]


def ethernet_program(
    direction: Direction, *, max_entries: int, clock_offset_ns: int = 0, clock: Clock = "exact"
) -> ProgramSpec:
    """The program of one direction, for tc. With the clock "skb" a test tells each frame's time."""
    asm = Asm()
    frame = FRAMES["tc"](asm)
    _EthernetProgram(asm, frame, direction, clock, clock_offset_ns).emit()
    return ProgramSpec("meshlens_ether", frame.program_type, asm, maps=ethernet_maps(max_entries))


class _EthernetProgram:
    """The pieces of the program. R6 is the context; R7, from `act` on, the entry."""

    def __init__(self, asm: Asm, frame: Frame, direction: Direction, clock: Clock, offset_ns: int) -> None:
        self.asm, self.frame, self.direction = asm, frame, direction
        self.clock, self.offset_ns = clock, offset_ns

    def emit(self) -> None:
        asm = self.asm
        asm.block("whose packet it is")
        asm.mov(R6, R1)
        self.frame.start(self.direction, "out")
        place_measuring = self.frame.measure()
        asm.call(Helper.skb_load_bytes, R6, _ADDRESS_AT[self.direction], KEY_SLOT, _ADDRESS_BYTES)
        asm.jump_if(R0, "!=", 0, "unreadable")
        asm.load(R1, R10, KEY, 1)
        asm.jump_if(R1, "&", 1, "elsewhere")
        emit_lookup(asm, SAMPLES)
        asm.jump_if(R0, "==", 0, "new" if self.direction == "in" else "elsewhere")
        asm.label("found")
        asm.mov(R7, R0)
        if self.direction == "in":
            asm.load(R1, R7, offset("closed"), 4)
            asm.jump_if(R1, "!=", 0, "act")
            asm.load(R1, R7, offset("packets"), 4)
            asm.jump_if(R1, "<", WINDOW, "add")
        asm.block("act")
        asm.label("act")
        emit_action(asm, R7, PACKETS_SLOT, OCTETS_SLOT)
        self.tally("sample")
        asm.label("out")
        asm.ret(VERDICT)
        if self.direction == "in":
            self.add()
            self.create()
        place_measuring()
        for outcome in ("elsewhere", "unreadable"):
            asm.label(outcome)
            self.tally(outcome)
            asm.jump("out")

    def add(self) -> None:
        """The window is open: add the packet to the row, and ask the model now and then."""
        asm = self.asm
        asm.label("add")
        asm.store(R10, ENTRY, R7, 8)
        self.time()
        emit_headers(asm, self.frame, "in", done="parsed", unreadable="unreadable", places=True)
        asm.label("parsed")
        asm.field(R1, R6, Skb.data)
        asm.alu("-=", R8, R1)
        asm.store(R10, BEHIND, R8, 8)
        asm.load(R7, R10, ENTRY, 8)
        emit_update(asm, unchanged="act", atomic_fetch=has_atomic_fetch())
        asm.block("let the model decide")
        asm.load(R1, R7, offset("packets"), 4)
        with asm.if_(R1, ">=", EVERY):
            asm.jump_if(R1, "&", EVERY - 1, "act")
        self.tally("sample")
        emit_run_model(asm, KEY_SLOT, PACKETS_SLOT, OCTETS_SLOT)
        emit_action(asm, R7, PACKETS_SLOT, OCTETS_SLOT)
        asm.jump("out")

    def time(self) -> None:
        asm = self.asm
        if self.clock == "skb":
            asm.field(R0, R6, Skb.tstamp)
        else:
            asm.call(Helper.ktime_get_ns)
        if self.offset_ns:
            asm.ld_imm64(R1, self.offset_ns)
            asm.alu("+=", R0, R1)
        asm.store(R10, NOW, R0, 8)

    def create(self) -> None:
        """There is no entry: make one."""
        asm = self.asm
        asm.label("new")
        emit_new(asm, SAMPLES, BLANK)
        emit_lookup(asm, SAMPLES)
        asm.jump_if(R0, "==", 0, "full")
        asm.mov(R7, R0)
        self.time()
        asm.store(R7, FIRST_NS, R0, 8)
        asm.load(R1, R10, KEY, 1)
        for place in range(1, _OUI_BYTES):
            asm.load(R3, R10, KEY + place, 1)
            asm.alu("<<=", R1, 8)
            asm.alu("|=", R1, R3)
        asm.store(R7, offset("oui"), R1, 4)
        asm.jump("add")
        asm.label("full")
        self.tally("map_full")
        asm.jump("out")

    def tally(self, outcome: str) -> None:
        asm = self.asm
        asm.call(Helper.get_smp_processor_id)
        known = asm.new_label()
        asm.jump_if(R0, "<", possible_cpus(), known)
        asm.mov(R0, 0)  # never: only the verifier does not know
        asm.label(known)
        asm.load(R3, R10, PACKETS_SLOT.offset, 8)
        emit_tally(asm, OUTCOMES.index(outcome), R3)


SAMPLER: Final = Sampler(
    TASK,
    KEY_SLOT.size,
    frozenset({_ETHERNET}),
    ("in", "out"),
    ethernet_program,
    mac_name,
    fill,
)

"""The kernel side of the task wifi-station: requests that are heard on a monitor interface fill rows.

`sample` is the definition. Where two CPUs hear one station at the same moment, a row may have one element of
one request and the next of the other: either is the station's.
"""

from typing import Final

from meshlens.classify.kernel.entry import (
    FIRST_NS,
    OUTCOMES,
    PACKETS,
    SAMPLES,
    VERDICT,
    emit_action,
    emit_run_model,
    row_offset,
)
from meshlens.classify.kernel.sampler import Sampler, mac_name
from meshlens.classify.tasks import task
from meshlens.classify.wifi_station.features import BLOCKS, FEATURES, FIXED, HEAD, block_place
from meshlens.classify.wifi_station.layout import KEY_BYTES, NEW, fill, station_maps
from meshlens.classify.wifi_station.sample import HIGH_BAND_MHZ, REQUESTS
from meshlens.classify.wifi_station.walk import emit_fill, emit_walk
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    ProgramSpec,
    ProgramType,
    Slot,
    possible_cpus,
)
from meshlens.packet.elements import FIXED_BYTES
from meshlens.packet.ieee80211 import BYTES_OF_TYPE, FCS_BYTES, KINDS, FrameType, HeaderFlag
from meshlens.packet.radiotap import FIELD_OF
from meshlens.probes.snapshot import Direction
from meshlens.probes.tally import emit_tally
from meshlens.wifi.monitor.fields import DAMAGED, FREQUENCY, KEY, KIND, PRESENT, RATE, SIZE
from meshlens.wifi.monitor.frame import IEEE80211_RADIOTAP
from meshlens.wifi.monitor.layout import NAMELESS
from meshlens.wifi.monitor.parse import emit_bare, emit_dot11, emit_linear, emit_radiotap
from meshlens.wifi.monitor.rate import LEGACY

__all__ = ["SAMPLER", "station_program"]

# The stack, below what the reading of the headers takes: radiotap's length, where the elements end, where
# they begin; the entry and its block of the row; what an skb counts for; three bytes before the elements.
_TAP, _END, _BEGIN, _ENTRY, _BLOCK, _ONE, _FIXED = (Slot(-120 - 8 * place, 8) for place in range(7))
_WALK: Final = -176
_ADDRESS, _OCTETS = Slot(KEY, KEY_BYTES), Slot(SIZE, 8)

_PLACE: Final = {feature.name: place for place, feature in enumerate(FEATURES)}
#: Features of a block, from where it begins.
_ELEMENTS, _OTHERS, _RATE = (
    4 * (_PLACE[f"probe.{name}"] - len(HEAD)) for name in ("elements", "others", "rate")
)
_SLOTS: Final = _RATE + 4


def station_program(
    direction: Direction,  # noqa: ARG001 - a monitor interface has one
    *,
    max_entries: int,
    clock_offset_ns: int = 0,
    link_type: int = IEEE80211_RADIOTAP,
) -> ProgramSpec:
    """The program for the tc ingress of a monitor interface: what one sends itself is not heard."""
    program = _StationProgram(Asm())
    program.emit(link_type, clock_offset_ns)
    return ProgramSpec("meshlens_join", ProgramType.SCHED_CLS, program.asm, maps=station_maps(max_entries))


class _StationProgram:
    """The pieces of the program, in the order in which they are emitted. R6 is the skb all the time."""

    def __init__(self, asm: Asm) -> None:
        self.asm = asm

    def emit(self, link_type: int, offset_ns: int) -> None:
        asm = self.asm
        asm.block("start")
        asm.mov(R6, R1)
        asm.store(R10, KEY + KEY_BYTES, 0, 2)  # the monitor program has a CPU there
        asm.put(_ONE, 1)
        emit_linear(asm)
        asm.block("radiotap")
        (emit_radiotap if link_type == IEEE80211_RADIOTAP else emit_bare)(asm)
        asm.put(_TAP, R4)
        asm.block("802.11")
        emit_dot11(asm)
        asm.load(R1, R10, DAMAGED, 8)
        asm.jump_if(R1, "!=", 0, "unreadable")
        asm.load(R1, R10, KEY + KEY_BYTES, 2)
        asm.jump_if(R1, "&", NAMELESS, "elsewhere")
        self.sort()
        self.request(offset_ns)
        self.reasons()

    def sort(self) -> None:
        """Requests go on below; of other frames it is enough to know whose they are."""
        asm = self.asm
        asm.block("other frames")
        other = asm.new_label()
        asm.jump_if(R9, "&", HeaderFlag.PROTECTED, other)
        asm.load(R1, R10, KIND, 8)
        for kind in REQUESTS:
            asm.jump_if(R1, "==", KINDS.index(kind), "request")
        asm.label(other)
        with asm.lookup(SAMPLES, _ADDRESS):
            asm.mov(R7, R0)
            asm.label("act")
            emit_action(asm, R7, _ONE, _OCTETS)
            asm.ret(VERDICT)
        self.count("elsewhere")

    def request(self, offset_ns: int) -> None:
        """Fill the row of the station, and let the model decide."""
        asm = self.asm
        asm.block("a request")
        asm.label("request")
        with asm.lookup(SAMPLES, _ADDRESS):
            asm.mov(R7, R0)
            asm.jump("known")
        self.begin(offset_ns)
        asm.label("known")
        asm.put(_ENTRY, R7)
        asm.mov(R1, 1)
        asm.atomic_add(R7, PACKETS, R1, 4)
        self.band()
        self.place()
        self.rate()
        asm.load(R1, R10, _BEGIN.offset, 8)
        asm.get(R2, _END)
        asm.jump_if(R1, "s>", R2, "decide")
        self.fixed()
        emit_walk(asm, _BEGIN, _END, _WALK)
        asm.block("the row")
        asm.get(R8, _BLOCK)
        emit_fill(asm, _ELEMENTS, _OTHERS, _SLOTS)
        asm.block("decide")
        asm.label("decide")
        emit_run_model(asm, _ADDRESS, _ONE, _OCTETS)
        asm.get(R7, _ENTRY)
        asm.jump("act")

    def begin(self, offset_ns: int) -> None:
        """R7 = a new entry."""
        asm = self.asm
        asm.map_value(R3, NEW)
        asm.map_fd(R1, SAMPLES)
        asm.address(R2, _ADDRESS)
        asm.mov(R4, 0)
        asm.call(Helper.map_update_elem)
        asm.jump_if(R0, "!=", 0, "map_full")
        asm.call(Helper.map_lookup_elem, SAMPLES, _ADDRESS)
        asm.jump_if(R0, "==", 0, "map_full")
        asm.mov(R7, R0)
        asm.call(Helper.ktime_get_ns)
        asm.ld_imm64(R1, offset_ns)
        asm.alu("+=", R0, R1)
        asm.store(R7, FIRST_NS, R0, 8)
        asm.load(R1, R10, KEY, 1)
        asm.mov(R2, R1)
        asm.alu(">>=", R2, 1)
        asm.alu("&=", R2, 1)
        asm.store(R7, row_offset(_PLACE["local"]), R2, 4)
        for byte in (1, 2):
            asm.load(R2, R10, KEY + byte, 1)
            asm.alu("<<=", R1, 8)
            asm.alu("|=", R1, R2)
        asm.store(R7, row_offset(_PLACE["oui"]), R1, 4)

    def band(self) -> None:
        """The band, if it is not known yet and radiotap tells."""
        asm = self.asm
        offset, known = row_offset(_PLACE["band"]), asm.new_label()
        asm.load(R1, R7, offset, 4)
        asm.jump_if(R1, "!=", 0, known)
        asm.load(R1, R10, PRESENT, 8)
        with asm.if_(R1, "&", 1 << FIELD_OF["channel"].bit):
            asm.load(R1, R10, FREQUENCY, 8)
            asm.mov(R2, 1)
            with asm.if_(R1, ">=", HIGH_BAND_MHZ):
                asm.mov(R2, 2)
            asm.store(R7, offset, R2, 4)
        asm.label(known)

    def place(self) -> None:
        """R8 = the block of the row; where the elements begin and end, from the begin of the skb."""
        asm, found = self.asm, self.asm.new_label()
        asm.get(R3, _TAP)
        asm.load(R2, R10, SIZE, 8)
        asm.alu("+=", R2, R3)
        asm.alu("-=", R2, FCS_BYTES)  # SIZE has an FCS, be it there or not
        asm.put(_END, R2)
        asm.alu("+=", R3, BYTES_OF_TYPE[FrameType.MANAGEMENT])
        with asm.if_(R9, "&", HeaderFlag.ORDER):
            asm.alu("+=", R3, 4)  # HT control
        asm.load(R1, R10, KIND, 8)
        for kind, block in REQUESTS.items():
            with asm.if_(R1, "==", KINDS.index(kind)):
                asm.alu("+=", R3, FIXED_BYTES[kind])
                asm.mov(R4, 4 * block_place(block) - 4 * block_place(0))
                asm.mov(R9, FIXED_BYTES[kind])
                asm.jump(found)
        asm.jump("decide")  # never
        asm.label(found)
        asm.put(_BEGIN, R3)
        asm.mov(R8, R7)
        asm.alu("+=", R8, R4)
        asm.alu("+=", R8, row_offset(block_place(0)))
        asm.put(_BLOCK, R8)

    def rate(self) -> None:
        """The rate of the first request that has one."""
        asm, known = self.asm, self.asm.new_label()
        asm.load(R1, R8, _RATE, 4)
        asm.jump_if(R1, "!=", 0, known)
        asm.load(R1, R10, RATE, 1)
        asm.jump_if(R1, "!=", LEGACY, known)
        asm.load(R1, R10, RATE + 1, 1)
        asm.store(R8, _RATE, R1, 4)
        asm.label(known)

    def fixed(self) -> None:
        """What stands before the elements, R9 bytes, if this is the first request that has some."""
        asm, none = self.asm, self.asm.new_label()
        asm.jump_if(R9, "==", 0, none)
        asm.load(R1, R8, _ELEMENTS, 4)
        asm.jump_if(R1, "!=", 0, none)
        asm.get(R2, _BEGIN)
        asm.alu("-=", R2, R9)
        asm.call(Helper.skb_load_bytes, R6, R2, _FIXED, 4)
        asm.jump_if(R0, "!=", 0, none)
        for name, at in FIXED.bytes:
            asm.load(R1, R10, _FIXED.offset + at, 1)
            asm.store(R7, row_offset(_PLACE[f"{BLOCKS[1]}.{name}"]), R1, 4)
        asm.label(none)

    def count(self, outcome: str) -> None:
        """Tally the frame, which has no entry."""
        asm = self.asm
        asm.label(outcome)
        asm.call(Helper.get_smp_processor_id)
        with asm.if_(R0, "<", possible_cpus()):  # always: only the verifier does not know
            emit_tally(asm, OUTCOMES.index(outcome), 1)
        asm.ret(VERDICT)

    def reasons(self) -> None:
        """Frames that are in no entry."""
        asm = self.asm
        asm.block("not counted")
        self.count("map_full")
        asm.label("no header")
        self.count("unreadable")


SAMPLER: Final = Sampler(
    task("wifi-station"),
    KEY_BYTES,
    frozenset({IEEE80211_RADIOTAP}),
    ("in",),
    station_program,
    mac_name,
    fill,
)

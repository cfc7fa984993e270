"""The kernel side of `meshlens stations`: find whose frame it is, and add the frame to its entry.

An entry belongs to one CPU (its number is part of the key), where tc programs run one after another: what is
written needs no lock and no atomic operation. No packet is an event. `stations.packet` is the definition of
what is counted for whom.
"""

from collections.abc import Callable
from typing import Final

from meshlens.decision.access import buffer_map
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R6,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    Program,
    ProgramSpec,
    possible_cpus,
)
from meshlens.ebpf.maps import Map
from meshlens.filters.compiler import CompiledList
from meshlens.probes.chain import emit_verdict, next_map
from meshlens.probes.one_filter import emit_filter
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.batadv import INNER, emit_batadv
from meshlens.probes.stations.dissect import CAST, FACTS, KEY, TTL, Dissection
from meshlens.probes.stations.entry import (
    BYTES,
    NOW,
    PACKETS,
    SEGMENT,
    Clock,
    emit_entry,
    emit_exact_time,
    emit_lookup,
    emit_new,
)
from meshlens.probes.stations.first import emit_first
from meshlens.probes.stations.frame import FRAMES, Frame, Hook
from meshlens.probes.stations.headers import emit_headers
from meshlens.probes.stations.layout import (
    BLANK,
    FIRST_SEEN,
    KINDS,
    OUTCOMES,
    STATIONS,
    TAG_STEP,
    station_maps,
)
from meshlens.probes.stations.protocols import BATADV_CLASS, CLASSES, IS_DHCP, IS_SYN
from meshlens.probes.stations.record import StationKind
from meshlens.probes.stations.tables import TABLES, fill_tables
from meshlens.probes.tally import emit_tally

__all__ = ["load_stations", "station_program"]

#: The stack; filters leave it alone, and what is measured too. What the dissection puts there stands below.
_CPU: Final = -56
_TAG_BYTES: Final = 4
#: Where a header of batman-adv and an inner frame begin at the latest: two tags before, most TVLVs before.
_MAX_OUTER, _MAX_INNER = 22, 32_100


def station_program(
    max_stations: int,
    direction: Direction,
    *,
    hook: Hook = "tc",
    compiled: CompiledList | None = None,
    clock: Clock = "coarse",
    clock_offset_ns: int = 0,
    chained: bool = False,
) -> ProgramSpec:
    """The program for one hook; `compiled`: the list of the one filter that a frame has to match.

    Times are those of the monotonic clock and `clock_offset_ns`. With the clock "skb", at tc, all is kept as
    one CPU's, so that frames with times of their own can be given to it (BPF_PROG_TEST_RUN). `chained`:
    another program may follow; see `chain`.
    """
    asm = Asm()
    frame = FRAMES[hook](asm)
    maps = station_maps(max_stations)
    if compiled and hook == "tc":
        maps |= buffer_map()
    if chained:
        maps |= next_map()
    _StationProgram(asm, frame, direction, clock, clock_offset_ns).emit(compiled, hook, chained=chained)
    return ProgramSpec("meshlens_stations", frame.program_type, asm, maps=maps)


def load_stations(spec: ProgramSpec, maps: dict[str, Map] | None = None) -> Program:
    """Load it; without maps of another program, with new ones that are ready for use."""
    program = spec.load(maps or {})
    if not maps:
        fill_tables(program.maps[TABLES])
    return program


class _StationProgram:
    """The pieces of the program, in the order in which they are emitted. R6 is the context all the time.

    Behind a dissection R8 is where the headers end that were read, in bytes, R9 the class.
    """

    def __init__(self, asm: Asm, frame: Frame, direction: Direction, clock: Clock, offset_ns: int) -> None:
        self.asm, self.frame, self.direction = asm, frame, direction
        self.clock, self.offset_ns = clock, offset_ns
        self.later: list[Callable[[], None]] = []

    def emit(self, compiled: CompiledList | None, hook: Hook, *, chained: bool) -> None:
        asm = self.asm
        asm.block("start")
        asm.mov(R6, R1)
        self.frame.start(self.direction, "out")
        self.cpu()
        self.later.append(self.frame.measure())
        if compiled:
            emit_filter(asm, compiled, self.direction, out="out", unreadable="unreadable", hook=hook)
        emit_headers(asm, self.frame, self.direction, done="parsed", unreadable="unreadable")
        asm.block("add to the station")
        asm.label("parsed")
        self.behind()
        self.time()
        self.add("station")
        asm.jump_if(R9, "==", BATADV_CLASS, "batadv")
        self.keep_first("station")
        asm.label("out")
        emit_verdict(asm, self.frame.verdict, chained=chained)
        self.batadv()
        asm.block("rare")
        for place in self.later:
            place()
        asm.label("unreadable")
        self.tally("unreadable")
        asm.jump("out")

    def cpu(self) -> None:
        """The CPU's number, onto the stack."""
        asm, known = self.asm, self.asm.new_label()
        asm.mov(R0, 0)
        if self.clock != "skb":
            asm.call(Helper.get_smp_processor_id)
            asm.jump_if(R0, "<", possible_cpus(), known)
            asm.mov(R0, 0)  # never: only the verifier does not know
        asm.label(known)
        asm.store(R10, _CPU, R0, 8)

    def behind(self) -> None:
        """R8 = where the headers end, as a number: all paths are one to the verifier from here on."""
        asm = self.asm
        asm.field(R1, R6, self.frame.context.data)
        asm.alu("-=", R8, R1)

    def point(self, most: int) -> None:
        """R8 = a pointer to where it says, which is at most at `most`; else goes `out`."""
        asm = self.asm
        asm.jump_if(R8, ">", most, "out")
        asm.field(R1, R6, self.frame.context.data)
        asm.alu("+=", R8, R1)

    def time(self) -> None:
        """The time, onto the stack."""
        asm = self.asm
        if self.clock == "coarse":
            asm.call(Helper.ktime_get_coarse_ns)
        else:
            emit_exact_time(asm, self.clock)
        if self.offset_ns:
            asm.ld_imm64(R1, self.offset_ns)
            asm.alu("+=", R0, R1)
        asm.store(R10, NOW, R0, 8)

    def add(self, kind: StationKind) -> None:
        """Add the frame to the entry of the address in KEY."""
        asm = self.asm
        new, add, done, full, group = (f"{word} {kind}" for word in ("new", "add", "done", "full", "group"))
        asm.jump_if(R9, ">=", len(CLASSES), "unreadable")  # never: only the verifier does not know
        to_many = self.direction == "out" and kind != "originator"
        if to_many:
            asm.load(R1, R10, CAST, 8)
            asm.jump_if(R1, "!=", 0, group)
        self.tag(kind)
        emit_lookup(asm, STATIONS)
        asm.jump_if(R0, "==", 0, new)
        asm.label(add)
        emit_entry(asm, self.direction, self.clock)
        if kind == "station":
            self.tally("station")
        asm.label(done)

        def place() -> None:
            self.create(kind, new, add, full)
            asm.label(full)
            self.tally("map_full" if kind == "station" else f"{kind}_map_full")
            asm.jump(done)
            if to_many:
                asm.label(group)
                if kind == "station":
                    self.tally("group")
                asm.jump(done)

        self.later.append(place)

    def tag(self, kind: StationKind) -> None:
        """The rest of the key."""
        asm = self.asm
        asm.load(R1, R10, _CPU, 8)
        asm.alu("*=", R1, TAG_STEP)
        asm.alu("+=", R1, KINDS.index(kind))
        asm.store(R10, KEY + 6, R1, 2)

    def create(self, kind: StationKind, new: str, add: str, full: str) -> None:
        """There is no entry: make one."""
        asm = self.asm
        asm.label(new)
        emit_new(asm, STATIONS, BLANK)
        asm.jump_if(R0, "!=", 0, full)
        emit_lookup(asm, STATIONS)
        asm.jump_if(R0, "==", 0, full)
        asm.load(R1, R10, NOW, 8)
        asm.store(R0, FIRST_SEEN, R1, 8)
        asm.jump(add)

    def keep_first(self, kind: StationKind) -> None:
        """Keep the bytes of the first SYN and the first DHCP request that the station sends."""
        if self.direction == "out":
            return
        asm, rare, kept = self.asm, f"first {kind}", f"kept {kind}"
        asm.load(R1, R10, FACTS, 4)
        asm.jump_if(R1, "&", IS_SYN | IS_DHCP, rare)
        asm.label(kept)

        def place() -> None:
            asm.label(rare)
            emit_first(asm, self.frame, kept)

        self.later.append(place)

    def batadv(self) -> None:
        """R8 is at a header of batman-adv: add to its originator, and to the station of the inner frame."""
        asm = self.asm
        asm.block("batman-adv")
        asm.label("batadv")
        self.point(_MAX_OUTER)
        emit_batadv(asm, self.direction, originator="originator", inner="inner", out="out")
        asm.block("add to the originator")
        asm.label("originator")
        self.add("originator")
        asm.load(R1, R10, INNER, 8)
        asm.jump_if(R1, "==", 0, "out")
        asm.block("inner frame")
        asm.label("inner")
        self.behind()
        asm.mov(R2, R8)
        self.frame.tag(R1)
        asm.alu("*=", R1, _TAG_BYTES)
        asm.alu("+=", R2, R1)
        self.shorten()
        self.point(_MAX_INNER)
        asm.store(R10, FACTS, 0, 4)
        asm.store(R10, TTL, 0, 4)
        context = self.frame.context
        Dissection(asm, self.direction, context, done="carried", unreadable="out", short=None).emit()
        asm.block("add to the inner station")
        asm.label("carried")
        self.behind()
        self.add("inner")
        self.keep_first("inner")
        asm.jump("out")

    def shorten(self) -> None:
        """What was measured is R2 bytes less for each packet."""
        asm = self.asm
        asm.load(R1, R10, SEGMENT, 8)
        asm.alu("-=", R1, R2)
        asm.store(R10, SEGMENT, R1, 8)
        asm.load(R1, R10, PACKETS, 8)
        asm.alu("*=", R2, R1)
        asm.load(R1, R10, BYTES, 8)
        asm.alu("-=", R1, R2)
        asm.store(R10, BYTES, R1, 8)

    def tally(self, outcome: str) -> None:
        """Count the packets by what became of them."""
        asm = self.asm
        asm.load(R3, R10, PACKETS, 8)
        asm.load(R0, R10, _CPU, 8)
        emit_tally(asm, OUTCOMES.index(outcome), R3)

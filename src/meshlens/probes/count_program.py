"""The kernel side of `meshlens count`: decide, then add the frame to one counter.

The counters are one mmap-able array value, a part for each CPU (`probes.readout`): that is one address
computation, no lookup, no contention, and user space reads without a system call.
"""

from collections.abc import Callable
from typing import Final, Literal

from meshlens.decision.access import BufferedAccess, DirectAccess, buffer_map
from meshlens.decision.codegen import emit_graph
from meshlens.ebpf import (
    BPF_F_MMAPABLE,
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R9,
    Asm,
    ByteOrder,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    possible_cpus,
)
from meshlens.ebpf.context import PACKET_OUTGOING, SK_BUFF, XDP_MD, load_field
from meshlens.filters.compiler import CompiledList
from meshlens.probes.readout import COUNTERS, MISSED, PAIR_BYTES, cpu_stride
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_skb_length, emit_wire_size

__all__ = ["COUNTERS", "MISSED", "PAIR_BYTES", "Hook", "count_program", "cpu_stride"]

Hook = Literal["tc", "xdp", "socket"]

_VERDICTS: Final[dict[Hook, int]] = {"tc": -1, "xdp": 2, "socket": 0}  # TC_ACT_UNSPEC, XDP_PASS, keep nothing
_TYPES: Final[dict[Hook, ProgramType]] = {
    "tc": ProgramType.SCHED_CLS,
    "xdp": ProgramType.XDP,
    "socket": ProgramType.SOCKET_FILTER,
}
_DIRECTIONS: Final[dict[Direction, int]] = {"in": 0, "out": 1}


def count_program(
    compiled: CompiledList,
    hook: Hook,
    direction: Direction | None = None,
    *,
    byteorder: ByteOrder | None = None,
    cpus: int | None = None,
) -> ProgramSpec:
    """The program that counts on `hook` what goes in `direction`, None for both.

    A tc or XDP program is told its direction. A socket sees both, and its program passes over the other one.
    """
    asm = Asm(byteorder) if byteorder else Asm()
    cpus = cpus or possible_cpus()
    slots = len(compiled.matches)
    way = _DIRECTIONS[direction] if direction else None
    rare: list[Callable[[], None]] = []
    asm.block("start")
    asm.mov(R6, R1)
    if hook == "socket" and direction:
        load_field(asm, R0, R6, SK_BUFF, "pkt_type")
        asm.jump_if(R0, "!=" if direction == "out" else "==", PACKET_OUTGOING, "out")
    for number, (graph, first_slot) in enumerate(zip(compiled.graphs, compiled.first_slots, strict=True)):
        count, done, elsewhere = f"count {number}", f"done {number}", f"elsewhere {number}"
        labels = {"first_slot": len(MISSED) + first_slot, "count": count, "done": done}
        if hook != "socket":
            fields = SK_BUFF if hook == "tc" else XDP_MD
            asm.block(f"decide {number}")
            direct = DirectAccess(
                asm, fields, way or 0, elsewhere=elsewhere if hook == "tc" else None, lost="inconsistent"
            )
            emit_graph(asm, graph, direct, **labels)
        if hook != "xdp":
            asm.block(f"decide {number}, from a copy")
            asm.label(elsewhere)
            emit_graph(asm, graph, BufferedAccess(asm, way, unreadable="unreadable"), **labels)
        asm.block(f"count {number}")
        asm.label(count)
        rare += _emit_count(asm, hook, cpus, slots)
        asm.label(done)
    asm.label("out")
    asm.mov(R0, _VERDICTS[hook])
    asm.exit()
    rare += _place_misses(asm, hook, cpus, cpu_stride(slots))
    for place in rare:
        place()
    return ProgramSpec(
        "meshlens_count", _TYPES[hook], asm, maps={COUNTERS: _counters_map(cpus, slots), **buffer_map()}
    )


def _counters_map(cpus: int, slots: int) -> MapSpec:
    size = cpus * cpu_stride(slots)
    return MapSpec(COUNTERS, MapType.ARRAY, key_size=4, value_size=size, max_entries=1, flags=BPF_F_MMAPABLE)


def _emit_count(asm: Asm, hook: Hook, cpus: int, slots: int) -> list[Callable[[], None]]:
    """Add the frame to slot R9 + R1 of this CPU; returns what places the rare cases.

    The slot is a different constant on every path here. Hiding that from the verifier (two xors, one
    bound) lets it look at what follows once instead of once for every slot.
    """
    asm.alu("+=", R9, R1)
    load_field(
        asm, R0, R6, SK_BUFF if hook != "xdp" else XDP_MD, "len" if hook != "xdp" else "rx_queue_index"
    )
    asm.alu("^=", R9, R0)
    asm.alu("^=", R9, R0)
    asm.jump_if(R9, ">=", len(MISSED) + slots, "inconsistent")
    return _emit_add(asm, hook, cpus, cpu_stride(slots))


def _emit_add(asm: Asm, hook: Hook, cpus: int, stride: int) -> list[Callable[[], None]]:
    known_cpu = asm.new_label()
    asm.call(Helper.get_smp_processor_id)
    asm.jump_if(R0, "<", cpus, known_cpu)
    asm.mov(R0, 0)
    asm.mov(R9, MISSED.index("unknown_cpu"))
    asm.label(known_cpu)
    asm.alu("*=", R0, stride)
    asm.alu("*=", R9, PAIR_BYTES)
    asm.map_value(R2, COUNTERS)
    asm.alu("+=", R2, R9)
    asm.alu("+=", R2, R0)
    places = []
    if hook == "tc":
        places.append(emit_wire_size(asm))
    else:
        asm.mov(R3, 1)
        if hook == "socket":
            emit_skb_length(asm, R4, R0)
        else:
            load_field(asm, R4, R6, XDP_MD, "data_end")
            load_field(asm, R0, R6, XDP_MD, "data")
            asm.alu("-=", R4, R0)
    for register, offset in ((R3, 0), (R4, 8)):
        asm.load(R0, R2, offset, 8)
        asm.alu("+=", R0, register)
        asm.store(R2, offset, R0, 8)
    return places


def _place_misses(asm: Asm, hook: Hook, cpus: int, stride: int) -> list[Callable[[], None]]:
    """A frame that cannot be judged is counted by the reason, and no more is done with it."""
    used = [reason for reason in MISSED if asm.is_target(reason)]
    if not used:
        return []
    missed = asm.new_label()
    for reason in used:
        asm.label(reason)
        asm.mov(R9, MISSED.index(reason))
        if reason is not used[-1]:
            asm.jump(missed)
    asm.label(missed)
    asm.block("missed")
    places = _emit_add(asm, hook, cpus, stride)
    asm.jump("out")
    return places

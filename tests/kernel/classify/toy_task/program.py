"""The kernel side of the toy task, as short as can be."""

from meshlens.classify.kernel.entry import (
    FIRST_NS,
    OUTCOMES,
    PACKETS,
    SAMPLES,
    VERDICT,
    emit_action,
    emit_run_model,
    row_offset,
    sample_maps,
)
from meshlens.classify.kernel.sampler import Sampler, mac_name
from meshlens.ebpf import NOEXIST, R0, R1, R2, R6, R7, Asm, Helper, MapSpec, MapType, ProgramSpec, ProgramType
from meshlens.ebpf.contexts import Skb
from meshlens.probes.snapshot import Direction
from meshlens.probes.tally import emit_tally
from tests.kernel.classify.toy_task import TASK, WINDOW


def toy_program(direction: Direction, *, max_entries: int, clock_offset_ns: int = 0) -> ProgramSpec:
    """What comes in is of its source; what goes out gets the action of its destination."""
    asm = Asm()
    key, packets, octets = asm.slot(8)._replace(size=6), asm.slot(8), asm.slot(8)
    asm.mov(R6, R1)
    asm.put(packets, 1)
    asm.field(R1, R6, Skb.len)
    asm.put(octets, R1)
    asm.call(Helper.skb_load_bytes, R6, 6 if direction == "in" else 0, key, 6)
    asm.call(Helper.map_lookup_elem, SAMPLES, key)
    asm.jump_if(R0, "!=", 0, "found")
    if direction == "out":
        asm.jump("elsewhere")
    else:
        asm.map_value(R7, "blank")
        asm.call(Helper.map_update_elem, SAMPLES, key, R7, NOEXIST)
        asm.call(Helper.map_lookup_elem, SAMPLES, key)
        asm.jump_if(R0, "==", 0, "map_full")
    asm.label("found")
    asm.mov(R7, R0)
    if direction == "in":
        asm.load(R1, R7, PACKETS, 4)
        asm.jump_if(R1, ">=", WINDOW, "nothing new")
        with asm.if_(R1, "==", 0):
            asm.call(Helper.ktime_get_ns)
            asm.ld_imm64(R1, clock_offset_ns)
            asm.alu("+=", R0, R1)
            asm.store(R7, FIRST_NS, R0, 8)
        asm.mov(R1, 1)
        asm.atomic_add(R7, PACKETS, R1, 4)
        asm.atomic_add(R7, row_offset(0), R1, 4)
        asm.get(R2, octets)
        asm.store(R7, row_offset(1), R2, 4)
        emit_run_model(asm, key, packets, octets)
    asm.label("nothing new")
    emit_action(asm, R7, packets, octets)
    asm.ret(VERDICT)
    for outcome in ("elsewhere", "map_full"):
        if asm.is_target(outcome):
            asm.label(outcome)
            asm.call(Helper.get_smp_processor_id)
            asm.alu("&=", R0, 1)
            emit_tally(asm, OUTCOMES.index(outcome), 1)
            asm.ret(VERDICT)
    maps = sample_maps(6, len(TASK.features), max_entries)
    maps["blank"] = MapSpec("blank", MapType.ARRAY, 4, maps[SAMPLES].value_size, 1)
    return ProgramSpec("meshlens_toy", ProgramType.SCHED_CLS, asm, maps=maps)


SAMPLER = Sampler(TASK, 6, frozenset({1}), ("in", "out"), toy_program, mac_name)

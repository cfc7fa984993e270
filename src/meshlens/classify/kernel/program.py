"""The model's programs: sum up the votes of trees, keep the class that leads, and write the verdict.

A program is called for one sample (see `entry`): it looks its entry up and reads features from it. Sums are
u32 of this CPU's, in the map SUMS. They only grow: so it is enough to look, whenever one has grown, whether
it leads now, and who leads at last has won. To compare sums and break ties by one comparison, what leads is
kept as sum << RANK_BITS | rank, where the first class has the highest rank.

Several programs go on one after another by tail calls; between them, what leads is kept before the sums.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from meshlens.classify.kernel.entry import (
    CALL_BYTES,
    CALL_KEY,
    CALL_PACKETS,
    CALLS,
    LABEL,
    MAX_CLASSES,
    MODEL,
    OUTCOMES,
    RUNS,
    SAMPLES,
    UNKNOWN,
    VERDICT,
    VOTES,
    call_bytes,
    emit_action_of,
)
from meshlens.classify.kernel.tree import FIRST_SUM, RANK_BITS, RANKS, emit_tree
from meshlens.classify.kernel.watching import BOUNDS, bounds_map, emit_gains
from meshlens.classify.model import Model
from meshlens.decision.graph import Node
from meshlens.ebpf import (
    R0,
    R1,
    R2,
    R3,
    R6,
    R7,
    R8,
    R9,
    R10,
    Asm,
    Helper,
    MapSpec,
    MapType,
    ProgramSpec,
    ProgramType,
    possible_cpus,
)
from meshlens.errors import UsageError
from meshlens.probes.tally import emit_tally

__all__ = ["SUMS", "Stage", "check_model", "model_program", "sums_map"]

#: The name of the map with the sums, for each CPU; what leads stands before them.
SUMS: Final = "sums"
_LEADS: Final = 0
_CACHE_LINE: Final = 64

#: Sums have 32 bits, and what is added is an immediate.
_MOST_VOTES: Final = (1 << 32) - 1
_MOST_WEIGHT: Final = (1 << 31) - 1


#: On the stack: where this CPU's call stands.
_CALL: Final = -8


class Stage(NamedTuple):
    """One of the model's programs: its place in MODEL, its trees, and whether it is the last one.

    `positions` says where the model's features stand in the task's row.
    """

    place: int
    first_tree: int
    trees: Sequence[Node]
    last: bool
    positions: Sequence[int]


def check_model(model: Model, source: str = "the model") -> None:
    """Raises UsageError for a model that no program can be made of."""
    if len(model.classes) > MAX_CLASSES:
        raise UsageError(f"{source} has {len(model.classes)} classes; in the kernel {MAX_CLASSES} fit")
    weights = [
        [weight for _, weight in getattr(node, "weights", ())] for tree in model.trees for node in tree
    ]
    gains = [votes for _, votes in model.gains]
    largest = max((max(each, default=0) for each in weights), default=0)
    smallest = min((min(each, default=0) for each in [*weights, gains]), default=0)
    most = largest * len(model.trees) + sum(gains)
    largest = max([largest, *gains])
    if smallest < 0 or largest > _MOST_WEIGHT or most > _MOST_VOTES:
        raise UsageError(f"{source} adds weights of up to {largest}; sums have to be from 0 to {_MOST_VOTES}")


def sums_map(classes: int) -> MapSpec:
    """The map of a model with so many classes."""
    return MapSpec(SUMS, MapType.ARRAY, 4, possible_cpus() * _stride(classes), 1)


def model_program(stage: Stage, model: Model, maps: dict[str, MapSpec]) -> ProgramSpec:
    """The program of one stage; `maps` are those of the task, see entry.sample_maps."""
    asm = Asm()
    _ModelProgram(asm, stage, model, maps[SAMPLES].key_size).emit()
    own = {SUMS: sums_map(len(model.classes))} | ({BOUNDS: bounds_map(model)} if model.gains else {})
    named = own | maps
    code = asm.assemble()
    used = {name for _, name in code.map_refs}
    return ProgramSpec(
        "meshlens_model",
        ProgramType.SCHED_CLS,
        code,
        maps={name: spec for name, spec in named.items() if name in used},
    )


def _stride(classes: int) -> int:
    """How much of SUMS is one CPU's: whole cache lines."""
    return -(-(FIRST_SUM + 4 * (_mask(classes) + 1)) // _CACHE_LINE) * _CACHE_LINE


def _mask(classes: int) -> int:
    """All bits that the number of a class may have: there is a sum for each of these numbers."""
    return (1 << (classes - 1).bit_length()) - 1


class _ModelProgram:
    """The pieces of a program, in the order in which they are emitted.

    R6 is the context, R7 the entry, R8 what leads, R9 this CPU's sums.
    """

    def __init__(self, asm: Asm, stage: Stage, model: Model, key_bytes: int) -> None:
        self.asm, self.stage, self.model, self.key_bytes = asm, stage, model, key_bytes

    def emit(self) -> None:
        self.start()
        if self.stage.place:
            self.asm.load(R8, R9, _LEADS, 8)
        else:
            self.clear()
        for number, root in enumerate(self.stage.trees):
            self.asm.block(f"tree {self.stage.first_tree + number}")
            emit_tree(self.asm, root, _mask(len(self.model.classes)))
        if self.stage.last:
            self.verdict()
        else:
            self.go_on()

    def start(self) -> None:
        asm, known = self.asm, self.asm.new_label()
        asm.block("start")
        asm.mov(R6, R1)
        asm.call(Helper.get_smp_processor_id)
        asm.jump_if(R0, "<", possible_cpus(), known)
        asm.mov(R0, 0)  # never: only the verifier does not know
        asm.label(known)
        asm.mov(R2, R0)
        asm.alu("*=", R0, _stride(len(self.model.classes)))
        asm.map_value(R9, SUMS)
        asm.alu("+=", R9, R0)
        asm.alu("*=", R2, call_bytes(self.key_bytes))
        asm.map_value(R1, CALLS)
        asm.alu("+=", R2, R1)
        asm.store(R10, _CALL, R2, 8)
        asm.alu("+=", R2, CALL_KEY)
        asm.map_fd(R1, SAMPLES)
        asm.call(Helper.map_lookup_elem)
        asm.jump_if(R0, "==", 0, "undecided")
        asm.mov(R7, R0)

    def clear(self) -> None:
        """All sums are 0, so the first class leads."""
        asm = self.asm
        asm.block("clear")
        for at in range(FIRST_SUM, FIRST_SUM + 4 * len(self.model.classes), 8):
            asm.store(R9, at, 0, 8)
        asm.mov(R8, RANKS)

    def go_on(self) -> None:
        """The next program."""
        asm = self.asm
        asm.block("go on")
        asm.store(R9, _LEADS, R8, 8)
        asm.mov(R1, R6)
        asm.map_fd(R2, MODEL)
        asm.mov(R3, self.stage.place + 1)
        asm.call(Helper.tail_call)
        self.undecided()

    def verdict(self) -> None:
        """Write it into the head, and act."""
        asm, enough = self.asm, self.asm.new_label()
        asm.block("verdict")
        if (
            self.model.gains
        ):  # an address will depend on it: by way of memory, or the verifier follows each value
            asm.store(R9, _LEADS, R8, 8)
            asm.load(R8, R9, _LEADS, 8)
        asm.mov(R2, R8)
        asm.alu(">>=", R2, RANK_BITS)
        asm.alu("&=", R8, RANKS)
        asm.mov(R1, RANKS + 1)
        asm.alu("-=", R1, R8)
        if self.model.gains:
            emit_gains(asm, self.model, self.stage.positions)
        if self.model.least_votes > 0:
            asm.ld_imm64(R3, min(self.model.least_votes, _MOST_VOTES + 1))
            asm.jump_if(R2, ">=", R3, enough)
            asm.mov32(R1, UNKNOWN)
            asm.label(enough)
        asm.store(R7, LABEL, R1, 4)
        asm.store(R7, VOTES, R2, 4)
        asm.mov(R1, 1)
        asm.atomic_add(R7, RUNS, R1, 4)
        asm.load(R8, R10, _CALL, 8)
        emit_action_of(asm, R7, R8, CALL_PACKETS, CALL_BYTES)
        asm.ret(VERDICT)
        self.undecided()

    def undecided(self) -> None:
        """The entry has just been taken out, or the next program could not be called."""
        asm = self.asm
        asm.block("undecided")
        asm.label("undecided")
        asm.call(Helper.get_smp_processor_id)
        with asm.if_(R0, "<", possible_cpus()):
            emit_tally(asm, OUTCOMES.index("undecided"), 1)
        asm.ret(VERDICT)

"""Rows of a data set in the kernel's map, and programs that let the model decide about them."""

import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, Literal

from meshlens.classify.kernel.entry import (
    ROW,
    SAMPLES,
    VERDICT,
    Head,
    emit_action,
    emit_run_model,
    sample_maps,
)
from meshlens.classify.kernel.load import LoadedModel, load_model
from meshlens.classify.model import Model
from meshlens.ebpf import R0, R1, R2, R6, R7, Asm, Helper, Program, ProgramSpec, ProgramType

__all__ = ["RowsInKernel", "rows_in_kernel"]

_REPEAT: Final = 20_000
_KEY: Final = struct.Struct("=Q")


class RowsInKernel:
    """Rows by their number; `loaded` is the model that decides."""

    def __init__(self, any_row: Program, one_row: Program, loaded: LoadedModel | None) -> None:
        self._any_row, self._one_row, self.loaded = any_row, one_row, loaded

    def put(self, rows: Sequence[tuple[int, ...]]) -> None:
        for number, row in enumerate(rows):
            self._one_row.maps[SAMPLES].update(_KEY.pack(number), Head(first_ns=1).pack(row))

    def ns(self, turns: int) -> float:
        """Nanoseconds for a row that is chosen by chance each time: the least of so many turns."""
        return min(self._any_row.test_run(bytes(64), repeat=_REPEAT).duration_ns for _ in range(turns))

    def head(self, number: int) -> Head:
        """What the kernel says of a row."""
        self._one_row.test_run(_KEY.pack(number).ljust(64, b"\0"))
        value = self._one_row.maps[SAMPLES].lookup(_KEY.pack(number))
        assert value
        return Head.unpack(value)


@contextmanager
def rows_in_kernel(rows: Sequence[tuple[int, ...]], model: Model | None) -> Iterator[RowsInKernel]:
    """All rows in the map; without a model the programs do all but decide."""
    features = len(rows[0])
    with ExitStack() as stack:
        any_row = stack.enter_context(_program(features, len(rows), "chance").load())
        for each in any_row.maps.values():
            stack.enter_context(each)
        one_row = stack.enter_context(_program(features, len(rows), "frame").load(any_row.maps))
        loaded = load_model(model, range(features), any_row.maps) if model else None
        if loaded:
            stack.enter_context(loaded)
        kernel = RowsInKernel(any_row, one_row, loaded)
        kernel.put(rows)
        yield kernel


def _program(features: int, rows: int, pick: Literal["chance", "frame"]) -> ProgramSpec:
    """What a task's program does behind its dissection, for a row by chance or by the frame's first bytes."""
    asm = Asm()
    key, packets, octets = asm.slot(8), asm.slot(8), asm.slot(8)
    asm.mov(R6, R1)
    asm.put(packets, 1)
    asm.put(octets, 64)
    if pick == "chance":
        asm.call(Helper.get_prandom_u32)
        asm.mov(R2, R0)
        asm.alu("%=", R2, rows)
        asm.put(key, R2)
    else:
        asm.call(Helper.skb_load_bytes, R6, 0, key, 8)
    with asm.lookup(SAMPLES, key):
        asm.mov(R7, R0)
        for line in range(0, ROW + 4 * features, 64):
            asm.load(R1, R7, line, 4)
        emit_run_model(asm, key, packets, octets)
        emit_action(asm, R7, packets, octets)
    asm.ret(VERDICT)
    return ProgramSpec("bench_rows", ProgramType.SCHED_CLS, asm, maps=sample_maps(8, features, rows))


def chosen(rows: Sequence[tuple[int, ...]], most: int) -> list[tuple[int, ...]]:
    """At most so many of them, by chance."""
    return list(rows) if len(rows) <= most else random.Random(1).sample(list(rows), most)

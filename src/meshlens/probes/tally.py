"""What became of each frame: a map that counts outcomes for each CPU, one number an outcome."""

import struct
from collections.abc import Sequence
from typing import Final

from meshlens.ebpf import BPF_F_MMAPABLE, R0, R1, Asm, MapSpec, MapType, Reg, possible_cpus

__all__ = ["TALLY", "emit_tally", "read_outcomes", "tally_map"]

#: The name of the map.
TALLY: Final = "tally"
#: Each CPU has a cache line of its own, with room for eight outcomes.
_CPU_BYTES: Final = 64


def tally_map() -> MapSpec:
    """The map of the programs that count into one tally."""
    return MapSpec(TALLY, MapType.ARRAY, 4, possible_cpus() * _CPU_BYTES, 1, BPF_F_MMAPABLE)


def emit_tally(asm: Asm, place: int, packets: Reg | int) -> None:
    """Add to the outcome at `place`, of the CPU whose number is in R0. Clobbers R0 and R1.

    The numbers are the CPU's own: no atomic operation is needed.
    """
    asm.alu("*=", R0, _CPU_BYTES)
    asm.map_value(R1, TALLY, 8 * place)
    asm.alu("+=", R1, R0)
    asm.load(R0, R1, 0, 8)
    asm.alu("+=", R0, packets)
    asm.store(R1, 0, R0, 8)


def read_outcomes(tally: memoryview, outcomes: Sequence[str]) -> dict[str, int]:
    """Packets by outcome, of all CPUs; `tally` is the mapped value."""
    words = struct.unpack(f"={len(tally) // 8}Q", tally)
    return {name: sum(words[place :: _CPU_BYTES // 8]) for place, name in enumerate(outcomes)}

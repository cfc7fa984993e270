"""What watched features add to the votes of the class that has won; see Model.gained.

For each class, the map BOUNDS has the lowest and the highest value of each watched feature, as two u32.
"""

import struct
from collections.abc import Sequence
from typing import Final

from meshlens.classify.kernel.entry import row_offset
from meshlens.classify.model import Model
from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R7, Asm, MapSpec, MapType

__all__ = ["BOUNDS", "bounds_map", "bounds_values", "emit_gains"]

#: The name of the map.
BOUNDS: Final = "bounds"
_PAIR: Final = struct.Struct("=II")


def bounds_map(model: Model) -> MapSpec:
    """The map of a model that watches features: one value, for all classes."""
    return MapSpec(BOUNDS, MapType.ARRAY, 4, len(model.classes) * _stride(model), 1)


def bounds_values(model: Model) -> bytes:
    """What is in the map."""
    return b"".join(_PAIR.pack(*pair) for of_class in model.bounds for pair in of_class)


def emit_gains(asm: Asm, model: Model, positions: Sequence[int]) -> None:
    """R2 += what the class R1 - 1 gains with the row in the entry R7; clobbers R0, R3, R4, R5.

    `positions` says where the model's features stand in the row. There are no branches: the verifier would
    follow each sum that they lead to.
    """
    asm.block("watched features")
    behind = asm.new_label()
    asm.mov(R3, R1)
    asm.alu("-=", R3, 1)
    asm.jump_if(R3, ">=", len(model.classes), behind)  # never: only the verifier does not know
    asm.alu("*=", R3, _stride(model))
    asm.map_value(R4, BOUNDS)
    asm.alu("+=", R4, R3)
    for number, (feature, votes) in enumerate(model.gains):
        asm.load(R0, R7, row_offset(positions[feature]), 4)
        asm.load(R5, R4, _PAIR.size * number, 4)
        asm.load(R3, R4, _PAIR.size * number + 4, 4)
        asm.alu("-=", R3, R0)
        asm.alu("-=", R0, R5)
        asm.alu("|=", R0, R3)  # negative if one of the differences is
        asm.alu("s>>=", R0, 63)
        asm.alu("^=", R0, -1)  # all bits where the value is inside
        asm.alu("&=", R0, votes)
        asm.alu("+=", R2, R0)
    asm.label(behind)


def _stride(model: Model) -> int:
    """How much of the map is one class's."""
    return _PAIR.size * len(model.gains)

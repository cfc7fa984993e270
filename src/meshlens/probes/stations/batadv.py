"""The part of the station program that reads headers of batman-adv, by the rules in `packet.batadv`."""

from collections.abc import Sequence
from typing import Final

from meshlens.ebpf import R0, R1, R2, R7, R8, R10, Asm
from meshlens.packet.batadv import (
    PACKET_TYPES,
    AfterHeader,
    AfterTvlvs,
    HeadFragmentByContent,
    HeadFragmentByFlag,
    InnerRule,
)
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.dissect import emit_address
from meshlens.probes.stations.packet import address_offset

__all__ = ["INNER", "emit_batadv"]

#: The stack: whether R8 has been moved to an inner frame.
INNER: Final = -96
_FEW: Final = 3


def emit_batadv(asm: Asm, direction: Direction, *, originator: str, inner: str, out: str) -> None:
    """Read the header at R8; the originator's address goes to KEY, R8 to the inner frame if there is one.

    Goes to `originator`, to `inner` if the packet names none, or `out`. Clobbers R0 to R2.
    """
    way = 0 if direction == "in" else 1
    kinds = {kind.number << 8 | version: kind for version, kinds in PACKET_TYPES.items() for kind in kinds}
    labels = {number: asm.new_label() for number in kinds}
    _need(asm, 2, out)
    asm.load(R0, R8, 0, 2)
    asm.to_be(R0, 16)
    _emit_search(asm, sorted(labels.items()), out)
    for number, kind in kinds.items():
        asm.label(labels[number])
        offset = address_offset(kind, way)
        _need(asm, kind.header_bytes, out)
        if offset is not None:
            emit_address(asm, offset)
            asm.store(R10, INNER, 0, 8)
        without = out if offset is None else originator
        if kind.inner is None:
            asm.jump(without)
            continue
        _emit_inner(asm, kind.inner, kind.header_bytes, without)
        asm.store(R10, INNER, 1, 8)
        asm.jump(inner if offset is None else originator)


def _emit_search(asm: Asm, targets: Sequence[tuple[int, str]], otherwise: str) -> None:
    """Go where R0 leads, by halves."""
    if len(targets) <= _FEW:
        for number, label in targets:
            asm.jump_if(R0, "==", number, label)
        asm.jump(otherwise)
        return
    middle, upper = len(targets) // 2, asm.new_label()
    asm.jump_if(R0, ">=", targets[middle][0], upper)
    _emit_search(asm, targets[:middle], otherwise)
    asm.label(upper)
    _emit_search(asm, targets[middle:], otherwise)


def _emit_inner(asm: Asm, rule: InnerRule, header_bytes: int, without: str) -> None:
    """Move R8 to the inner frame, or go to `without`."""
    match rule:
        case AfterTvlvs(length_offset, max_bytes):
            asm.load(R2, R8, length_offset, 2)
            asm.to_be(R2, 16)
            asm.jump_if(R2, ">", max_bytes, without)
            asm.alu("+=", R8, R2)
        case HeadFragmentByFlag(flag_offset, mask):
            head = asm.new_label()
            asm.load(R2, R8, flag_offset, 1)
            asm.jump_if(R2, "&", mask, head)
            asm.jump(without)
            asm.label(head)
        case HeadFragmentByContent(nested):
            _emit_nested(asm, header_bytes, nested, without)
        case AfterHeader():
            pass
    asm.alu("+=", R8, header_bytes)


def _emit_nested(asm: Asm, begin: int, nested: Sequence[tuple[int, int, int]], without: str) -> None:
    """Move R8 by the header of the packet that the fragment begins with."""
    moved = asm.new_label()
    _need(asm, begin + 2, without)
    asm.load(R2, R8, begin, 2)
    asm.to_be(R2, 16)
    for number, version, size in nested:
        with asm.if_(R2, "==", number << 8 | version):
            asm.alu("+=", R8, size)
            asm.jump(moved)
    asm.jump(without)
    asm.label(moved)


def _need(asm: Asm, size: int, otherwise: str) -> None:
    asm.mov(R1, R8)
    asm.alu("+=", R1, size)
    asm.jump_if(R1, ">", R7, otherwise)

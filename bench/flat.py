"""One classic BPF program a filter, scopes included: what the alternatives run.

libpcap compiles what is outside and what is inside batman-adv; the inside is moved to where the inner frame
stands and put in the place of its mark. That is how a user of libpcap would have to write Gluon's list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshlens.filters.markers import MARK_INNER, MARK_META
from meshlens.filters.pcap import CbpfInsn, compile_cbpf
from meshlens.filters.scope import Part, rewrite
from meshlens.packet.batadv import ETHERNET_HEADER_BYTES, VLAN_TAG_BYTES, AfterHeader, find_type

__all__ = ["flat_cbpf"]

# Opcodes, linux/bpf_common.h.
_LD_IMM, _LD_B_ABS, _LDX_B_MSH, _LD_LEN, _JA, _RET_K = 0x00, 0x30, 0xB1, 0x80, 0x05, 0x06
_PACKET_LOADS = {0x20, 0x28, 0x30, 0x40, 0x48, 0x50, _LDX_B_MSH}  # ABS and IND, and MSH
_FARTHEST = 255

Label = tuple[int, int]  # instruction of the outer program, of the inner one in its place (-1: the outer one)


@dataclass(slots=True)
class _Step:
    """An instruction that says by label where it goes."""

    label: Label
    code: int
    k: int
    yes: Label | None = None
    no: Label | None = None


def flat_cbpf(expression: str) -> tuple[CbpfInsn, ...]:
    """Compile an expression to one program. ValueError for a scope whose place depends on the frame."""
    rewritten = rewrite(expression)
    outer = compile_cbpf(rewritten.text)
    if not rewritten.parts:
        return outer
    steps: list[_Step] = []
    for number, insn in enumerate(outer):
        if insn.code == _LD_B_ABS and MARK_INNER <= insn.k < MARK_META:
            steps += _inside(number, rewritten.parts[insn.k - MARK_INNER])
        else:
            steps.append(_step((number, -1), insn, [(index, -1) for index in range(len(outer))], number))
    return _placed(steps)


def _inside(place: int, part: Part) -> list[_Step]:
    """The program of `part`, moved; at its end A is 1 or 0, and what follows `place` goes on."""
    packet_type = find_type(part.version, part.type)
    if packet_type is None or not isinstance(packet_type.inner, AfterHeader):
        raise ValueError(f"the place of the inner frame is no constant: {part}")
    base = ETHERNET_HEADER_BYTES + VLAN_TAG_BYTES * part.vlan_depth + packet_type.header_bytes
    program = compile_cbpf(part.text)
    begin: Label = (place, -1)
    labels = [begin, *((place, index) for index in range(1, len(program)))]
    steps = []
    for index, insn in enumerate(program):
        if insn.code == _RET_K:
            steps.append(_Step(labels[index], _LD_IMM, int(insn.k > 0)))
            steps.append(_Step((place, index + len(program)), _JA, 0, (place + 1, -1)))
            continue
        if insn.code == _LD_LEN:
            raise ValueError(f"the length of the inner frame is not moved: {part}")
        moved = insn._replace(k=insn.k + base) if insn.code in _PACKET_LOADS else insn
        steps.append(_step(labels[index], moved, labels, index))
    return steps


def _step(label: Label, insn: CbpfInsn, labels: Sequence[Label], index: int) -> _Step:
    if insn.code & 7 != _JA:
        return _Step(label, insn.code, insn.k)
    if insn.code == _JA:
        return _Step(label, insn.code, 0, labels[index + 1 + insn.k])
    return _Step(label, insn.code, insn.k, labels[index + 1 + insn.jt], labels[index + 1 + insn.jf])


def _placed(steps: list[_Step]) -> tuple[CbpfInsn, ...]:
    """Labels become distances; a branch that goes too far for its byte goes by two long jumps."""
    far: set[Label] = set()
    while True:
        places, place = {}, 0
        for step in steps:
            places[step.label] = place
            place += 3 if step.label in far else 1
        beyond = {step.label for step in steps if step.no and _reach(step, places) > _FARTHEST} - far
        if not beyond:
            return tuple(insn for step in steps for insn in _insns(step, places, step.label in far))
        far |= beyond


def _reach(step: _Step, places: dict[Label, int]) -> int:
    return max(places[to] - places[step.label] - 1 for to in (step.yes, step.no) if to)


def _insns(step: _Step, places: dict[Label, int], far: bool) -> list[CbpfInsn]:
    after = places[step.label] + 1
    if step.yes is None:
        return [CbpfInsn(step.code, 0, 0, step.k)]
    if step.no is None:
        return [CbpfInsn(_JA, 0, 0, places[step.yes] - after)]
    if not far:
        return [CbpfInsn(step.code, places[step.yes] - after, places[step.no] - after, step.k)]
    long_jumps = [CbpfInsn(_JA, 0, 0, places[to] - after - 1 - n) for n, to in enumerate((step.yes, step.no))]
    return [CbpfInsn(step.code, 0, 1, step.k), *long_jumps]

"""What the verifier has to do for Gluon's 580 filters, and whether a kernel as old as 5.10 could take them.

The second by reading the instructions: no older kernel runs here. Attaching needs no TCX either: the frames
are counted at clsact.
"""

import socket
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.inputs import GLUON, compiled, overhead
from bench.network import Sender, joined
from bench.programs import HOOKS, ListCounter
from bench.report import Figure
from meshlens.ebpf import BPF_F_MMAPABLE, Helper, Insn, MapSpec, MapType, attach_clsact
from meshlens.ebpf.insn import (
    ALU,
    ALU64,
    ALU_OPS,
    FROM_IMM,
    FROM_REG,
    JMP,
    JMP32,
    JUMP_OPS,
    LDX,
    MODE_ATOMIC,
    MODE_MEM,
    SIZE_BITS,
    ST,
    STX,
)
from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import parse_list
from meshlens.probes.count.program import count_program

_LD_IMM64, _LD_IMM64_REST, _NEG, _NEG32, _CALL, _EXIT, _JA = 0x18, 0x00, 0x87, 0x84, 0x85, 0x95, 0x05
_MEMORY = {kind | size | MODE_MEM for kind in (LDX, ST, STX) for size in SIZE_BITS.values()}
_ATOMIC = {STX | SIZE_BITS[size] | MODE_ATOMIC for size in (4, 8)}
_ARITHMETIC = {
    kind | op | source for kind in (ALU, ALU64) for op in ALU_OPS.values() for source in (FROM_IMM, FROM_REG)
}
_TO_BYTE_ORDER = {ALU | 0xD0 | source for source in (FROM_IMM, FROM_REG)}
_CONDITIONS = {
    kind | op | source for kind in (JMP, JMP32) for op in JUMP_OPS.values() for source in (FROM_IMM, FROM_REG)
}
_OTHERS = {_LD_IMM64, _LD_IMM64_REST, _NEG, _NEG32, _CALL, _EXIT, _JA}
#: The opcodes of 5.10, without those that look packets up for socket filters only.
_KNOWN = _MEMORY | _ATOMIC | _ARITHMETIC | _TO_BYTE_ORDER | _CONDITIONS | _OTHERS
#: Of BPF_PSEUDO_*: a number, a map, a place in a map's value (5.2). A BTF object is not among them.
_LOADED = {0, 1, 2}
_LAST_HELPER = Helper.redirect_peer  # 5.10
_MAPS = {MapType.ARRAY: BPF_F_MMAPABLE, MapType.PERCPU_ARRAY: 0}  # by type the flags; mmap-able since 5.5


def figures(_quick: bool) -> Iterator[Figure]:
    lists = compiled(GLUON)
    for hook in HOOKS:
        info = ListCounter.of(lists, hook).program.info()
        size = f"{info.xlated_bytes // 8:,} instructions"
        yield Figure(f"{hook}: processed by the verifier", info.verified_insns, "", size, at_most=300_000)
        spec = count_program(lists, hook, None if hook == "socket" else "in")
        strange = Counter(filter(None, map(_strange, spec.insns))) + Counter(
            map(_strange_map, spec.maps.values())
        )
        listed = ", ".join(f"{number} x {what}" for what, number in strange.items() if what)
        yield Figure(f"{hook}: not known to 5.10", strange.total() - strange[""], "", listed, at_most=0)
        yield Figure(f"{hook}: loops", _loops(spec.insns), "", at_most=0)
    sent = len(overhead())
    yield Figure("counted at clsact", _counted_at_clsact(), "frames", f"of {sent:,}", at_least=sent)


def _strange(insn: Insn) -> str:
    """Why 5.10 would not take an instruction; "" if it would."""
    if insn.opcode not in _KNOWN:
        return f"opcode {insn.opcode:#04x}"
    if insn.opcode == _LD_IMM64:
        return "" if insn.src in _LOADED else "load of a BTF object or function"
    if insn.opcode in _ATOMIC:
        return "" if insn.imm == 0 else "atomic operation other than add"
    if insn.opcode in _ARITHMETIC:
        return "" if insn.offset == 0 else "signed arithmetic or move"
    if insn.opcode == _CALL:
        return "" if insn.src == 0 and insn.imm <= _LAST_HELPER else f"call of function {insn.imm}"
    return ""


def _strange_map(spec: MapSpec) -> str:
    return "" if spec.flags & ~_MAPS.get(spec.type, -1) == 0 and spec.type in _MAPS else spec.describe()


def _loops(insns: Sequence[Insn]) -> int:
    """How many jumps close a loop. A backward jump need not: what two paths share stands behind one only."""
    state = bytearray(len(insns))  # 0: not seen, 1: on the path, 2: done
    path, loops = [(0, iter(_next(insns, 0)))], 0
    while path:
        index, after = path[-1]
        state[index] = 1
        following = next(after, None)
        if following is None:
            state[index] = 2
            path.pop()
        elif state[following] == 1:
            loops += 1
        elif state[following] == 0:
            path.append((following, iter(_next(insns, following))))
    return loops


def _next(insns: Sequence[Insn], index: int) -> list[int]:
    insn = insns[index]
    if insn.opcode == _EXIT:
        return []
    if insn.opcode == _JA:
        return [index + 1 + insn.offset]
    beside = [index + 1 + insn.offset] if insn.opcode in _CONDITIONS else []
    return [index + (2 if insn.opcode == _LD_IMM64 else 1), *beside]


def _counted_at_clsact() -> int:
    counter = ListCounter.of(compile_list(parse_list("all;len >= 0\n")))
    with joined() as (near, far):
        with far.inside():
            link = attach_clsact(counter.program, socket.if_nametoindex("veth0"), "ingress")
        Sender.on(near, "veth0", [frame.data for frame in overhead()]).send()
        link.close()
    [(packets, _)] = counter.read().filters
    return packets

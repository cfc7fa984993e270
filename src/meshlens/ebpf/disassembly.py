"""Instructions as text, in the kernel's own notation (kernel/bpf/disasm.c) but with jump targets as slots.

A comment line carries the name of each block; a map reference shows the map's name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from meshlens.ebpf import insn as op
from meshlens.ebpf.assembler import Code
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.insn import Insn

__all__ = ["disassemble", "instruction_text"]

_SIZE_NAMES = {bits: f"u{8 * size}" for size, bits in op.SIZE_BITS.items()}
_ALU_NAMES = {bits: name for name, bits in op.ALU_OPS.items()}
_JUMP_NAMES = {bits: name for name, bits in op.JUMP_OPS.items()}


def disassemble(code: Code) -> str:
    """The whole program, a line an instruction."""
    return "\n".join(_lines(code)) + "\n"


def _lines(code: Code) -> Iterator[str]:
    blocks: dict[int, list[str]] = {}
    for slot, name in code.blocks:
        blocks.setdefault(slot, []).append(name)
    maps = dict(code.map_refs)
    for slot, insn in enumerate(code.insns):
        yield from (f"; {name}" for name in blocks.get(slot, ()))
        if insn.opcode:  # 0 is the second slot of a 64-bit immediate
            yield f"{slot:6}: {_text(code.insns, slot, maps)}"


def instruction_text(code: Code, slot: int) -> str:
    """The instruction at `slot`, without its number."""
    return _text(code.insns, slot, dict(code.map_refs))


def _text(insns: Sequence[Insn], slot: int, maps: Mapping[int, str]) -> str:
    insn = insns[slot]
    if insn.opcode == op.LD_IMM64 and slot + 1 < len(insns):
        return _wide(insn, insns[slot + 1], maps.get(slot))
    if insn.opcode & 7 in (op.JMP, op.JMP32):
        return _jump(insn, slot)
    return _BY_CLASS[insn.opcode & 7](insn)


def _wide(low: Insn, high: Insn, map_name: str | None) -> str:
    if map_name is None:
        return f"r{low.dst} = {(high.imm & 0xFFFFFFFF) << 32 | low.imm & 0xFFFFFFFF:#x}"
    if low.src == op.PSEUDO_MAP_VALUE:
        return f"r{low.dst} = map_value[{map_name}] +{high.imm}"
    return f"r{low.dst} = map[{map_name}]"


def _packet_load(insn: Insn) -> str:
    index = {op.MODE_ABS: f"{insn.imm}", op.MODE_IND: f"r{insn.src} + {insn.imm}"}.get(insn.opcode & 0xE0)
    return f"r0 = *({_size(insn)} *)skb[{index}]" if index is not None else _unknown(insn)


def _load(insn: Insn) -> str:
    if insn.opcode & 0xE0 != op.MODE_MEM:
        return _unknown(insn)
    return f"r{insn.dst} = {_memory(insn, insn.src)}"


def _store_imm(insn: Insn) -> str:
    return f"{_memory(insn, insn.dst)} = {insn.imm}"


def _store_reg(insn: Insn) -> str:
    if insn.opcode & 0xE0 == op.MODE_MEM:
        return f"{_memory(insn, insn.dst)} = r{insn.src}"
    if insn.opcode & 0xE0 == op.MODE_ATOMIC and insn.imm in _ATOMICS:
        return _ATOMICS[insn.imm].format(memory=_memory(insn, insn.dst), source=f"r{insn.src}")
    return _unknown(insn)


def _alu(insn: Insn) -> str:
    wide = insn.opcode & 7 == op.ALU64
    prefix = "r" if wide else "w"
    operation = insn.opcode & 0xF0
    if operation == op.ALU_NEG:
        return f"{prefix}{insn.dst} = -{prefix}{insn.dst}"
    if operation == op.ALU_END:
        order = "bswap" if wide else "be" if insn.opcode & op.TO_BIG else "le"
        return f"r{insn.dst} = {order}{insn.imm} r{insn.dst}"
    if operation not in _ALU_NAMES:
        return _unknown(insn)
    source = f"{prefix}{insn.src}" if insn.opcode & op.FROM_REG else f"{insn.imm}"
    return f"{prefix}{insn.dst} {_ALU_NAMES[operation]} {source}"


def _jump(insn: Insn, slot: int) -> str:
    if insn.opcode == op.CALL:
        return _call(insn, slot)
    if insn.opcode == op.EXIT:
        return "exit"
    if insn.opcode == op.JA:
        return f"goto {slot + 1 + insn.offset}"
    comparison = _JUMP_NAMES.get(insn.opcode & 0xF0)
    if comparison is None:
        return _unknown(insn)
    prefix = "r" if insn.opcode & 7 == op.JMP else "w"
    right = f"{prefix}{insn.src}" if insn.opcode & op.FROM_REG else f"{insn.imm & 0xFFFFFFFF:#x}"
    return f"if {prefix}{insn.dst} {comparison} {right} goto {slot + 1 + insn.offset}"


def _call(insn: Insn, slot: int) -> str:
    if insn.src == op.PSEUDO_CALL:
        return f"call {slot + 1 + insn.imm}"
    if insn.src:
        return _unknown(insn)
    try:
        return f"call bpf_{Helper(insn.imm).name}#{insn.imm}"
    except ValueError:
        return f"call unknown#{insn.imm}"


def _unknown(insn: Insn) -> str:
    opcode, dst, src, offset, imm = insn
    return f".insn opcode={opcode:#04x} dst=r{dst} src=r{src} offset={offset} imm={imm:#x}"


def _memory(insn: Insn, base: int) -> str:
    return f"*({_size(insn)} *)(r{base} {insn.offset:+d})"


def _size(insn: Insn) -> str:
    return _SIZE_NAMES[insn.opcode & 0x18]


_ATOMICS = {
    0: "lock {memory} += {source}",
    op.ATOMIC_FETCH_ADD: "{source} = fetch_add({memory}, {source})",
    op.ATOMIC_EXCHANGE: "{source} = exchange({memory}, {source})",
    op.ATOMIC_COMPARE_EXCHANGE: "r0 = compare_exchange({memory}, r0, {source})",
}

_BY_CLASS: dict[int, Callable[[Insn], str]] = {
    op.LD: _packet_load,
    op.LDX: _load,
    op.ST: _store_imm,
    op.STX: _store_reg,
    op.ALU: _alu,
    op.ALU64: _alu,
}

"""Run a packet program in Python: without a kernel, in either byte order, and count what it executes.

It shows what BPF_PROG_TEST_RUN cannot: a big-endian program on this machine, a skb whose bytes are not all in
the linear part or whose VLAN tag is in the metadata, and how many instructions a frame costs. It is no
verifier, but strict where that is cheap: reading a register that was never written, or memory that is not
there, is an error. The instruction set is RFC 9669, as far as `Asm` writes it.
"""

import operator
from collections.abc import Callable
from typing import Final, NamedTuple

from meshlens.ebpf import insn as op
from meshlens.ebpf.constants import MapType, ProgramType
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.insn import ByteOrder, Insn
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.program import ProgramSpec
from meshlens.errors import MeshlensError

__all__ = ["EmulationError", "Emulator", "Run"]

_U32, _U64 = 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
_STACK_BYTES, _CONTEXT_BYTES = 512, 192
_EFAULT: Final = -14
_ENOMEM: Final = -12

# An address names a region by its upper bits. All fit 32 bits, as `data` and `data_end` of a context do.
_REGION_BITS: Final = 28
_CONTEXT, _STACK, _PACKET, _FIRST_MAP = 1, 2, 3, 4
_MAX_MAPS: Final = 16 - _FIRST_MAP

_NETWORK_ORDER: Final = frozenset({"protocol", "vlan_proto"})  # __be16 in struct sk_buff
_ARRAYS: Final = frozenset({MapType.ARRAY, MapType.PERCPU_ARRAY})

Registers = list[int]
#: Executes one instruction on the registers; the slot of the next one, -1 at the end.
Step = Callable[[Registers], int]


class EmulationError(MeshlensError):
    """The program did what no verifier would have let it do, or what is not emulated."""


class Run(NamedTuple):
    """What a run gave: the return value (32 bits, unsigned) and the number of instructions executed."""

    retval: int
    executed: int


class Emulator:
    """A program with its maps; they keep their values from run to run.

    `maps` holds the memory of each map, arrays only, as one CPU (number 0) sees it: values of `value_size`
    rounded up to 8 bytes, in the program's byte order.
    """

    def __init__(self, spec: ProgramSpec) -> None:
        if len(spec.maps) > _MAX_MAPS:
            raise EmulationError(f"{len(spec.maps)} maps are more than the {_MAX_MAPS} that are emulated")
        self.byteorder: ByteOrder = spec.code.byteorder
        self._context = Xdp if spec.type == ProgramType.XDP else Skb
        self._specs = list(spec.maps.values())
        self.maps = {name: _memory(each) for name, each in spec.maps.items()}
        self._regions: list[bytearray] = [bytearray() for _ in range(_FIRST_MAP)] + list(self.maps.values())
        numbers = {name: _FIRST_MAP + number for number, name in enumerate(spec.maps)}
        references = {slot: numbers[name] << _REGION_BITS for slot, name in spec.code.map_refs}
        self._steps = [
            self._step(slot, insn, spec.insns[slot + 1 : slot + 2], references.get(slot, 0))
            for slot, insn in enumerate(spec.insns)
        ]

    def run(self, packet: bytes, *, linear_bytes: int | None = None, **fields: int) -> Run:
        """Run on `packet`, the bytes that a skb or XDP buffer holds.

        Only the first `linear_bytes` (all if None) are between `data` and `data_end`. `fields` are further
        fields of the context by name, those in network order as plain numbers. Raises EmulationError.
        """
        start = _PACKET << _REGION_BITS
        linear = len(packet) if linear_bytes is None else min(linear_bytes, len(packet))
        known = {"len": len(packet), "data": start, "data_end": start + linear, "data_meta": start}
        context = bytearray(_CONTEXT_BYTES)
        for name, value in (known | fields).items():
            if hasattr(self._context, name):  # the XDP context has no `len`
                offset, size = getattr(self._context, name)
                in_order = _swapped(value, self.byteorder) if name in _NETWORK_ORDER else value
                context[offset : offset + size] = in_order.to_bytes(size, self.byteorder)
        self._packet = packet
        self._regions[_CONTEXT:_FIRST_MAP] = context, bytearray(_STACK_BYTES), bytearray(packet[:linear])
        return self._execute()

    def _execute(self) -> Run:
        registers: Registers = [_UNSET] * 11
        registers[1] = _CONTEXT << _REGION_BITS
        registers[10] = (_STACK << _REGION_BITS) + _STACK_BYTES
        slot = last = executed = 0
        steps = self._steps
        try:
            while slot >= 0:
                executed += 1
                last, slot = slot, steps[slot](registers)
            return Run(registers[0] & _U32, executed)
        except (IndexError, TypeError) as error:
            raise EmulationError(f"instruction {last} of a run: {error}") from error

    def _step(self, slot: int, insn: Insn, following: tuple[Insn, ...], reference: int) -> Step:
        match insn.opcode & 7:
            case op.ALU | op.ALU64:
                return _alu(insn, slot + 1, self.byteorder)
            case op.JMP | op.JMP32:
                return self._jump(insn, slot + 1)
            case op.LDX:
                return self._load(insn, slot + 1)
            case op.ST | op.STX:
                return self._store(insn, slot + 1)
            case op.LD if insn.opcode == op.LD_IMM64:
                high = following[0].imm
                value = (reference + high) if insn.src else (high << 32 | insn.imm & _U32) & _U64
                return _move(insn.dst, value, slot + 2)
        return _never  # the second half of a 64-bit immediate

    # Memory.

    def _span(self, address: int, size: int) -> tuple[bytearray, int]:
        region, offset = self._regions[address >> _REGION_BITS], address & ((1 << _REGION_BITS) - 1)
        if offset + size > len(region):
            raise IndexError(f"{size} bytes at {address:#x} are not there")
        return region, offset

    def _read(self, address: int, size: int) -> bytes:
        region, offset = self._span(address, size)
        return bytes(region[offset : offset + size])

    def _write(self, address: int, data: bytes) -> None:
        region, offset = self._span(address, len(data))
        region[offset : offset + len(data)] = data

    def _load(self, insn: Insn, after: int) -> Step:
        size, order, (_, dst, src, offset, _) = _size(insn), self.byteorder, insn

        def step(registers: Registers) -> int:
            registers[dst] = int.from_bytes(self._read(registers[src] + offset & _U64, size), order)
            return after

        return step

    def _store(self, insn: Insn, after: int) -> Step:
        size, order, (opcode, dst, src, offset, imm) = _size(insn), self.byteorder, insn
        mask = (1 << 8 * size) - 1
        atomic = opcode & 0xE0 == op.MODE_ATOMIC
        if atomic and imm:
            raise EmulationError(f"no atomic operation but += is emulated: {insn}")

        def step(registers: Registers) -> int:
            address = registers[dst] + offset & _U64
            value = registers[src] if opcode & 7 == op.STX else imm
            if atomic:
                value += int.from_bytes(self._read(address, size), order)
            self._write(address, (value & mask).to_bytes(size, order))
            return after

        return step

    # Control flow.

    def _jump(self, insn: Insn, after: int) -> Step:
        opcode, dst, src, offset, imm = insn
        if opcode == op.CALL:
            return self._call(imm, after)
        if opcode == op.EXIT:
            return lambda registers: -1
        if opcode == op.JA:
            return lambda registers: after + offset
        compare, is_signed = _COMPARISONS[opcode & 0xF0]
        bits = 64 if opcode & 7 == op.JMP else 32
        mask, sign = (1 << bits) - 1, 1 << bits - 1 if is_signed else 0

        def step(registers: Registers) -> int:
            right = registers[src] if opcode & op.FROM_REG else imm
            # With its sign bit turned round, a signed number compares as an unsigned one.
            return after + offset if compare((registers[dst] ^ sign) & mask, (right ^ sign) & mask) else after

        return step

    def _call(self, number: int, after: int) -> Step:
        helper = {
            Helper.get_smp_processor_id: lambda *_: 0,
            Helper.map_lookup_elem: self._map_lookup_elem,
            Helper.skb_load_bytes: self._skb_load_bytes,
            Helper.skb_pull_data: self._skb_pull_data,
        }.get(Helper(number))
        if helper is None:
            raise EmulationError(f"helper {Helper(number).name} is not emulated")

        def step(registers: Registers) -> int:
            registers[0] = helper(*registers[1:6]) & _U64
            registers[1:6] = [_UNSET] * 5  # the kernel gives no promise about them
            return after

        return step

    def _map_lookup_elem(self, map_address: int, key_address: int, *_: int) -> int:
        spec = self._specs[(map_address >> _REGION_BITS) - _FIRST_MAP]
        key = int.from_bytes(self._read(key_address, spec.key_size), self.byteorder)
        return map_address + key * _stride(spec) if key < spec.max_entries else 0

    def _skb_load_bytes(self, _skb: int, offset: int, to: int, size: int, *_: int) -> int:
        offset &= _U32
        if offset + size > len(self._packet):
            self._write(to, bytes(size))
            return _EFAULT
        self._write(to, self._packet[offset : offset + size])
        return 0

    def _skb_pull_data(self, _skb: int, size: int, *_: int) -> int:
        if size > len(self._packet):
            return _ENOMEM
        linear = max(size or len(self._packet), len(self._regions[_PACKET]))
        self._regions[_PACKET] = bytearray(self._packet[:linear])
        offset, width = self._context.data_end
        end = (_PACKET << _REGION_BITS) + linear
        self._regions[_CONTEXT][offset : offset + width] = end.to_bytes(width, self.byteorder)
        return 0


#: What a register holds that was never written: arithmetic with it raises TypeError.
_UNSET: Final[int] = None  # type: ignore[assignment]


def _swapped(value: int, byteorder: ByteOrder) -> int:
    """The number that a program reads where these 16 bits stand in network order."""
    return int.from_bytes(value.to_bytes(2, "big"), byteorder)


def _never(_registers: Registers) -> int:
    raise IndexError("jump into a 64-bit immediate")


def _size(insn: Insn) -> int:
    return {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}[insn.opcode & 0x18]


def _stride(spec: MapSpec) -> int:
    return -(-spec.value_size // 8) * 8


def _memory(spec: MapSpec) -> bytearray:
    if spec.type not in _ARRAYS:
        raise EmulationError(f"map {spec.name!r}: only arrays are emulated, not {spec.type.name}")
    return bytearray(_stride(spec) * spec.max_entries)


def _move(dst: int, value: int, after: int) -> Step:
    def step(registers: Registers) -> int:
        registers[dst] = value
        return after

    return step


def _alu(insn: Insn, after: int, byteorder: ByteOrder) -> Step:
    opcode, dst, src, _, imm = insn
    bits = 64 if opcode & 7 == op.ALU64 else 32
    if opcode & 0xF0 == op.ALU_END:
        return _to_order(insn, after, byteorder)
    mask, calculate = (1 << bits) - 1, _ARITHMETIC[opcode & 0xF0]

    def step(registers: Registers) -> int:
        right = registers[src] if opcode & op.FROM_REG else imm
        left = 0 if opcode & 0xF0 == _MOV else registers[dst]
        registers[dst] = calculate(left & mask, right & mask, bits) & mask
        return after

    return step


def _to_order(insn: Insn, after: int, byteorder: ByteOrder) -> Step:
    size = insn.imm // 8
    order: ByteOrder = "big" if insn.opcode & op.TO_BIG else "little"

    def step(registers: Registers) -> int:
        value = registers[insn.dst] & (1 << 8 * size) - 1
        registers[insn.dst] = int.from_bytes(value.to_bytes(size, order), byteorder)
        return after

    return step


_MOV: Final = op.ALU_OPS["="]


def _arithmetic_shift(left: int, right: int, bits: int) -> int:
    return (left - (left >> bits - 1 << bits)) >> right % bits


# Division by zero gives 0, and modulo zero leaves the number (RFC 9669, section 4.1).
_ARITHMETIC: Final[dict[int, Callable[[int, int, int], int]]] = {
    op.ALU_OPS["+="]: lambda left, right, bits: left + right,
    op.ALU_OPS["-="]: lambda left, right, bits: left - right,
    op.ALU_OPS["*="]: lambda left, right, bits: left * right,
    op.ALU_OPS["/="]: lambda left, right, bits: left // right if right else 0,
    op.ALU_OPS["%="]: lambda left, right, bits: left % right if right else left,
    op.ALU_OPS["|="]: lambda left, right, bits: left | right,
    op.ALU_OPS["&="]: lambda left, right, bits: left & right,
    op.ALU_OPS["^="]: lambda left, right, bits: left ^ right,
    op.ALU_OPS["<<="]: lambda left, right, bits: left << right % bits,
    op.ALU_OPS[">>="]: lambda left, right, bits: left >> right % bits,
    op.ALU_OPS["s>>="]: _arithmetic_shift,
    op.ALU_OPS["="]: lambda left, right, bits: right,
    op.ALU_NEG: lambda left, right, bits: -left,
}

_COMPARISONS: Final[dict[int, tuple[Callable[[int, int], object], bool]]] = {
    op.JUMP_OPS["=="]: (operator.eq, False),
    op.JUMP_OPS["!="]: (operator.ne, False),
    op.JUMP_OPS[">"]: (operator.gt, False),
    op.JUMP_OPS[">="]: (operator.ge, False),
    op.JUMP_OPS["<"]: (operator.lt, False),
    op.JUMP_OPS["<="]: (operator.le, False),
    op.JUMP_OPS["&"]: (operator.and_, False),
    op.JUMP_OPS["s>"]: (operator.gt, True),
    op.JUMP_OPS["s>="]: (operator.ge, True),
    op.JUMP_OPS["s<"]: (operator.lt, True),
    op.JUMP_OPS["s<="]: (operator.le, True),
}

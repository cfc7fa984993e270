"""The assembler with structure: conditions that nest, stack slots with names, calls that take arguments.

    a = Asm()
    ttl = a.slot(1)
    a.call(Helper.skb_load_bytes, R1, 22, ttl, 1)
    with a.if_(R0, "==", 0):
        a.get(R1, ttl)
        ...
    with a.else_():
        ...
    a.ret(0)

Loops are Python's own: they unroll. Everything of the flat assembler is there too.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from meshlens.ebpf.assembler import Assembler, AssemblyError
from meshlens.ebpf.contexts import Field
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.insn import R0, R1, R5, R10, ByteOrder, Reg

__all__ = ["Asm", "Slot"]

_STACK_BYTES = 512
_OPPOSITE = {
    "==": "!=", "!=": "==", ">": "<=", "<=": ">", ">=": "<", "<": ">=",
    "s>": "s<=", "s<=": "s>", "s>=": "s<", "s<": "s>=",
}  # fmt: skip


class Slot(NamedTuple):
    """Room on the program's stack: `size` bytes at R10 + `offset` (a negative number)."""

    offset: int
    size: int


class Asm(Assembler):
    """The flat assembler plus what makes a hand-written probe read like what it does."""

    def __init__(self, byteorder: ByteOrder = sys.byteorder) -> None:
        super().__init__(byteorder)
        self._stack_used = 0
        self._closed_if: tuple[int, str] | None = None

    # Conditions.

    @contextmanager
    def if_(self, left: Reg, comparison: str, right: Reg | int, *, bits: int = 64) -> Iterator[None]:
        """What the `with` contains runs only if the comparison (see jump_if) holds, in 64 or 32 bits."""
        jump_if = {64: self.jump_if, 32: self.jump32_if}[bits]
        end = self.new_label()
        if comparison in _OPPOSITE:
            jump_if(left, _OPPOSITE[comparison], right, end)
        else:  # "&" has no opposite
            then = self.new_label()
            jump_if(left, comparison, right, then)
            self.jump(end)
            self.label(then)
        yield
        self.label(end)
        self._closed_if = (len(self), end)

    @contextmanager
    def else_(self) -> Iterator[None]:
        """What the `with` contains runs if the condition of the `if_` right before did not hold."""
        if self._closed_if is None or self._closed_if[0] != len(self):
            raise AssemblyError("else_() has to follow an if_() directly")
        _, otherwise = self._closed_if
        end = self.new_label()
        self.jump(end)
        self._labels[otherwise] = len(self)
        yield
        self.label(end)
        self._closed_if = None

    @contextmanager
    def lookup(self, name: str, key: Slot) -> Iterator[None]:
        """What the `with` contains runs if map `name` has `key`; R0 then points to the value."""
        self.call(Helper.map_lookup_elem, name, key)
        with self.if_(R0, "!=", 0):
            yield

    # The stack.

    def slot(self, size: int) -> Slot:
        """Room on the stack, aligned to its size up to 8 bytes; undefined until written."""
        alignment = min(8, 1 << (size - 1).bit_length())
        used = -(-(self._stack_used + size) // alignment) * alignment
        if used > _STACK_BYTES:
            raise AssemblyError(f"{used} bytes of stack, a program has {_STACK_BYTES}: use an array map")
        self._stack_used = used
        return Slot(-used, size)

    def put(self, slot: Slot, value: Reg | int) -> None:
        """Writes a register or number into a slot of 1, 2, 4 or 8 bytes."""
        self.store(R10, slot.offset, value, slot.size)

    def get(self, dst: Reg, slot: Slot) -> None:
        """Dst = a slot of 1, 2, 4 or 8 bytes, zero-extended."""
        self.load(dst, R10, slot.offset, slot.size)

    def address(self, dst: Reg, slot: Slot) -> None:
        """Dst = address of the slot."""
        self.mov(dst, R10)
        self.alu("+=", dst, slot.offset)

    # The context, helpers, the end.

    def field(self, dst: Reg, context: Reg, field: Field) -> None:
        """Dst = a field of the program's context, as in `a.field(R2, R6, Skb.protocol)`."""
        self.load(dst, context, field.offset, field.size)

    def call(self, helper: Helper | int, *arguments: Reg | int | str | Slot) -> None:
        """R0 = helper(arguments); R1-R5 are undefined afterwards.

        An argument is a register, a number, a Slot (its address) or a map's name. Without arguments, R1-R5
        stay as the caller has set them.
        """
        for number, argument in enumerate(arguments):
            target = Reg(R1 + number)
            if target > R5:
                raise AssemblyError(f"{helper!r}: a helper takes five arguments at most")
            if isinstance(argument, Slot):
                self.address(target, argument)
            elif isinstance(argument, str):
                self.map_fd(target, argument)
            elif not isinstance(argument, Reg):
                self.mov(target, argument)
            elif R1 <= argument < target:
                message = f"{helper!r}: argument {number + 1} is {argument!r}, overwritten by an earlier one"
                raise AssemblyError(message)
            elif argument != target:
                self.mov(target, argument)
        self.call_helper(helper)

    def ret(self, value: Reg | int) -> None:
        """Returns `value`."""
        if value != R0 or not isinstance(value, Reg):
            self.mov(R0, value)
        self.exit()

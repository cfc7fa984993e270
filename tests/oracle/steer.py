"""Frames made for a filter: its classic BPF is run on noise, and at each test the bytes tested are changed.

So frames reach every corner of a filter, its last test and both sides of each bound, where captured ones stop
at the first. What the filter says of such a frame is left to the judges.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from meshlens.filters.pcap import CbpfInsn, matches

__all__ = ["steered"]

MASK32 = 0xFFFFFFFF
SIZES = {0x00: 4, 0x08: 2, 0x10: 1}
MAX_STEPS, MAX_BYTES, MAX_TRIES = 3000, 3400, 3000


class Value(NamedTuple):
    """A number, and the bytes it came from if it is still them (or some of their bits)."""

    number: int
    at: int = 0
    size: int = 0
    mask: int = MASK32


def steered(program: Sequence[CbpfInsn], rng: random.Random, count: int) -> list[bytes]:
    """`count` frames on which `program` goes ways that chance decides, mostly past what would refuse them.

    One of them matches unless that is hard to hit.
    """
    frames = [bytes(_Run(program, rng).frame()) for _ in range(count)]
    if not any(matches(program, frame) for frame in frames):
        more = (bytes(_Run(program, rng).frame()) for _ in range(MAX_TRIES))
        frames += [next((frame for frame in more if matches(program, frame)), b"")]
    return frames


class _Run:
    def __init__(self, program: Sequence[CbpfInsn], rng: random.Random) -> None:
        self.program, self.rng = program, rng
        self.data = bytearray(rng.choice((60, 100, 200, 600)))
        if rng.random() < 0.3:
            self.data[:] = rng.randbytes(len(self.data))
        self.a = self.x = Value(0)
        self.memory: dict[int, Value] = {}

    def frame(self) -> bytearray:
        pc = 0
        for _ in range(MAX_STEPS):
            code, jt, jf, k = self.program[pc]
            pc += 1
            match code & 7:
                case 0:
                    if (value := self.load(code, k)) is None:
                        break
                    self.a = value
                case 1:
                    if (value := self.load(code, k)) is None:
                        break
                    self.x = value
                case 2:
                    self.memory[k] = self.a
                case 3:
                    self.memory[k] = self.x
                case 4:
                    if not self.calculate(code & 0xF0, self.x.number if code & 8 else k):
                        break
                case 5 if code & 0xF0 == 0:
                    pc += k - (1 << 32 if k >> 31 else 0)
                case 5:
                    pc += jt if self.decide(code & 0xF0, self.x.number if code & 8 else k, pc, jt, jf) else jf
                case 6:
                    break
                case 7 if code & 0x80:
                    self.a = self.x
                case 7:
                    self.x = self.a
        return self.data

    def load(self, code: int, k: int) -> Value | None:
        mode = code & 0xE0
        if mode == 0x00:
            return Value(k)
        if mode == 0x60:
            return self.memory.get(k, Value(0))
        if mode == 0x80:
            return Value(len(self.data), -1)
        if mode == 0xA0:
            if not self.reach(k, 1):
                return None
            if self.rng.random() < 0.7:
                self.data[k] = 0x40 | self.rng.choice((5, 5, 5, 6, 8, 15))
            return Value((self.data[k] & 0xF) * 4)
        at, size = k + (self.x.number if mode == 0x40 else 0), SIZES[code & 0x18]
        if not self.reach(at, size):
            return None
        return Value(int.from_bytes(self.data[at : at + size]), at, size)

    def reach(self, at: int, size: int) -> bool:
        """Whether the frame has these bytes, made longer for them if need be and chance will."""
        if len(self.data) < at + size <= MAX_BYTES and self.rng.random() < 0.9:
            self.data += bytes(at + size - len(self.data) + self.rng.choice((0, 0, 1, 40)))
        return len(self.data) >= at + size

    def calculate(self, op: int, number: int) -> bool:
        a = self.a
        if op in (0x30, 0x90) and number == 0:
            return False
        result = {
            0x00: lambda: a.number + number,
            0x10: lambda: a.number - number,
            0x20: lambda: a.number * number,
            0x30: lambda: a.number // number,
            0x40: lambda: a.number | number,
            0x50: lambda: a.number & number,
            0x60: lambda: a.number << number if number < 32 else 0,
            0x70: lambda: a.number >> number if number < 32 else 0,
            0x80: lambda: -a.number,
            0x90: lambda: a.number % number,
            0xA0: lambda: a.number ^ number,
        }[op]()
        self.a = a._replace(number=result, mask=a.mask & number) if op == 0x50 else Value(result & MASK32)
        return True

    def decide(self, op: int, number: int, pc: int, jt: int, jf: int) -> bool:
        """Change what is tested, then test."""
        refuses = [
            self.program[pc + jump][:1] == (0x06,) and self.program[pc + jump].k == 0 for jump in (jt, jf)
        ]
        wanted = self.rng.random() < (0.5 if refuses[0] == refuses[1] else 0.1 if refuses[0] else 0.9)
        self.change(op, number, wanted)
        a = self.a.number
        return {0x10: a == number, 0x20: a > number, 0x30: a >= number, 0x40: bool(a & number)}[op]

    def change(self, op: int, number: int, wanted: bool) -> None:
        """Make the test come out as wanted, just so if it is about an order."""
        edge = {
            (0x10, True): number,
            (0x10, False): number ^ (1 << self.rng.randrange(8)),
            (0x20, True): number + 1,
            (0x20, False): number,
            (0x30, True): number,
            (0x30, False): number - 1,
            (0x40, True): number & -number if self.rng.random() < 0.5 else number,
            (0x40, False): 0,
        }[op, wanted]
        value = edge & MASK32
        if op == 0x40:  # no other bits than those that are tested
            self.a = self.a._replace(mask=self.a.mask & number)
        if self.a.at == -1 and 0 <= value <= MAX_BYTES:
            self.data[:] = self.data[:value] + bytes(max(0, value - len(self.data)))
            self.a = Value(len(self.data), -1)
        elif self.a.size:
            _, at, size, mask = self.a
            old = int.from_bytes(self.data[at : at + size])
            new = (old & ~mask | value & mask) & (1 << 8 * size) - 1
            self.data[at : at + size] = new.to_bytes(size)
            self.a = Value(new & mask, at, size, mask)

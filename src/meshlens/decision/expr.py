"""What a test looks at: expressions over a frame, made once and compared by identity.

Values are unsigned 32-bit numbers with the arithmetic of classic BPF, since that is what libpcap
compiles to. The lower-case constructors intern: two calls with the same arguments return the same
object, so that graphs share what they have in common and look things up by identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

__all__ = [
    "ARITHMETIC",
    "COMPARISONS",
    "MAX_VALUE",
    "Alu",
    "Cell",
    "Compare",
    "Const",
    "Entry",
    "Expr",
    "Length",
    "Load",
    "Meta",
    "Room",
    "Space",
    "alu",
    "cell",
    "compare",
    "const",
    "entry",
    "leaves",
    "length",
    "load",
    "meta",
    "room",
]

MAX_VALUE: Final = 0xFFFFFFFF


class Space(IntEnum):
    """Which bytes a load counts from: the frame on the wire, or the frame inside its batman-adv header."""

    OUTER = 0
    INNER = 1


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A number."""

    value: int

    def __str__(self) -> str:
        return f"{self.value:#x}" if self.value > 9 else str(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Load:
    """`size` bytes, big-endian, at `offset` plus the value of `index`; only looked at behind a Room test."""

    space: Space
    index: "Expr | None"
    offset: int
    size: int

    def __str__(self) -> str:
        where = f"{self.index} + {self.offset}" if self.index else str(self.offset)
        width = "" if self.size == 1 else f":{self.size}"
        return f"{self.space.name.lower()}[{where}{width}]"


@dataclass(frozen=True, slots=True, eq=False)
class Alu:
    """`left op right`, 32 bits wide; `op` is a key of ARITHMETIC."""

    op: str
    left: "Expr"
    right: "Expr"

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """`left op right` as 0 or 1, where both sides depend on the frame; `op` is a key of COMPARISONS."""

    op: str
    left: "Expr"
    right: "Expr"

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """Captured bytes from `index` (without one: from the start) to the end of the frame; never negative."""

    space: Space
    index: "Expr | None"

    def __str__(self) -> str:
        return f"room({self.space.name.lower()}{f', {self.index}' if self.index else ''})"


@dataclass(frozen=True, slots=True, eq=False)
class Length:
    """The frame's length on the wire, for `len`, `greater` and `less`."""

    space: Space

    def __str__(self) -> str:
        return f"length({self.space.name.lower()})"


@dataclass(frozen=True, slots=True, eq=False)
class Meta:
    """What the hook knows and the bytes do not: `direction` (0 in, 1 out) or `ifindex`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """1, always: the step into the inner frame, which begins `offset` bytes into the outer one."""

    offset: "Expr"

    def __str__(self) -> str:
        return f"enter({self.offset})"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """The number at `position` of a row, where the graph decides about a row instead of a frame."""

    position: int

    def __str__(self) -> str:
        return f"row[{self.position}]"


Expr = Const | Load | Alu | Compare | Room | Length | Meta | Entry | Cell

const = cache(Const)
load = cache(Load)
room = cache(Room)
length = cache(Length)
meta = cache(Meta)
entry = cache(Entry)
cell = cache(Cell)
compare = cache(Compare)
_alu = cache(Alu)

# bpf_validate() and the interpreter in libpcap's bpf_filter.c: unsigned, wrapping, over-wide shifts give 0.
ARITHMETIC: Final[dict[str, Callable[[int, int], int]]] = {
    "+": lambda a, b: (a + b) & MAX_VALUE,
    "-": lambda a, b: (a - b) & MAX_VALUE,
    "*": lambda a, b: (a * b) & MAX_VALUE,
    "/": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: (a << b) & MAX_VALUE if b < 32 else 0,
    ">>": lambda a, b: a >> b if b < 32 else 0,
}

COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": lambda a, b: a == b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

_IDENTITIES: Final = {
    ("+", 0),
    ("-", 0),
    ("|", 0),
    ("^", 0),
    ("<<", 0),
    (">>", 0),
    ("*", 1),
    ("/", 1),
    ("&", MAX_VALUE),
}


def alu(op: str, left: Expr, right: Expr) -> Expr:
    """`left op right`, folded where both are numbers or the operation changes nothing."""
    if isinstance(right, Const):
        if isinstance(left, Const):
            return const(ARITHMETIC[op](left.value, right.value))
        if (op, right.value) in _IDENTITIES:
            return left
    return _alu(op, left, right)


def leaves(expr: Expr) -> list[Expr]:
    """The parts of `expr` that are not made of other parts, from left to right."""
    match expr:
        case Alu(_, left, right) | Compare(_, left, right):
            return leaves(left) + leaves(right)
        case Load(_, index, _, _) | Room(_, index) if index is not None:
            return [expr, *leaves(index)]
        case _:
            return [expr]


@cache
def space_of(expr: Expr) -> Space:
    """INNER for an expression that any part of the inner frame must be known for."""
    if isinstance(expr, Entry):
        return Space.INNER
    return max(
        (part.space for part in leaves(expr) if isinstance(part, Load | Room | Length)), default=Space.OUTER
    )


@cache
def rank(expr: Expr) -> tuple[int, int, int]:
    """Where `expr` comes in the order of tests.

    The outer frame first, then fixed offsets in the frame's order, offsets that depend on the frame, the
    length, the hook: what many filters share comes early, what splits every path comes last.
    """
    if isinstance(expr, Entry):
        return (Space.INNER, 0, -1)
    kinds = {Length: 2, Meta: 3}
    worst = (0, 0, 0)
    for part in leaves(expr):
        if isinstance(part, Load | Room):
            offset = part.offset if isinstance(part, Load) else 0
            worst = max(worst, (space_of(part), 0 if part.index is None else 1, offset))
        elif not isinstance(part, Const):
            worst = max(worst, (space_of(part), kinds[type(part)], 0))
    return worst

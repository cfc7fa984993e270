"""Symbolic execution of classic BPF: from libpcap's instructions to a decision diagram.

Instruction set and semantics: bpf(4) and bpf_filter.c of libpcap. A program is a graph over (pc, A, X,
scratch memory), each an expression over the frame. Only `protochain` jumps backwards, for each header of the
chain; that loop is unrolled.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from meshlens.decision.diagram import Diagram, Verdict, interval
from meshlens.decision.expr import (
    MAX_VALUE,
    Const,
    Expr,
    Room,
    Space,
    alu,
    compare,
    const,
    length,
    load,
    meta,
    room,
)
from meshlens.filters.markers import MARK_INNER, MARK_META
from meshlens.filters.pcap import CbpfInsn

__all__ = ["diagram_of"]

_CLASS_MASK: Final = 0x07
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
_MODE_MASK: Final = 0xE0
_IMM, _ABS, _IND, _MEM, _LEN, _MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
_SIZES: Final = {0x00: 4, 0x08: 2, 0x10: 1}
_ALU_OPS: Final = {
    0x00: "+",
    0x10: "-",
    0x20: "*",
    0x30: "/",
    0x40: "|",
    0x50: "&",
    0x60: "<<",
    0x70: ">>",
    0x90: "%",
    0xA0: "^",
}
_NEG: Final = 0x80
_SOURCE_X: Final = 0x08
_JA, _JEQ, _JGT, _JGE, _JSET = 0x00, 0x10, 0x20, 0x30, 0x40
_JUMPS: Final = {_JEQ: "==", _JGT: ">", _JGE: ">="}
_RET_A: Final = 0x10
_TXA: Final = 0x80

#: So many headers of a chain are followed; a frame with more ends like one that is too short. Where a header
#: stands depends on all before it, so the program grows with the power of this.
_MAX_ROUNDS: Final = 4
_NEGATIVE: Final = 1 << 31

# The hook's knowledge that a marked load stands for.
_META_MARKS: Final = {MARK_META: "direction", MARK_META + 4: "ifindex"}


class _State(NamedTuple):
    """Where execution stands. `known_room` is what earlier loads on the path proved to be there."""

    pc: int
    a: Expr
    x: Expr
    memory: frozenset[tuple[int, Expr]]
    known_room: frozenset[tuple[Room, int]]
    rounds: int = 0


class _Branch(NamedTuple):
    expr: Expr
    lo: int
    hi: int
    yes: "_State | Verdict"
    no: "_State | Verdict"


def diagram_of(program: Iterable[CbpfInsn], space: Space = Space.OUTER, *, marked: bool = True) -> Diagram:
    """The decisions that `program` makes about a frame.

    With Space.INNER the program is about the inner frame. A marked load (see `markers`) becomes the `Meta`
    named `direction`, `ifindex`, or `part0`, `part1`, ... for the pieces that were cut out of the expression;
    unless nothing is `marked`, and the offset means what it says.
    """
    machine = _Machine(tuple(program), space, marked)
    zero = const(0)
    return machine.decide(_State(0, zero, zero, frozenset(), frozenset()))


class _Machine:
    def __init__(self, program: tuple[CbpfInsn, ...], space: Space, marked: bool) -> None:
        self.program, self.space, self.marked = program, space, marked

    def decide(self, start: _State) -> Diagram:
        done: dict[_State | Verdict, Diagram] = {verdict: verdict for verdict in Verdict}
        steps: dict[_State, _Branch | Verdict] = {}
        stack: list[_State] = [start]
        while stack:
            state = stack[-1]
            if state in done:
                stack.pop()
                continue
            step = steps.get(state)
            if step is None:
                step = steps[state] = self.run(state) if state.rounds <= _MAX_ROUNDS else Verdict.ABORT
            if isinstance(step, Verdict):
                done[state] = step
                continue
            missing = [after for after in (step.yes, step.no) if after not in done]
            if missing:
                stack += [after for after in missing if not isinstance(after, Verdict)]
                continue
            done[state] = interval(step.expr, step.lo, step.hi, done[step.yes], done[step.no])
        return done[start]

    def run(self, state: _State) -> _Branch | Verdict:
        """Execute up to the next decision."""
        pc, a, x, memory, known_room, rounds = state
        while True:
            code, jt, jf, k = self.program[pc]
            pc += 1
            match code & _CLASS_MASK:
                case 0x00 | 0x01 as kind:  # LD, LDX
                    mode = code & _MODE_MASK
                    if mode in (_IMM, _LEN):
                        value: Expr = const(k) if mode == _IMM else length(self.space)
                    elif mode == _MEM:
                        value = dict(memory).get(k, const(0))
                    else:
                        value, needed = self.load(code, k, x)
                        if needed and dict(known_room).get(needed[0], 0) < needed[1]:
                            # Come back to this instruction knowing that the bytes are there.
                            roomy = frozenset({**dict(known_room), needed[0]: needed[1]}.items())
                            again = _State(pc - 1, a, x, memory, roomy, rounds)
                            return _Branch(needed[0], needed[1], MAX_VALUE, again, Verdict.ABORT)
                    a, x = (value, x) if kind == _LD else (a, value)
                case 0x02 | 0x03 as kind:  # ST, STX
                    memory = frozenset({**dict(memory), k: a if kind == _ST else x}.items())
                case 0x04:  # ALU
                    op = code & 0xF0
                    operand = x if code & _SOURCE_X else const(k)
                    if op == _NEG:
                        a = alu("-", const(0), a)
                        continue
                    if _ALU_OPS[op] in "/%" and not isinstance(operand, Const):
                        # bpf_filter() rejects the frame on a division by zero: decide that first.
                        return _Branch(
                            operand,
                            0,
                            0,
                            Verdict.ABORT,
                            _State(pc, alu(_ALU_OPS[op], a, operand), x, memory, known_room, rounds),
                        )
                    a = alu(_ALU_OPS[op], a, operand)
                case 0x05:  # JMP
                    op = code & 0xF0
                    if op == _JA:
                        backwards = k >= _NEGATIVE
                        pc, rounds = pc + k - 2 * _NEGATIVE * backwards, rounds + backwards
                        continue
                    taken = _State(pc + jt, a, x, memory, known_room, rounds)
                    other = _State(pc + jf, a, x, memory, known_room, rounds)
                    outcome = _jump(op, a, x if code & _SOURCE_X else const(k), taken, other)
                    if isinstance(outcome, _State):
                        pc = outcome.pc
                        continue
                    return outcome
                case 0x06:  # RET
                    if (code & 0x18) == _RET_A:
                        return _Branch(a, 0, 0, Verdict.NO, Verdict.MATCH)
                    return Verdict.MATCH if k else Verdict.NO
                case _:  # MISC: TAX, TXA
                    a, x = (x, x) if code & _TXA else (a, a)

    def load(self, code: int, k: int, x: Expr) -> tuple[Expr, tuple[Room, int] | None]:
        """What a load from the frame yields, and the room that it needs."""
        mode = code & _MODE_MASK
        if mode == _MSH:  # four times the low nibble: the length of an IPv4 header
            low_nibble = alu("&", load(self.space, None, k, 1), const(0xF))
            return alu("<<", low_nibble, const(2)), (room(self.space, None), k + 1)
        size = _SIZES[code & 0x18]
        if self.marked and mode == _ABS and k in _META_MARKS:
            return meta(_META_MARKS[k]), None
        if self.marked and mode == _ABS and MARK_INNER <= k < MARK_META:
            return meta(f"part{k - MARK_INNER}"), None
        index = None
        if mode == _IND:
            if isinstance(x, Const):
                k += x.value
            else:
                index = x
        return load(self.space, index, k, size), (room(self.space, index), k + size)


def _jump(op: int, a: Expr, operand: Expr, taken: _State, other: _State) -> _Branch | _State:
    """The decision of a conditional jump, as an interval test; a state where it is no decision."""
    if taken.pc == other.pc:
        return taken
    if op == _JSET:
        a, operand, op, taken, other = alu("&", a, operand), const(0), _JEQ, other, taken
    if not isinstance(operand, Const):
        return _Branch(compare(_JUMPS[op], a, operand), 1, 1, taken, other)
    value = operand.value
    lo, hi = {_JEQ: (value, value), _JGT: (value + 1, MAX_VALUE), _JGE: (value, MAX_VALUE)}[op]
    if isinstance(a, Const):
        return taken if lo <= a.value <= hi else other
    if lo > hi:
        return other
    if (lo, hi) == (0, MAX_VALUE):
        return taken
    return _Branch(a, lo, hi, taken, other)

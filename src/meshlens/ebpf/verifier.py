"""When the verifier says no: which instruction, in whose words, and what usually helps."""

import re
from typing import NamedTuple

from meshlens.ebpf.assembler import Code
from meshlens.ebpf.disassembly import instruction_text
from meshlens.errors import MeshlensError

__all__ = ["VerifierError"]

_LOG_LINES_SHOWN = 12
_INSNS_BEFORE = 3

# The verifier's words (kernel/bpf/verifier.c; check_cfg for the first of them) and what usually helps.
_HINTS: tuple[tuple[str, str], ...] = (
    ("unreachable insn",
     "no path leads here: remove the code, or a jump is missing"),
    ("back-edge|infinite loop",
     "a jump goes backwards: unroll the loop"),
    ("jump out of range|last insn is not",
     "the program runs off its end: finish every path with exit()"),
    ("!read_ok|invalid indirect read|invalid read from stack|uninit",
     "this register or stack slot was never written on this path; calls leave R1-R5 undefined"),
    ("outside of the packet|invalid access to packet",
     "compare the end of the access with data_end before, on every path"),
    ("outside of the allowed memory range|invalid access to map value|value is outside",
     "compare the offset with a constant (unsigned) before using it"),
    ("unbounded m|unbounded variable|pointer arithmetic|prohibits|invalid variable",
     "mask or bound the number with a constant before adding it to a pointer"),
    (r"mem access '\w*or_null'|possibly NULL",
     "compare the pointer with 0 first: a lookup may find nothing"),
    ("invalid mem access|expected=",
     "the register holds a number or another kind of pointer: check what it was loaded from"),
    ("stack.*off|stack size|stack of",
     "a program's stack is 512 bytes, from R10-512 to R10-1"),
    ("sequence of .* jumps",
     "a path may leave 8192 conditional jumps undecided: make long chains of tests a tree"),
    ("too large|too complex|too many",
     "the verifier gave up on the number of paths: let paths join, or split the program"),
    ("[Uu]nreleased reference|reference.*leak",
     "release what a helper acquired on every path: submit or discard a ring buffer record"),
    ("GPL",
     "this helper needs a GPL-compatible licence: license='Dual MIT/GPL'"),
    ("unknown func|cannot use helper|not allowed in|invalid func",
     "this kernel, or this type of program, does not have the helper"),
    ("At program exit|R0.*should have been",
     "this type of program may not return that value"),
    ("context access",
     "this field of the context does not exist for this type of program, or has another size"),
    ("misaligned",
     "the access has to be aligned to its size"),
)  # fmt: skip

_STATISTICS = ("processed ", "verification time", "stack depth", "mark_precise:", "insns processed")
_INSN_LINE = re.compile(r"(\d+): \([0-9a-f]{2}\) ")
_STATE_LINE = re.compile(r"(from \d+ to )?\d+: (R\d|\(|safe|frame)|; ")
_INSN_NAMED = re.compile(r"insn (\d+)|at (\d+)$")


class VerifierError(MeshlensError):
    """The kernel refused a program.

    The message is one line; `report` adds the instructions around and the end of the verifier's log, and is
    what a traceback shows. `slot` and `block` are None if the verifier names no instruction; `log` is all.
    """

    def __init__(self, program: str, code: Code, log: str) -> None:
        self.program, self.log = program, log
        lines = [line for line in log.splitlines() if line and not line.startswith(_STATISTICS)]
        finding = _find(lines)
        self.reason = finding.reason
        self.slot = finding.slot if finding.slot is not None and finding.slot < len(code.insns) else None
        self.block = None if self.slot is None else _block(code, self.slot)
        self.hint = next((hint for pattern, hint in _HINTS if re.search(pattern, self.reason)), None)
        self._log_tail = lines[-_LOG_LINES_SHOWN:]
        self._around = () if self.slot is None else tuple(_around(code, self.slot))
        super().__init__(self._headline(code))
        self.add_note(self.report)

    def _headline(self, code: Code) -> str:
        where = ""
        if self.slot is not None:
            where = f" at instruction {self.slot}, {instruction_text(code, self.slot)!r}"
            where += f" in {self.block!r}" if self.block else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"the kernel refuses program {self.program!r}{where}: {self.reason}{hint}"

    @property
    def report(self) -> str:
        """Several lines for a person: where, why, what may help, and the verifier's last words."""
        parts = [f"in {self.block!r}:"] if self.block else []
        parts += [*self._around, f"reason: {self.reason}"]
        parts += [f"hint: {self.hint}"] if self.hint else []
        return "\n".join([*parts, "end of the verifier's log:", *(f"  {line}" for line in self._log_tail)])


class _Finding(NamedTuple):
    slot: int | None
    reason: str


def _find(lines: list[str]) -> _Finding:
    """Which instruction the log ends at, and what is said after it."""
    last, slot = -1, None
    for number, line in enumerate(lines):
        if match := _INSN_LINE.match(line):
            last, slot = number, int(match[1])
    said = [line for line in lines[last + 1 :] if not _STATE_LINE.match(line)]
    reason = "; ".join(said[-2:]) or (lines[-1] if lines else "no reason given")
    if slot is None and (match := _INSN_NAMED.search(reason)):
        slot = int(match[1] or match[2])
    return _Finding(slot, reason)


def _block(code: Code, slot: int) -> str | None:
    return next((name for start, name in reversed(code.blocks) if start <= slot), None)


def _around(code: Code, slot: int) -> list[str]:
    """The refused instruction, marked, and the few before it."""
    return [
        f"{'>' if at == slot else ' '}{at:6}: {instruction_text(code, at)}"
        for at in range(max(0, slot - _INSNS_BEFORE), slot + 1)
        if code.insns[at].opcode
    ]

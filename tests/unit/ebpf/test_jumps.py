"""Jumps land where their labels stand, however far: programs run the same with and without islands."""

from hypothesis import given
from hypothesis import strategies as st

from meshlens.ebpf.insn import EXIT, JA, JMP
from meshlens.ebpf.jumps import Slot, resolve

MARK, BRANCH = 0xB7, JMP | 0x10  # "mov" with a number that tells slots apart, and a conditional jump


def trace(insns: list[Slot], choices: list[bool]) -> list[int]:
    """The first instructions run when `choices` decide conditional jumps in turn; relays have no number."""
    seen: list[int] = []
    at = decided = 0
    while at < len(insns) and len(seen) < 300:
        opcode, _, _, offset, imm = insns[at]
        if imm:
            seen.append(imm)
        if opcode == EXIT:
            break
        if opcode == BRANCH:
            decided += 1
        if opcode == JA or (opcode == BRANCH and choices[decided % len(choices)]):
            at += offset
        at += 1
    return seen


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Slot], list[tuple[int, str | int]], dict[str | int, int]]:
    kinds = draw(
        st.lists(st.sampled_from([MARK, MARK, MARK, BRANCH, BRANCH, JA, EXIT]), min_size=1, max_size=400)
    )
    insns: list[Slot] = [(kind, 0, 0, 0, number) for number, kind in enumerate(kinds, 1)]
    jumps: list[tuple[int, str | int]] = []
    labels: dict[str | int, int] = {}
    for slot, kind in enumerate(kinds):
        if kind in (BRANCH, JA):
            jumps.append((slot, slot))
            labels[slot] = draw(st.integers(0, len(kinds)))
    return insns, jumps, labels


@given(programs(), st.lists(st.booleans(), min_size=1, max_size=20), st.integers(0, 3))
def test_islands_change_no_path(program: tuple, choices: list[bool], narrow: int) -> None:  # type: ignore[type-arg]
    insns, jumps, labels = program
    backward = len({labels[label] for slot, label in jumps if labels[label] <= slot})
    reach = 40 + 2 * backward + narrow  # relays of backward targets have to fit the reach
    near, _ = resolve(insns, jumps, labels, reach=1000)
    far, moved = resolve(insns, jumps, labels, reach=reach)
    assert all(-reach - 1 <= insn[3] <= reach for insn in far)
    assert trace(far, choices) == trace(near, choices)
    assert [far[moved(slot)][:3] for slot in range(len(insns))] == [insn[:3] for insn in insns]


def test_a_jump_over_a_hundred_thousand_instructions_takes_relays_within_reach() -> None:
    body: list[Slot] = [(MARK, 0, 0, 0, 1)] * 100_000
    far, _ = resolve([(BRANCH, 0, 0, 0, 0), *body, (EXIT, 0, 0, 0, 0)], [(0, "end")], {"end": 100_001})
    assert trace(far, [True]) == []
    assert len(far) == 100_002 + 2 * 3, "three relays, each stepped over by one jump"


def test_an_island_behind_an_unconditional_jump_costs_the_straight_path_nothing() -> None:
    insns: list[Slot] = [(BRANCH, 0, 0, 0, 0)]
    for _ in range(5000):
        insns += [(MARK, 0, 0, 0, 1)] * 10 + [(JA, 0, 0, 0, 0)]
    next_ones = [slot for slot, insn in enumerate(insns) if insn[0] == JA]
    jumps: list[tuple[int, str | int]] = [(0, "end"), *((slot, slot) for slot in next_ones)]
    labels: dict[str | int, int] = {"end": len(insns), **{slot: slot + 1 for slot in next_ones}}
    far, _ = resolve([*insns, (EXIT, 0, 0, 0, 0)], jumps, labels)
    assert len(far) == len(insns) + 1 + 2, "two relays, no jump over them"

"""From labels to offsets.

A jump's offset has 16 bits, a program up to a million instructions. Where a jump does not reach, it goes to a
relay: an unconditional jump on an *island* between, put where the code before it does not fall through (else
it costs one more jump to step over). Linux 6.6 has a jump of 32 bits, but we also run on older kernels.
"""

from collections.abc import Callable, Mapping, Sequence

from meshlens.ebpf.insn import EXIT, JA, JUMP_REACH

__all__ = ["Label", "Slot", "resolve"]

Label = str | int
Slot = tuple[int, int, int, int, int]


def resolve(
    insns: Sequence[Slot],
    jumps: Sequence[tuple[int, Label]],
    labels: Mapping[Label, int],
    reach: int = JUMP_REACH,
) -> tuple[list[Slot], Callable[[int], int]]:
    """The instructions with jump offsets filled in, and the function that says where an old slot went.

    `jumps` are (slot, label) in the order of slots; `labels` say before which slot a label stands.
    """
    targets = {slot: labels[label] for slot, label in jumps}
    if all(-reach <= target - slot - 1 <= reach for slot, target in targets.items()):
        resolved = list(insns)
        for slot, target in targets.items():
            resolved[slot] = _with_offset(insns[slot], target - slot - 1)
        return resolved, int
    layout = _Layout(insns, targets, reach)
    layout.run()
    return layout.out, layout.moved.__getitem__


def _with_offset(insn: Slot, offset: int) -> Slot:
    return (insn[0], insn[1], insn[2], offset, insn[4])


class _Layout:
    """One pass over the code that leaves relays for whatever would soon be out of reach.

    Both dictionaries are ordered by age, the oldest place first: an entry that gets a relay goes to the end.
    Since no two jumps share a slot, relaying in that order keeps all in reach however long the island gets.
    """

    def __init__(self, insns: Sequence[Slot], targets: Mapping[int, int], reach: int) -> None:
        self.insns, self.targets, self.reach = insns, targets, reach
        self.out: list[Slot] = []
        self.moved: list[int] = []
        self.waiting: dict[int, list[int]] = {}
        """Target still to come -> the places in `out` that jump to it."""
        self.behind: dict[int, int] = {}
        """Target that later code jumps back to -> its latest place in `out`, itself or a relay."""
        self.last_jump_back = {target: slot for slot, target in sorted(targets.items()) if target <= slot}

    def run(self) -> None:
        wide_tail = False  # the second slot of a 64-bit immediate stays with the first
        for slot, insn in enumerate(self.insns):
            if not wide_tail:
                self._island_if_due()
            self._place(slot)
            target = self.targets.get(slot)
            if target is not None:
                insn = self._jump(slot, insn, target)  # noqa: PLW2901
            self.out.append(insn)
            wide_tail = insn[0] == 0x18
        self._place(len(self.insns))

    def _place(self, slot: int) -> None:
        here = len(self.out)
        self.moved.append(here)
        for jump in self.waiting.pop(slot, ()):
            self.out[jump] = _with_offset(self.out[jump], here - jump - 1)
        if slot in self.last_jump_back:
            self.behind[slot] = here

    def _jump(self, slot: int, insn: Slot, target: int) -> Slot:
        here = len(self.out)
        if target > slot:
            self.waiting.setdefault(target, []).append(here)
            return insn
        offset = self.behind[target] - here - 1
        if self.last_jump_back[target] == slot:
            del self.behind[target]
        return _with_offset(insn, offset)

    def _island_if_due(self) -> None:
        here = len(self.out)
        age = here - min(next(iter(self.waiting.values()), [here])[0], next(iter(self.behind.values()), here))
        falls_through = not self.out or self.out[-1][0] not in (JA, EXIT)
        margin = (
            len(self.behind) + 4
        )  # the step over, a 64-bit immediate, and relays of both kinds side by side
        if age > (self.reach - margin if falls_through else self.reach * 3 // 4):
            self._island(falls_through)

    def _island(self, falls_through: bool) -> None:
        oldest_kept = len(self.out) - self.reach // 2
        due: list[tuple[int, int]] = [(jumps[0], target) for target, jumps in self.waiting.items()]
        due += [(place, target) for target, place in self.behind.items()]
        due = sorted(entry for entry in due if entry[0] < oldest_kept)
        if falls_through:
            self.out.append((JA, 0, 0, len(due), 0))
        for _, target in due:
            here = len(self.out)
            if target in self.waiting:
                for jump in self.waiting.pop(target):
                    self.out[jump] = _with_offset(self.out[jump], here - jump - 1)
                self.waiting[target] = [here]
                self.out.append((JA, 0, 0, 0, 0))
            else:
                self.out.append((JA, 0, 0, self.behind.pop(target) - here - 1, 0))
                self.behind[target] = here

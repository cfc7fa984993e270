"""What a compiled list costs and contains, before it is attached anywhere."""

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import Final

from meshlens.decision.graph import topological
from meshlens.ebpf import ProgramSpec
from meshlens.ebpf.emulate import Emulator
from meshlens.ebpf.insn import CALL, EXIT, JA, JMP, JMP32, LD_IMM64
from meshlens.filters.compiler import CompiledList
from meshlens.packet.mesh import overhead_mix, payload_mix
from meshlens.probes.count.program import Hook, count_program
from meshlens.probes.count.readout import PAIR_BYTES

__all__ = ["Explanation", "explain", "longest_path"]

#: The frames whose paths are measured, by kind of the generated mixes.
_TYPICAL: Final = {
    "ARP request": "client/arp-request",
    "OGM": "iv_ogm",
    "ARP request in a batman-adv broadcast": "bcast/arp-request",
    "mDNS in a batman-adv broadcast": "bcast/mdns-query",
    "TCP payload": "client/tcp",
    "TCP payload in batman-adv unicast": "unicast/tcp",
}


@dataclass(frozen=True)
class Explanation:
    """The graph and the program of a list; sizes in nodes, instructions and bytes.

    `paths` are instructions executed for a typical frame of each kind, `longest_path` the most that any frame
    can execute (helpers not looked into). `never` are filters that no frame matches, `same` groups of filters
    that match the same frames.
    """

    filters: int
    graphs: int
    outer_nodes: int
    inner_nodes: int
    rows: int
    slots: int
    marks: bool
    instructions: int
    counter_bytes_per_cpu: int
    longest_path: int
    paths: dict[str, int]
    never: tuple[str, ...]
    same: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, object]:
        """The fields, for json.dumps()."""
        return asdict(self)

    def to_text(self) -> str:
        """A page for a person."""
        inner = f"{self.inner_nodes} inner in {self.rows} places"
        end = "by marks on the way (the filters cross too much for classes)" if self.marks else "by classes"
        lines = [
            f"filters                 {self.filters}",
            f"decision graphs         {self.graphs}, counting {end}",
            f"nodes                   {self.outer_nodes} outer, {inner}",
            f"counters                {self.slots} slots, {self.counter_bytes_per_cpu} bytes a CPU",
            f"program                 {self.instructions} instructions",
            f"longest path            {self.longest_path} instructions",
            "instructions executed",
            *(f"  {count:>5}  {kind}" for kind, count in self.paths.items()),
        ]
        if self.never:
            lines += ["can never match", *(f"  {name}" for name in self.never)]
        if self.same:
            lines += ["match the same frames", *(f"  {' = '.join(names)}" for names in self.same)]
        return "\n".join(lines) + "\n"


def explain(compiled: CompiledList, hook: Hook = "tc") -> Explanation:
    """Look at a list's graphs and its program for `hook`; needs no privilege."""
    spec = count_program(compiled, hook, None if hook == "socket" else "in")
    parts = [
        [topological(part) if part else [] for part in (graph.outer, graph.inner)]
        for graph in compiled.graphs
    ]
    never, same = _redundant(compiled)
    slots = len(compiled.matches)
    return Explanation(
        filters=len(compiled.filters),
        graphs=len(compiled.graphs),
        outer_nodes=sum(len(outer) for outer, _ in parts),
        inner_nodes=sum(len(inner) for _, inner in parts),
        rows=sum(graph.rows for graph in compiled.graphs),
        slots=slots,
        marks=any(graph.marks for graph in compiled.graphs),
        instructions=len(spec.insns),
        counter_bytes_per_cpu=PAIR_BYTES * slots,
        longest_path=longest_path(spec),
        paths=_typical_paths(spec),
        never=never,
        same=same,
    )


def _redundant(compiled: CompiledList) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Filters that no slot counts for, and those that all the same slots count for."""
    by_slots: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for definition, slots in zip(compiled.filters, compiled.slots_of, strict=True):
        by_slots[slots].append(definition.id)
    never = tuple(by_slots.pop((), ()))
    return never, tuple(tuple(names) for names in by_slots.values() if len(names) > 1)


def _typical_paths(spec: ProgramSpec) -> dict[str, int]:
    frames = {frame.kind: frame.data for frame in (*payload_mix(100), *overhead_mix(200))}
    emulator = Emulator(spec)
    return {name: emulator.run(frames[kind]).executed for name, kind in _TYPICAL.items()}


def longest_path(spec: ProgramSpec) -> int:
    """The most instructions that any path through the program executes; it has no loops."""
    insns = spec.insns
    longest = [0] * (len(insns) + 1)
    for slot in range(len(insns) - 1, -1, -1):
        insn = insns[slot]
        after = [slot + (2 if insn.opcode == LD_IMM64 else 1)]
        if insn.opcode == EXIT:
            after = [len(insns)]
        elif insn.opcode == JA:
            after = [slot + 1 + insn.offset]
        elif insn.opcode & 7 in (JMP, JMP32) and insn.opcode != CALL:
            after.append(slot + 1 + insn.offset)
        longest[slot] = 1 + max(longest[target] for target in after)
    return longest[0]

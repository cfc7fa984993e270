"""Several programs at one place: each ends with a tail call of the next.

An interface takes one XDP program. Where two probes are to see its frames there, the first one is made with
`chained`, attached, and told the second:

    first.maps[NEXT].update(0, second.fileno())

The map has to stay open: the kernel empties it with its last descriptor (prog_array_map_clear()). A program
without a next one returns its own verdict.
"""

from typing import Final

from meshlens.ebpf import R1, R2, R3, R6, Asm, Helper, MapSpec, MapType

__all__ = ["NEXT", "emit_verdict", "next_map"]

#: The name of the map with the next program.
NEXT: Final = "next"


def next_map() -> dict[str, MapSpec]:
    """The map that a chained program needs, of its own."""
    return {NEXT: MapSpec(NEXT, MapType.PROG_ARRAY, key_size=4, value_size=4, max_entries=1)}


def emit_verdict(asm: Asm, verdict: int, *, chained: bool) -> None:
    """Return the verdict, but if `chained` go on with the next program if there is one. R6 is the context."""
    if chained:
        asm.mov(R1, R6)
        asm.map_fd(R2, NEXT)
        asm.mov(R3, 0)
        asm.call(Helper.tail_call)
    asm.ret(verdict)

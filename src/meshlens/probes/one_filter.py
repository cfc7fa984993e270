"""The one filter of a probe, as code in front of its program."""

from typing import Final, Literal

from meshlens.decision.access import BufferedAccess, DirectAccess
from meshlens.decision.codegen import GraphLabels, emit_graph
from meshlens.ebpf import Asm
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.filters.compiler import CompiledList
from meshlens.probes.snapshot import Direction

__all__ = ["NoMarks", "emit_filter"]

_ELSEWHERE: Final = "elsewhere"


def emit_filter(
    asm: Asm,
    compiled: CompiledList,
    direction: Direction | None,
    *,
    out: str,
    unreadable: str,
    hook: Literal["tc", "xdp", "socket"] = "tc",
) -> None:
    """Go `out` with the frame in R6 if the filter does not match it; `compiled` is the list of that filter.

    Leaves R6 alone, and the stack from -32 to -80. The program needs decision.access.buffer_map(),
    except at XDP.
    """
    way = 0 if direction == "in" else 1
    (graph,) = compiled.graphs
    labels = GraphLabels(0, "matched", out)
    if hook != "socket":
        context, elsewhere = (Skb, _ELSEWHERE) if hook == "tc" else (Xdp, None)
        direct = DirectAccess(asm, context, way, elsewhere=elsewhere, lost=unreadable)
        asm.block("filter")
        emit_graph(asm, graph, direct, labels, NoMarks())
    if hook != "xdp":
        asm.block("filter, from a copy")
        asm.label(_ELSEWHERE)
        emit_graph(asm, graph, BufferedAccess(asm, way, unreadable=unreadable), labels, NoMarks())
    asm.label("matched")


class NoMarks:
    """One filter has one class of frames: nothing is marked on the way to the verdict."""

    def row(self) -> None:
        raise AssertionError("one filter has no rows")

    def mark(self, slots: tuple[int, ...], once: tuple[int, ...]) -> None:
        raise AssertionError("one filter needs no marks")

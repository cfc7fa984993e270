"""The part of a program at a hook that has the headers of the outer frame read."""

from meshlens.ebpf import R1, R6, R7, R8, R10, Asm
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.dissect import FACTS, TTL, Dissection
from meshlens.probes.stations.frame import Frame
from meshlens.probes.stations.protocols import IS_VLAN

__all__ = ["emit_headers"]


def emit_headers(
    asm: Asm, frame: Frame, direction: Direction, *, done: str, unreadable: str, places: bool = False
) -> None:
    """Dissect the frame in R6, once more if not all headers are in packet memory; see Dissection."""
    asm.block("dissect")
    _emit_once(asm, frame, direction, done, unreadable, frame.short, places=places)
    if frame.short:
        asm.block("dissect what was not linear")
        asm.label(frame.short)
        frame.pull()
        _emit_once(asm, frame, direction, done, unreadable, None, places=places)


def _emit_once(
    asm: Asm,
    frame: Frame,
    direction: Direction,
    done: str,
    unreadable: str,
    short: str | None,
    *,
    places: bool,
) -> None:
    asm.field(R7, R6, frame.context.data_end)
    asm.field(R8, R6, frame.context.data)
    frame.tag(R1)
    asm.alu("<<=", R1, IS_VLAN.bit_length() - 1)
    asm.store(R10, FACTS, R1, 4)
    asm.store(R10, TTL, 0, 4)
    Dissection(
        asm, direction, frame.context, done=done, unreadable=unreadable, short=short, places=places
    ).emit()

"""The part of the station program that keeps the first DHCP request and the first TCP SYN of a station."""

from meshlens.ebpf import R0, R1, R3, R7, R8, R9, R10, Asm
from meshlens.probes.stations.dissect import KEY, TTL
from meshlens.probes.stations.entry import emit_lookup, emit_new
from meshlens.probes.stations.frame import Frame
from meshlens.probes.stations.layout import BLANK_FIRST, DHCP, FIRST_BYTES, FIRST_DATA, FIRSTS, SYN
from meshlens.probes.stations.packet import BOOTP_BYTES, SYN_BYTES, UDP_BYTES
from meshlens.probes.stations.protocols import IS_DHCP

__all__ = ["emit_first"]


def emit_first(asm: Asm, frame: Frame, done: str) -> None:
    """Keep bytes of the packet whose transport header stands at offset R8, of facts R1; then go to `done`.

    Clobbers R7 to R9.
    """
    with asm.if_(R1, "&", IS_DHCP):
        _emit_keep(asm, frame, DHCP, UDP_BYTES + BOOTP_BYTES, FIRST_BYTES, done)
    _emit_keep(asm, frame, SYN, 0, SYN_BYTES, done)


def _emit_keep(asm: Asm, frame: Frame, which: int, offset: int, most: int, done: str) -> None:
    """Keep up to `most` bytes from `offset` behind R8 on, unless there are some already."""
    asm.store(R10, KEY + 6, which, 2)
    emit_lookup(asm, FIRSTS)
    asm.jump_if(R0, "!=", 0, done)
    asm.alu("+=", R8, offset)
    frame.length(R9)
    asm.alu("-=", R9, R8)
    asm.jump_if(R9, "s<=", 0, done)
    with asm.if_(R9, ">", most):
        asm.mov(R9, most)
    emit_new(asm, FIRSTS, BLANK_FIRST)
    asm.jump_if(R0, "!=", 0, done)
    emit_lookup(asm, FIRSTS)
    asm.jump_if(R0, "==", 0, done)
    asm.mov(R7, R0)
    asm.mov(R3, R0)
    asm.alu("+=", R3, FIRST_DATA)
    frame.copy(done)
    asm.load(R1, R10, TTL, 4)
    asm.store(R7, 4, R1, 4)
    asm.store(R7, 0, R9, 4)  # last: without a size there is nothing to be read
    asm.jump(done)

"""The part of the program that walks through options, byte by byte; `options` is its definition.

Where the walk is stands in a map, not in registers: so the verifier, which does not follow values through
maps, finds every turn of the loop like the one before, and checks each byte once.
"""

from collections.abc import Callable

from meshlens.classify.ethernet_station import options
from meshlens.classify.ethernet_station.layout import (
    BEHIND,
    BUFFER,
    CODE,
    EXPECTS_LENGTH,
    LEFT,
    SCRATCH,
    SCRATCH_BYTES,
    offset,
)
from meshlens.classify.ethernet_station.row import emit_header
from meshlens.classify.kernel.entry import emit_cpu_part
from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Helper, Reg
from meshlens.ebpf.contexts import Skb
from meshlens.probes.stations.packet import BOOTP_BYTES, UDP_BYTES

__all__ = ["emit_dhcp", "emit_syn"]


def emit_dhcp(asm: Asm, done: str) -> None:
    """The options of the DHCP request behind BEHIND, for the row R7. Clobbers all but R6 and R7."""
    _emit_bytes(asm, UDP_BYTES + BOOTP_BYTES, options.DHCP_BYTES, done)
    asm.jump_if(R5, "<", options.DHCP.begin, done)
    asm.load(R1, R9, 0, 4)
    asm.to_be(R1, 32)
    asm.ld_imm64(R2, options.MAGIC)
    asm.jump_if(R1, "!=", R2, done)

    def lengths(code: Reg, length: Reg) -> None:
        _emit_mix(asm, "dhcp_options", code)
        for number, name in ((options.VENDOR, "dhcp_vendor_bytes"), (options.NAME, "dhcp_name_bytes")):
            with asm.if_(code, "==", number):
                asm.store(R7, offset(name), length, 4)

    def values(code: Reg, byte: Reg) -> None:
        for number, name in ((options.ASKED, "dhcp_asked"), (options.VENDOR, "dhcp_vendor")):
            with asm.if_(code, "==", number):
                _emit_mix(asm, name, byte)
        with asm.if_(code, "==", options.TYPE):
            asm.store(R7, offset("dhcp_type"), byte, 4)

    _emit_walk(asm, options.DHCP, options.DHCP_BYTES, lengths, values)


def emit_syn(asm: Asm, done: str) -> None:
    """The options of the SYN at BEHIND, for the row R7. Clobbers all but R6 and R7."""
    asm.load(R8, R10, BEHIND, 8)
    emit_header(asm, R8, options.TCP.begin, done)
    asm.load(R1, R10, BUFFER + 14, 2)
    asm.to_be(R1, 16)
    asm.store(R7, offset("syn_window"), R1, 4)
    _emit_bytes(asm, 0, options.TCP_BYTES, done)
    asm.load(R1, R10, BUFFER + 12, 1)
    asm.alu(">>=", R1, 4)
    asm.alu("<<=", R1, 2)
    with asm.if_(R5, ">", R1):
        asm.mov(R5, R1)

    def lengths(code: Reg, _: Reg) -> None:
        _emit_mix(asm, "syn_options", code)

    def values(code: Reg, byte: Reg) -> None:
        with asm.if_(code, "==", options.MSS):
            asm.load(R4, R7, offset("syn_mss"), 4)
            asm.alu("<<=", R4, 8)
            asm.alu("|=", R4, byte)
            asm.alu("&=", R4, 0xFFFF)
            asm.store(R7, offset("syn_mss"), R4, 4)
        with asm.if_(code, "==", options.SCALE):
            asm.alu("+=", byte, 1)
            asm.store(R7, offset("syn_scale"), byte, 4)

    _emit_walk(asm, options.TCP, options.TCP_BYTES, lengths, values)


def _emit_bytes(asm: Asm, begin: int, most: int, done: str) -> None:
    """R9 = scratch with the R5 bytes, `most` at most, from BEHIND + `begin` on; goes `done` without any."""
    emit_cpu_part(asm, SCRATCH, SCRATCH_BYTES)
    asm.mov(R9, R0)
    asm.load(R2, R10, BEHIND, 8)
    asm.alu("+=", R2, begin)
    asm.field(R8, R6, Skb.len)
    asm.alu("-=", R8, R2)
    asm.jump_if(R8, "s<=", 0, done)
    with asm.if_(R8, ">", most):
        asm.mov(R8, most)
    asm.mov(R1, R6)
    asm.mov(R3, R9)
    asm.mov(R4, R8)
    asm.call(Helper.skb_load_bytes)
    asm.jump_if(R0, "!=", 0, done)
    for place in (LEFT, EXPECTS_LENGTH):
        asm.store(R9, place, 0, 8)
    asm.mov(R5, R8)


def _emit_walk(
    asm: Asm,
    walk: options.Walk,
    most: int,
    lengths: Callable[[Reg, Reg], None],
    values: Callable[[Reg, Reg], None],
) -> None:
    """Go through the R5 bytes at R9; `lengths` is placed where an option begins, `values` at bytes of one.

    They get registers with the code and the length or the byte, and may clobber these and R4.
    """
    again, following, value, length, end = (asm.new_label() for _ in range(5))
    asm.mov(R8, walk.begin)
    asm.label(again)
    asm.jump_if(R8, ">=", most, end)
    asm.jump_if(R8, ">=", R5, end)
    asm.mov(R2, R9)
    asm.alu("+=", R2, R8)
    asm.load(R1, R2, 0, 1)
    asm.load(R3, R9, CODE, 8)
    asm.load(R2, R9, LEFT, 8)
    asm.jump_if(R2, "!=", 0, value)
    asm.load(R2, R9, EXPECTS_LENGTH, 8)
    asm.jump_if(R2, "!=", 0, length)
    asm.jump_if(R1, "==", walk.ends, end)
    asm.jump_if(R1, "==", walk.pads, following)
    asm.store(R9, CODE, R1, 8)
    asm.store(R9, EXPECTS_LENGTH, 1, 8)
    asm.jump(following)
    asm.label(length)
    asm.jump_if(R1, "<", walk.header, end)
    asm.store(R9, EXPECTS_LENGTH, 0, 8)
    asm.alu("-=", R1, walk.header)
    asm.store(R9, LEFT, R1, 8)
    lengths(R3, R1)
    asm.jump(following)
    asm.label(value)
    asm.alu("-=", R2, 1)
    asm.store(R9, LEFT, R2, 8)
    values(R3, R1)
    asm.label(following)
    asm.alu("+=", R8, 1)
    asm.jump(again)
    asm.label(end)


def _emit_mix(asm: Asm, name: str, byte: Reg) -> None:
    """See `options.mix`. Clobbers R4."""
    asm.load(R4, R7, offset(name), 4)
    asm.alu("*=", R4, options.FACTOR)
    asm.alu("+=", R4, byte)
    asm.alu("+=", R4, 1)
    asm.alu("&=", R4, options.HASH_MASK)
    asm.store(R7, offset(name), R4, 4)

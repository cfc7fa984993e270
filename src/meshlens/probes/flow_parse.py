"""The part of the flow program that finds a frame's key; `flow_packet` is its definition, in Python.

It reads the linear part of the skb. A frame whose headers go on beyond it is read a second time after
bpf_skb_pull_data(), which moves bytes of the skb but changes none.
"""

from typing import Final

from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Asm, Helper
from meshlens.ebpf.contexts import Skb
from meshlens.probes.flow_packet import (
    AH,
    EXTENSION_HEADERS,
    FRAGMENT,
    IPV4,
    IPV6,
    MAX_EXTENSIONS,
    MAX_TAGS,
    TAGS,
    TCP,
    WITH_PORTS,
)

__all__ = ["KEY", "emit_parse"]

#: Where the key stands on the stack; see flow_layout.
KEY: Final = -40
_A, _B, _A_PORT, _B_PORT, _PROTOCOL, _VERSION = KEY, KEY + 16, KEY + 32, KEY + 34, KEY + 36, KEY + 37

#: As many bytes as headers reasonably take: Ethernet, tags, IPv6 with extensions, TCP.
_PULLED_BYTES: Final = 256
#: What follows an IPv6 header mostly (TCP, UDP, ICMPv6): no extension headers to look for.
_COMMON: Final = (6, 17, 58)


def emit_parse(asm: Asm) -> None:
    """The key of the skb in R6, except the CPU, to the stack; R8 = 0 from a to b, else 1; R9 = TCP flags.

    Goes to `not_ip` and `unreadable`. Clobbers R0 to R5 and R7.
    """
    asm.block("parse")
    _Pass(asm, pulled=False).emit()
    asm.block("parse what was not linear")
    _emit_pull(asm)
    _Pass(asm, pulled=True).emit()
    asm.block("order the ends")
    asm.label("parsed")
    _emit_order(asm)


def _emit_pull(asm: Asm) -> None:
    few, linear = asm.new_label(), asm.new_label()
    asm.label("short")
    asm.field(R1, R6, Skb.data)
    asm.field(R2, R6, Skb.data_end)
    asm.alu("-=", R2, R1)
    asm.mov(R1, R2)
    asm.field(R2, R6, Skb.len)
    asm.jump_if(R1, ">=", R2, linear)
    asm.jump_if(R2, "<=", _PULLED_BYTES, few)
    asm.mov(R2, _PULLED_BYTES)
    asm.label(few)
    asm.call(Helper.skb_pull_data, R6, R2)
    asm.label(linear)


class _Pass:
    """R8 goes along the headers, R7 is where the bytes end; R0 is the protocol that follows."""

    def __init__(self, asm: Asm, *, pulled: bool) -> None:
        self.asm, self.pulled = asm, pulled
        self.ipv4, self.transport, self.without_ports = (asm.new_label() for _ in range(3))

    def emit(self) -> None:
        """To `parsed` with R4, R5 = source and destination port, R9 = TCP flags."""
        asm = self.asm
        asm.field(R7, R6, Skb.data_end)
        asm.field(R8, R6, Skb.data)
        self.ethernet()
        self.read_ipv6()
        asm.label(self.ipv4)
        self.read_ipv4()
        asm.label(self.transport)
        self.read_ports()
        asm.label(self.without_ports)
        asm.store(R10, _PROTOCOL, R0, 1)
        for register in (R4, R5, R9):
            asm.mov(register, 0)
        asm.jump("parsed")

    def need(self, size: int, otherwise: str) -> None:
        """Go to `otherwise` unless there are `size` bytes; but try to get them first."""
        self.asm.mov(R1, R8)
        self.asm.alu("+=", R1, size)
        self.asm.jump_if(R1, ">", R7, otherwise if self.pulled else "short")

    def ethernet(self) -> None:
        asm = self.asm
        self.need(14, "unreadable")
        asm.load(R0, R8, 12, 2)
        asm.to_be(R0, 16)
        asm.alu("+=", R8, 14)
        for _ in range(MAX_TAGS):
            tagged, untagged = asm.new_label(), asm.new_label()
            for ethertype in TAGS:
                asm.jump_if(R0, "==", ethertype, tagged)
            asm.jump(untagged)
            asm.label(tagged)
            self.need(4, "unreadable")
            asm.load(R0, R8, 2, 2)
            asm.to_be(R0, 16)
            asm.alu("+=", R8, 4)
            asm.label(untagged)
        asm.jump_if(R0, "==", IPV4, self.ipv4)
        asm.jump_if(R0, "!=", IPV6, "not_ip")

    def read_ipv4(self) -> None:
        asm = self.asm
        self.need(20, "unreadable")
        self.version(4)
        asm.alu("&=", R2, 0xF)
        asm.alu("<<=", R2, 2)
        asm.jump_if(R2, "<", 20, "unreadable")
        for end, offset in ((_A, 12), (_B, 16)):
            asm.load(R1, R8, offset, 4)
            asm.store(R10, end, R1, 4)
            asm.store(R10, end + 4, 0, 4)
            asm.store(R10, end + 8, 0, 8)
        asm.load(R0, R8, 9, 1)
        asm.load(R1, R8, 6, 2)
        asm.to_be(R1, 16)
        asm.jump_if(R1, "&", 0x1FFF, self.without_ports)
        asm.alu("+=", R8, R2)

    def read_ipv6(self) -> None:
        asm = self.asm
        self.need(40, "unreadable")
        self.version(6)
        for word in range(4):
            for half in (0, 4):  # packet memory may be aligned to 4 bytes only
                asm.load(R1, R8, 8 + 8 * word + half, 4)
                asm.store(R10, _A + 8 * word + half, R1, 4)
        asm.load(R0, R8, 6, 1)
        asm.alu("+=", R8, 40)
        for protocol in _COMMON:
            asm.jump_if(R0, "==", protocol, self.transport)
        for _ in range(MAX_EXTENSIONS):
            self.extension()
        asm.jump(self.transport)

    def version(self, expected: int) -> None:
        """R2 = the first byte of the header, which has to begin with the version."""
        asm = self.asm
        asm.load(R2, R8, 0, 1)
        asm.mov(R1, R2)
        asm.alu(">>=", R1, 4)
        asm.jump_if(R1, "!=", expected, "unreadable")
        asm.store(R10, _VERSION, expected, 1)

    def extension(self) -> None:
        """Pass over one extension header, R0 its number; or go to the transport header."""
        asm = self.asm
        usual, fragment, sized = (asm.new_label() for _ in range(3))
        for number in EXTENSION_HEADERS:
            asm.jump_if(R0, "==", number, usual)
        asm.jump_if(R0, "==", FRAGMENT, fragment)
        asm.jump_if(R0, "!=", AH, self.transport)
        self.need(8, self.without_ports)
        asm.load(R2, R8, 1, 1)
        asm.alu("+=", R2, 2)
        asm.alu("<<=", R2, 2)
        asm.jump(sized)
        asm.label(fragment)
        self.need(8, self.without_ports)
        asm.load(R1, R8, 2, 2)
        asm.to_be(R1, 16)
        asm.mov(R2, 8)
        asm.jump_if(R1, "<=", 7, sized)  # the offset stands above three bits of flags
        asm.load(R0, R8, 0, 1)
        asm.jump(self.without_ports)
        asm.label(usual)
        self.need(8, self.without_ports)
        asm.load(R2, R8, 1, 1)
        asm.alu("+=", R2, 1)
        asm.alu("<<=", R2, 3)
        asm.label(sized)
        asm.load(R0, R8, 0, 1)
        asm.alu("+=", R8, R2)

    def read_ports(self) -> None:
        asm = self.asm
        ports = asm.new_label()
        for protocol in WITH_PORTS:
            asm.jump_if(R0, "==", protocol, ports)
        asm.jump(self.without_ports)
        asm.label(ports)
        self.need(4, self.without_ports)
        asm.store(R10, _PROTOCOL, R0, 1)
        asm.load(R4, R8, 0, 2)
        asm.load(R5, R8, 2, 2)
        asm.mov(R9, 0)
        asm.jump_if(R0, "!=", TCP, "parsed")
        self.need(14, "parsed")
        asm.load(R9, R8, 13, 1)
        asm.jump("parsed")


def _emit_order(asm: Asm) -> None:
    """Let a be the lesser end, and R8 tell which way the packet goes; see flow_layout.canonical."""
    swap, ordered = asm.new_label(), asm.new_label()
    asm.mov(R8, 0)
    for half in (0, 8):
        asm.load(R2, R10, _A + half, 8)
        asm.load(R3, R10, _B + half, 8)
        asm.jump_if(R2, "<", R3, ordered)
        asm.jump_if(R2, ">", R3, swap)
    asm.jump_if(R4, "<=", R5, ordered)
    asm.label(swap)
    asm.mov(R8, 1)
    for half in (0, 8):
        asm.load(R2, R10, _A + half, 8)
        asm.load(R3, R10, _B + half, 8)
        asm.store(R10, _A + half, R3, 8)
        asm.store(R10, _B + half, R2, 8)
    for one, other in ((R2, R4), (R4, R5), (R5, R2)):
        asm.mov(one, other)
    asm.label(ordered)
    asm.store(R10, _A_PORT, R4, 2)
    asm.store(R10, _B_PORT, R5, 2)

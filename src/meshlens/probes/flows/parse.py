"""The part of the flow program that finds a frame's key; `flows.packet` is its definition, in Python."""

from typing import Final, Literal

from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R8, R9, R10, Asm
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.packet.batadv import (
    ETHERTYPE_BATADV,
    PACKET_TYPES,
    AfterHeader,
    AfterTvlvs,
    HeadFragmentByContent,
    HeadFragmentByFlag,
    PacketType,
)
from meshlens.probes.flows.bytes import CopiedBytes, HeaderBytes, PacketBytes, emit_pull
from meshlens.probes.flows.layout import IN_BATADV
from meshlens.probes.flows.packet import (
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

#: Where the key stands on the stack; see `layout`.
KEY: Final = -40
_A, _B, _A_PORT, _B_PORT, _PROTOCOL, _VERSION = KEY, KEY + 16, KEY + 32, KEY + 34, KEY + 36, KEY + 37

#: What follows an IPv6 header mostly (TCP, UDP, ICMPv6): no extension headers to look for.
_COMMON: Final = (6, 17, 58)


def emit_parse(
    asm: Asm, hook: Literal["tc", "xdp", "socket"], headers: tuple[int, int] | None = None
) -> None:
    """The key of the frame in R6, except the CPU, to the stack; R8 = 0 from a to b, else 1; R9 = TCP flags.

    `headers`: places on the stack, 8 bytes each, for where the IP header begins and where the ports stand (0
    without ports), at hook tc. Goes to `not_ip` and `unreadable`. Clobbers R0 to R5 and R7.
    """
    asm.block("parse")
    match hook:
        case "xdp":
            _Parser(asm, PacketBytes(asm, Xdp)).emit()
        case "socket":
            _Parser(asm, CopiedBytes(asm, "unreadable")).emit()
        case "tc":
            if headers:
                asm.store(R10, headers[1], 0, 8)
            _Parser(asm, PacketBytes(asm, Skb, "short"), headers).emit()
            asm.block("parse what was not linear")
            asm.label("short")
            emit_pull(asm)
            _Parser(asm, PacketBytes(asm, Skb), headers).emit()
    asm.block("order the ends")
    asm.label("parsed")
    _emit_order(asm)


class _Parser:
    """R8 goes along the headers; R0 is the protocol that follows, R9 what the packet is inside of."""

    def __init__(self, asm: Asm, frame: HeaderBytes, headers: tuple[int, int] | None = None) -> None:
        self.headers = headers
        self.asm, self.need, self.load, self.begin = asm, frame.need, frame.load, frame.begin
        self.settle = frame.settle
        names = ("ipv4", "ipv6", "transport", "without_ports", "inner")
        self.ipv4, self.ipv6, self.transport, self.without_ports, self.inner = (
            asm.new_label() for _ in names
        )

    def emit(self) -> None:
        """To `parsed` with R4, R5 = source and destination port, R9 = TCP flags."""
        asm = self.asm
        self.begin()
        asm.mov(R9, 0)
        self.ethernet()
        asm.jump_if(R0, "!=", ETHERTYPE_BATADV, "not_ip")
        asm.mov(R9, IN_BATADV)
        self.batadv()
        asm.label(self.inner)
        self.ethernet()
        asm.jump("not_ip")
        asm.label(self.ipv6)
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

    def ethernet(self) -> None:
        """R8 behind the Ethernet header; on with IP, or R0 = another ethertype."""
        asm = self.asm
        self.need(14, "unreadable")
        self.load(R0, 12, 2)
        asm.to_be(R0, 16)
        asm.alu("+=", R8, 14)
        asm.jump_if(R0, "==", IPV4, self.ipv4)
        for _ in range(MAX_TAGS):
            tagged, untagged = asm.new_label(), asm.new_label()
            for ethertype in TAGS:
                asm.jump_if(R0, "==", ethertype, tagged)
            asm.jump(untagged)
            asm.label(tagged)
            self.need(4, "unreadable")
            self.load(R0, 2, 2)
            asm.to_be(R0, 16)
            asm.alu("+=", R8, 4)
            asm.label(untagged)
        asm.jump_if(R0, "==", IPV4, self.ipv4)
        asm.jump_if(R0, "==", IPV6, self.ipv6)

    def batadv(self) -> None:
        """R8 at the inner frame of the batman-adv packet at R8."""
        asm = self.asm
        self.need(2, "not_ip")
        self.load(R0, 0, 2)
        asm.to_be(R0, 16)
        for version, kinds in PACKET_TYPES.items():
            for kind in kinds:
                if kind.inner is not None:
                    with asm.if_(R0, "==", kind.number << 8 | version):
                        self.enter(kind)
        asm.jump("not_ip")

    def enter(self, kind: PacketType) -> None:
        """On with the inner frame of a packet of this type, by packet.batadv's rule."""
        asm, size = self.asm, kind.header_bytes
        match kind.inner:
            case AfterTvlvs(length_offset, max_bytes):
                self.need(length_offset + 2, "not_ip")
                self.load(R2, length_offset, 2)
                asm.to_be(R2, 16)
                asm.jump_if(R2, ">", max_bytes, "not_ip")
                asm.alu("+=", R8, R2)
            case HeadFragmentByFlag(flag_offset, mask):
                head = asm.new_label()
                self.need(flag_offset + 1, "not_ip")
                self.load(R2, flag_offset, 1)
                asm.jump_if(R2, "&", mask, head)
                asm.jump("not_ip")
                asm.label(head)
            case HeadFragmentByContent(nested):
                self.need(size + 2, "not_ip")
                self.load(R2, size, 2)
                asm.to_be(R2, 16)
                for number, version, nested_bytes in nested:
                    with asm.if_(R2, "==", number << 8 | version):
                        asm.alu("+=", R8, size + nested_bytes)
                        asm.jump(self.inner)
                asm.jump("not_ip")
                return
            case AfterHeader():
                pass
        asm.alu("+=", R8, size)
        asm.jump(self.inner)

    def read_ipv4(self) -> None:
        asm = self.asm
        self.need(20, "unreadable")
        self.note(0)
        self.version(4)
        asm.alu("&=", R2, 0xF)
        asm.alu("<<=", R2, 2)
        asm.jump_if(R2, "<", 20, "unreadable")
        for end, offset in ((_A, 12), (_B, 16)):
            self.load(R1, offset, 4)
            asm.store(R10, end, R1, 4)
            asm.store(R10, end + 4, 0, 4)
            asm.store(R10, end + 8, 0, 8)
        self.load(R0, 9, 1)
        self.load(R1, 6, 2)
        asm.to_be(R1, 16)
        asm.jump_if(R1, "&", 0x1FFF, self.without_ports)
        asm.alu("+=", R8, R2)

    def read_ipv6(self) -> None:
        asm = self.asm
        self.need(40, "unreadable")
        self.note(0)
        self.version(6)
        for word in range(4):
            for half in (0, 4):  # packet memory may be aligned to 4 bytes only
                self.load(R1, 8 + 8 * word + half, 4)
                asm.store(R10, _A + 8 * word + half, R1, 4)
        self.load(R0, 6, 1)
        asm.alu("+=", R8, 40)
        for protocol in _COMMON:
            asm.jump_if(R0, "==", protocol, self.transport)
        for _ in range(MAX_EXTENSIONS):
            self.extension()
        asm.jump(self.transport)

    def note(self, header: int) -> None:
        """Where R8 is in the frame, to the place for this header. Clobbers R1 and R2."""
        if self.headers:
            asm = self.asm
            asm.field(R1, R6, Skb.data)
            asm.mov(R2, R8)
            asm.alu("-=", R2, R1)
            asm.store(R10, self.headers[header], R2, 8)

    def version(self, expected: int) -> None:
        """R2 = the first byte of the header, which has to begin with the version."""
        asm = self.asm
        self.load(R2, 0, 1)
        asm.mov(R1, R2)
        asm.alu(">>=", R1, 4)
        asm.jump_if(R1, "!=", expected, "unreadable")
        asm.alu("|=", R1, R9)
        asm.store(R10, _VERSION, R1, 1)

    def extension(self) -> None:
        """Pass over one extension header, R0 its number; or go to the transport header."""
        asm = self.asm
        usual, fragment, sized = (asm.new_label() for _ in range(3))
        for number in EXTENSION_HEADERS:
            asm.jump_if(R0, "==", number, usual)
        asm.jump_if(R0, "==", FRAGMENT, fragment)
        asm.jump_if(R0, "!=", AH, self.transport)
        self.need(8, self.without_ports)
        self.load(R2, 1, 1)
        asm.alu("+=", R2, 2)
        asm.alu("<<=", R2, 2)
        asm.jump(sized)
        asm.label(fragment)
        self.need(8, self.without_ports)
        self.load(R1, 2, 2)
        asm.to_be(R1, 16)
        asm.mov(R2, 8)
        asm.jump_if(R1, "<=", 7, sized)  # the offset stands above three bits of flags
        self.load(R0, 0, 1)
        asm.jump(self.without_ports)
        asm.label(usual)
        self.need(8, self.without_ports)
        self.load(R2, 1, 1)
        asm.alu("+=", R2, 1)
        asm.alu("<<=", R2, 3)
        asm.label(sized)
        self.load(R0, 0, 1)
        asm.alu("+=", R8, R2)
        self.settle(self.without_ports)

    def read_ports(self) -> None:
        asm = self.asm
        ports = asm.new_label()
        for protocol in WITH_PORTS:
            asm.jump_if(R0, "==", protocol, ports)
        asm.jump(self.without_ports)
        asm.label(ports)
        self.need(4, self.without_ports)
        self.note(1)
        asm.store(R10, _PROTOCOL, R0, 1)
        self.load(R4, 0, 2)
        self.load(R5, 2, 2)
        asm.mov(R9, 0)
        asm.jump_if(R0, "!=", TCP, "parsed")
        self.need(14, "parsed")
        self.load(R9, 13, 1)
        asm.jump("parsed")


def _emit_order(asm: Asm) -> None:
    """Let a be the lesser end, and R8 tell which way the packet goes; see `layout.canonical`."""
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

"""The part of the station program that reads headers; `stations.packet` is its definition, in Python.

R6 is the context and R7 where packet memory ends. R8 goes along the headers; R9 becomes the class. The
verifier follows every path: what would be a different constant on each comes from a table instead.
"""

from typing import Final

from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R8, R9, R10, Asm, Reg
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.packet.batadv import ETHERTYPE_BATADV
from meshlens.probes.flows.packet import (
    AH,
    EXTENSION_HEADERS,
    FRAGMENT,
    IPV4,
    IPV6,
    MAX_EXTENSIONS,
    MAX_TAGS,
    TAGS,
)
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.packet import DHCP_PORTS, ETHERNET_BYTES, LLC_BELOW, TCP_BYTES
from meshlens.probes.stations.protocols import (
    ETHERTYPE_CLASSES,
    HAS_PORTS,
    ICMP6,
    IPV4_CLASS,
    IPV6_CLASS,
    IS_DAD,
    IS_DHCP,
    IS_SYN,
    IS_VLAN,
    LLC_CLASS,
    NEIGHBOUR_SOLICITATION,
    OTHER_CLASS,
)
from meshlens.probes.stations.tables import (
    CLASS_ITSELF,
    ICMP6_TYPES,
    PROTOCOLS,
    SERVICE_PORTS,
    SERVICES,
    TABLES,
)

__all__ = [
    "CAST",
    "FACTS",
    "IP_AT",
    "KEY",
    "LINEAR_BYTES",
    "TTL",
    "Dissection",
    "emit_address",
    "emit_table",
]

#: The stack: the key of the map, whose first bytes are the address; then the IP header, the facts, the TTL of
#: a packet that is kept, and 8 times the cast.
KEY: Final = -8
_IP, FACTS, TTL, CAST = -64, -72, -68, -80
#: Where the IP header begins, if `places` are asked for.
IP_AT: Final = -112

#: As many bytes as headers reasonably take, those inside batman-adv included.
LINEAR_BYTES: Final = 256
#: Pointers beyond are not allowed (MAX_PACKET_OFF, kernel/bpf/verifier.c); no frame is that long.
_MAX_OFFSET: Final = 0xFF00
_TCP, _UDP = 6, 17
_SYN, _SYN_ACK = 0x02, 0x12
#: What follows an IPv6 header mostly: no extension headers to look for.
_COMMON: Final = (_TCP, _UDP, ICMP6)


def emit_table(asm: Asm, register: Reg, table: int, scratch: Reg) -> None:
    """Register = the byte of a table that it is the index of."""
    asm.map_value(scratch, TABLES, table)
    asm.alu("+=", scratch, register)
    asm.load(register, scratch, 0, 1)


def emit_address(asm: Asm, offset: int) -> None:
    """KEY = the address at R8 + `offset`; packet memory may be aligned to 2 bytes only. Clobbers R1."""
    for begin in (0, 2, 4):
        asm.load(R1, R8, offset + begin, 2)
        asm.store(R10, KEY + begin, R1, 2)


def emit_is_equal(asm: Asm, register: Reg, number: int) -> None:
    """Register = 1 if it is the number, else 0: without branches, it is one path to the verifier."""
    asm.alu("^=", register, number)
    asm.alu("-=", register, 1)
    asm.alu(">>=", register, 63)


class Dissection:
    """The code that reads one Ethernet frame at R8, to `done`; the address goes to KEY, then FACTS and CAST.

    Goes to `unreadable` if there is no Ethernet header. `short` is where to go with a frame whose bytes are
    not all linear; None: what is not linear is not there. FACTS holds facts already. `places`: IP_AT tells
    where the IP header begins, 0 if there is none that is whole, and HAS_PORTS whether R8 is at ports.
    """

    def __init__(
        self,
        asm: Asm,
        direction: Direction,
        context: type[Skb] | type[Xdp],
        *,
        done: str,
        unreadable: str,
        short: str | None,
        places: bool = False,
    ) -> None:
        self.asm, self.direction, self.context = asm, direction, context
        self.done, self.unreadable, self.short, self.places = done, unreadable, short, places
        self.ipv4, self.behind_ipv6, self.transport, self.plain, self.service = (
            asm.new_label() for _ in range(5)
        )

    def emit(self) -> None:
        asm = self.asm
        if self.places:
            asm.store(R10, IP_AT, 0, 8)
        self.need(ETHERNET_BYTES, self.unreadable)
        self.addresses()
        self.ethertype()
        self.read_ipv6()
        asm.label(self.ipv4)
        self.read_ipv4()
        asm.label(self.transport)
        self.read_transport()

    def need(self, size: int, otherwise: str) -> None:
        """Go to `otherwise` unless there are `size` bytes; but try to get them first. Clobbers R1."""
        self.asm.mov(R1, R8)
        self.asm.alu("+=", R1, size)
        self.asm.jump_if(R1, ">", R7, self.short or otherwise)

    def be16(self, register: Reg, offset: int) -> None:
        self.asm.load(register, R8, offset, 2)
        self.asm.to_be(register, 16)

    def note(self, bits: Reg | int) -> None:
        """Note facts. Clobbers R2."""
        self.asm.load(R2, R10, FACTS, 4)
        self.asm.alu("|=", R2, bits)
        self.asm.store(R10, FACTS, R2, 4)

    def note_if_equal(self, register: Reg, number: int, fact: int) -> None:
        """Note the fact if the register is the number. Clobbers both."""
        emit_is_equal(self.asm, register, number)
        self.asm.alu("<<=", register, fact.bit_length() - 1)
        self.note(register)

    def note_ip(self) -> None:
        """R8 is at an IP header. Clobbers R1 and R3."""
        if self.places:
            self.asm.mov(R1, R8)
            self.asm.field(R3, R6, self.context.data)
            self.asm.alu("-=", R1, R3)
            self.asm.store(R10, IP_AT, R1, 8)

    def note_ports(self) -> None:
        """R8 is at a transport header with ports. Clobbers R2."""
        if self.places:
            self.note(HAS_PORTS)

    def addresses(self) -> None:
        """The address and the cast, the latter without branches."""
        asm = self.asm
        emit_address(asm, 6 if self.direction == "in" else 0)
        asm.load(R2, R8, 0, 2)
        for offset in (2, 4):
            asm.load(R1, R8, offset, 2)
            asm.alu("&=", R2, R1)
        emit_is_equal(asm, R2, 0xFFFF)
        asm.load(R1, R8, 0, 1)
        asm.alu("&=", R1, 1)
        asm.alu("+=", R1, R2)
        asm.alu("<<=", R1, 3)
        asm.store(R10, CAST, R1, 8)

    def ethertype(self) -> None:
        """Falls through with IPv6."""
        asm = self.asm
        self.be16(R0, 12)
        asm.alu("+=", R8, ETHERNET_BYTES)
        for _ in range(MAX_TAGS):
            tagged, untagged = asm.new_label(), asm.new_label()
            for ethertype in TAGS:
                asm.jump_if(R0, "==", ethertype, tagged)
            asm.jump(untagged)
            asm.label(tagged)
            self.need(4, untagged)
            self.be16(R0, 2)
            asm.alu("+=", R8, 4)
            self.note(IS_VLAN)
            asm.label(untagged)
        asm.jump_if(R0, "==", IPV4, self.ipv4)
        with asm.if_(R0, "!=", IPV6):
            self.other()

    def other(self) -> None:
        """R9 = the class of a frame without IP, whose ethertype is R0."""
        asm, found = self.asm, self.asm.new_label()
        for ethertype, number in ETHERTYPE_CLASSES.items():
            with asm.if_(R0, "==", ethertype):
                if ethertype == ETHERTYPE_BATADV:
                    self.linear()
                asm.mov(R9, number)
                asm.jump(found)
        asm.mov(R9, LLC_CLASS)
        asm.jump_if(R0, "<", LLC_BELOW, found)
        asm.mov(R9, OTHER_CLASS)
        asm.label(found)
        emit_table(asm, R9, CLASS_ITSELF, R1)
        asm.jump(self.done)

    def linear(self) -> None:
        """Try to have all headers of a batman-adv packet in the linear part, so that it is read once."""
        if self.short is None:
            return
        asm, linear = self.asm, self.asm.new_label()
        asm.field(R1, R6, Skb.data)
        asm.mov(R2, R7)
        asm.alu("-=", R2, R1)
        asm.jump_if(R2, ">=", LINEAR_BYTES, linear)
        asm.field(R1, R6, Skb.len)
        asm.jump_if(R2, "<", R1, self.short)
        asm.label(linear)

    def read_ipv4(self) -> None:
        asm = self.asm
        asm.mov(R9, IPV4_CLASS)
        self.need(20, self.done)
        asm.load(R2, R8, 0, 1)
        asm.mov(R1, R2)
        asm.alu(">>=", R1, 4)
        asm.jump_if(R1, "!=", 4, self.done)
        asm.alu("&=", R2, 0xF)
        asm.alu("<<=", R2, 2)
        asm.jump_if(R2, "<", 20, self.done)
        self.note_ip()
        asm.load(R0, R8, 9, 1)
        self.be16(R1, 6)
        asm.jump_if(R1, "&", 0x1FFF, self.plain)
        asm.load(R3, R8, 8, 1)
        asm.store(R10, TTL, R3, 4)
        asm.alu("+=", R8, R2)

    def read_ipv6(self) -> None:
        asm = self.asm
        asm.mov(R9, IPV6_CLASS)
        self.need(40, self.done)
        asm.store(R10, _IP, R8, 8)
        asm.load(R2, R8, 0, 1)
        asm.alu(">>=", R2, 4)
        asm.jump_if(R2, "!=", 6, self.done)
        self.note_ip()
        asm.load(R0, R8, 6, 1)
        asm.load(R3, R8, 7, 1)  # hop limit
        asm.store(R10, TTL, R3, 4)
        asm.alu("+=", R8, 40)
        for protocol in _COMMON:
            asm.jump_if(R0, "==", protocol, self.behind_ipv6)
        for _ in range(MAX_EXTENSIONS):
            self.extension()
        asm.label(self.behind_ipv6)
        asm.jump_if(R0, "!=", ICMP6, self.transport)
        self.read_icmp6()

    def extension(self) -> None:
        """Pass over one extension header, R0 its number; or go to the transport header."""
        asm = self.asm
        usual, fragment, sized = (asm.new_label() for _ in range(3))
        for number in EXTENSION_HEADERS:
            asm.jump_if(R0, "==", number, usual)
        asm.jump_if(R0, "==", FRAGMENT, fragment)
        asm.jump_if(R0, "!=", AH, self.behind_ipv6)
        self.need(8, self.behind_ipv6)
        asm.load(R2, R8, 1, 1)
        asm.alu("+=", R2, 2)
        asm.alu("<<=", R2, 2)
        asm.jump(sized)
        asm.label(fragment)
        self.need(8, self.behind_ipv6)
        self.be16(R1, 2)
        asm.mov(R2, 8)
        asm.jump_if(R1, "<=", 7, sized)  # the offset stands above three bits of flags
        asm.load(R0, R8, 0, 1)
        asm.jump(self.plain)
        asm.label(usual)
        self.need(8, self.behind_ipv6)
        asm.load(R2, R8, 1, 1)
        asm.alu("+=", R2, 1)
        asm.alu("<<=", R2, 3)
        asm.label(sized)
        asm.load(R0, R8, 0, 1)
        asm.alu("+=", R8, R2)
        # There and back as a number: all paths are one to the verifier then.
        asm.field(R1, R6, self.context.data)
        asm.alu("-=", R8, R1)
        with asm.if_(R8, ">", _MAX_OFFSET):
            asm.mov(R8, R1)
            asm.jump(self.plain)
        asm.alu("+=", R8, R1)

    def read_transport(self) -> None:
        """The protocol R0 behind the version R9."""
        asm = self.asm
        tcp, udp = asm.new_label(), asm.new_label()
        asm.jump_if(R0, "==", _TCP, tcp)
        asm.jump_if(R0, "==", _UDP, udp)
        asm.label(self.plain)
        emit_table(asm, R0, PROTOCOLS, R1)
        asm.alu("+=", R9, R0)
        asm.jump(self.done)
        asm.label(tcp)
        self.need(TCP_BYTES, self.plain)
        self.note_ports()
        self.read_syn()
        self.read_ports(_TCP)
        asm.label(udp)
        self.need(4, self.plain)
        self.note_ports()
        self.read_dhcp()
        self.read_ports(_UDP)
        asm.label(self.service)
        asm.alu("+=", R9, R1)
        asm.jump(self.done)

    def read_ports(self, protocol: int) -> None:
        """R9 = the class by the ports, the destination's first."""
        asm = self.asm
        for offset in (2, 0):
            self.be16(R1, offset)
            with asm.if_(R1, "<", SERVICE_PORTS):
                emit_table(asm, R1, SERVICES[protocol], R2)
                asm.jump_if(R1, "!=", 0, self.service)
        asm.jump(self.plain)

    def read_syn(self) -> None:
        asm = self.asm
        asm.load(R1, R8, 13, 1)
        asm.alu("&=", R1, _SYN_ACK)
        self.note_if_equal(R1, _SYN, IS_SYN)

    def read_dhcp(self) -> None:
        asm = self.asm
        asm.load(R1, R8, 0, 4)
        asm.to_be(R1, 32)
        self.note_if_equal(R1, DHCP_PORTS, IS_DHCP)

    def read_icmp6(self) -> None:
        """Facts by the type; a solicitation from the unspecified address asks whether it is free."""
        asm = self.asm
        self.need(1, self.plain)
        asm.load(R4, R8, 0, 1)
        asm.mov(R1, R4)
        asm.alu("<<=", R1, 2)
        asm.map_value(R2, TABLES, ICMP6_TYPES)
        asm.alu("+=", R2, R1)
        asm.load(R1, R2, 0, 4)
        self.note(R1)
        asm.jump_if(R4, "!=", NEIGHBOUR_SOLICITATION, self.plain)
        asm.load(R1, R10, _IP, 8)
        asm.load(R4, R1, 8, 4)
        for offset in (12, 16, 20):
            asm.load(R3, R1, offset, 4)
            asm.alu("|=", R4, R3)
        self.note_if_equal(R4, 0, IS_DAD)
        asm.jump(self.plain)

"""The part of the program that reads what is above Ethernet, for the row: IP, ports, TCP, DHCP.

R6 is the context and R7 the entry all the time. Headers are copied to the stack, wherever their bytes are.
"""

from typing import Final

from meshlens.classify.ethernet_station.features import KINDS, PER_KIND
from meshlens.classify.ethernet_station.layout import BEHIND, BUFFER, END, KIND, SIZE, TRANSPORT, offset
from meshlens.classify.ethernet_station.row import emit_be, emit_count, emit_header, emit_note, emit_push
from meshlens.classify.ethernet_station.walk import emit_dhcp, emit_syn
from meshlens.ebpf import R1, R2, R3, R7, R8, R9, R10, Asm
from meshlens.probes.stations.dissect import FACTS, IP_AT
from meshlens.probes.stations.protocols import HAS_PORTS, IS_DHCP, IS_SYN

__all__ = ["emit_options", "emit_upper"]

_IPV4_BYTES, _IPV6_BYTES, _TCP_BYTES, _PORTS_BYTES = 20, 40, 20, 4
_IPV6_DESTINATION, _ADDRESS_BYTES = 24, 16
_PLAIN_IPV4: Final = 0x45
_DNS, _PLAIN_UDP = KINDS.index("dns"), KINDS.index("udp")


def emit_upper(asm: Asm) -> None:
    """Add what IP, TCP and UDP say. Clobbers R0 to R5, R8, R9."""
    asm.block("IP")
    without, there, done = (asm.new_label() for _ in range(3))
    _emit_ip(asm, without)
    asm.label(without)
    asm.block("transport")
    asm.load(R1, R10, FACTS, 4)
    asm.jump_if(R1, "&", HAS_PORTS, there)
    asm.jump(done)
    asm.label(there)
    _emit_transport(asm, done)
    asm.label(done)


def emit_options(asm: Asm) -> None:
    """Add what the options of the first SYN and of the first request say: they have been counted by now."""
    asm.block("options")
    done = asm.new_label()
    for fact, counter, emit in ((IS_SYN, "syns", emit_syn), (IS_DHCP, "requests", emit_dhcp)):
        there, other = asm.new_label(), asm.new_label()
        asm.load(R1, R10, FACTS, 4)
        asm.jump_if(R1, "&", fact, there)
        asm.jump(other)
        asm.label(there)
        asm.load(R1, R7, offset(counter), 4)
        asm.jump_if(R1, "!=", 1, done)
        emit(asm, done)
        asm.jump(done)
        asm.label(other)
    asm.label(done)


def _emit_ip(asm: Asm, done: str) -> None:
    """Count the destination; END = where the packet ends by its own length."""
    version6, known = asm.new_label(), asm.new_label()
    asm.store(R10, END, 0, 8)
    asm.load(R9, R10, IP_AT, 8)
    asm.jump_if(R9, "==", 0, done)
    emit_header(asm, R9, _IPV4_BYTES, done)
    asm.load(R8, R10, BUFFER, 1)
    asm.mov(R1, R8)
    asm.alu(">>=", R1, 4)
    asm.jump_if(R1, "!=", 4, version6)
    with asm.if_(R8, "!=", _PLAIN_IPV4):
        emit_count(asm, "ip_options")
    _emit_end(asm, 2, 0)
    _emit_keep_ttl(asm, 8)
    emit_be(asm, R8, 16, 32)
    asm.jump(known)
    asm.label(version6)
    _emit_end(asm, 4, _IPV6_BYTES)
    _emit_keep_ttl(asm, 7)
    asm.alu("+=", R9, _IPV6_DESTINATION)
    emit_header(asm, R9, _ADDRESS_BYTES, done)
    emit_be(asm, R8, 0, 32)
    for place in (4, 8, 12):
        emit_be(asm, R1, place, 32)
        asm.alu("^=", R8, R1)
    asm.label(known)
    emit_note(asm, "addresses", "address_bits_0", R8)


def _emit_end(asm: Asm, length_at: int, header_bytes: int) -> None:
    emit_be(asm, R1, length_at, 16)
    asm.alu("+=", R1, R9)
    asm.alu("+=", R1, header_bytes)
    asm.store(R10, END, R1, 8)


def _emit_keep_ttl(asm: Asm, place: int) -> None:
    asm.load(R1, R7, offset("ttl"), 4)
    with asm.if_(R1, "==", 0):
        asm.load(R1, R10, BUFFER + place, 1)
        asm.store(R7, offset("ttl"), R1, 4)


def _emit_transport(asm: Asm, done: str) -> None:
    tcp = asm.new_label()
    asm.load(R8, R10, BEHIND, 8)
    asm.load(R1, R10, TRANSPORT, 8)
    asm.jump_if(R1, "!=", 0, tcp)
    emit_header(asm, R8, _PORTS_BYTES, done)
    _emit_port(asm)
    asm.load(R1, R10, FACTS, 4)
    request, other = asm.new_label(), asm.new_label()
    asm.jump_if(R1, "&", IS_DHCP, request)
    asm.jump(other)
    asm.label(request)
    emit_count(asm, "requests")
    asm.label(other)
    asm.load(R3, R10, SIZE, 8)
    asm.load(R1, R10, KIND, 8)
    with asm.if_(R1, "==", _DNS):
        _emit_push_of_kind(asm, "query", _DNS)
    asm.jump_if(R1, "!=", _PLAIN_UDP, done)
    _emit_push_of_kind(asm, "datagram", _PLAIN_UDP)
    _emit_opened(asm)
    asm.jump(done)
    asm.label(tcp)
    emit_header(asm, R8, _TCP_BYTES, done)
    _emit_port(asm)
    _emit_tcp(asm, done)


def _emit_port(asm: Asm) -> None:
    """R9 = the destination port, which is noted."""
    emit_be(asm, R9, 2, 16)
    emit_note(asm, "ports", "port_bits_0", R9)


def _emit_push_of_kind(asm: Asm, series: str, kind: int) -> None:
    """Put the size R3 at the place that the packet has among those of its kind."""
    asm.load(R2, R7, offset(f"{KINDS[kind]}_{PER_KIND[0]}"), 4)
    emit_push(asm, series, R2, R3)


def _emit_opened(asm: Asm) -> None:
    """Keep the port R9."""
    emit_count(asm, "opened")
    emit_push(asm, "port", R1, R9)


def _emit_tcp(asm: Asm, done: str) -> None:
    """The header is in BUFFER, its destination port in R9, where it begins in R8."""
    shorter, syn = asm.new_label(), asm.new_label()
    for name, shift in (("fins", 0), ("resets", 2)):
        asm.load(R3, R10, BUFFER + 13, 1)
        asm.alu(">>=", R3, shift)
        asm.alu("&=", R3, 1)
        emit_count(asm, name, R3)
    # The payload: up to the end of the packet or of the frame, and without the header.
    asm.load(R3, R10, END, 8)
    asm.load(R1, R10, SIZE, 8)
    asm.jump_if(R3, "<", R1, shorter)
    asm.mov(R3, R1)
    asm.label(shorter)
    asm.alu("-=", R3, R8)
    asm.load(R1, R10, BUFFER + 12, 1)
    asm.alu(">>=", R1, 4)
    asm.alu("<<=", R1, 2)
    asm.alu("-=", R3, R1)
    with asm.if_(R3, "s>", 0):
        emit_count(asm, "payloads")
        emit_push(asm, "payload", R1, R3)
    asm.load(R1, R10, FACTS, 4)
    asm.jump_if(R1, "&", IS_SYN, syn)
    asm.jump(done)
    asm.label(syn)
    _emit_opened(asm)
    emit_count(asm, "syns")

"""What a packet adds to its flow's row, read from its headers; `sample.packet_facts` is the definition."""

from dataclasses import dataclass, fields
from typing import Final, Self

from meshlens.classify.flow.sample import UDP_HEADERS
from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R10, Asm, Helper, Reg, Slot
from meshlens.ebpf.contexts import Skb
from meshlens.probes.flows.layout import KEY_BYTES
from meshlens.probes.flows.packet import TCP
from meshlens.probes.flows.parse import KEY

__all__ = ["Stack", "emit_facts"]

_PROTOCOL, _VERSION = KEY + 36, KEY + 37
_TCP_HEADER_BYTES: Final = 20
_IPV6_BYTES: Final = 40
_BUFFER_BYTES: Final = 24
#: Kind and length of TCP's option MSS.
_MSS: Final = (2, 4)


@dataclass(frozen=True, slots=True)
class Stack:
    """What the program has on its stack, 8 bytes each but the first and the last one.

    `key` is that of the flow. Of the skb: packets, bytes, those of each packet but the last; where its IP
    header and its ports are, from the first byte; TCP flags; 1 if it goes back to the flow's first sender;
    when it came, µs after the first.
    Of its headers: what PacketFacts has, and where the payload begins. While packets are added: the
    place of the next one, how many there are and their bytes; the payload that is the first of its end.
    """

    key: Slot
    packets: Slot
    octets: Slot
    segment: Slot
    ip: Slot
    transport: Slot
    flags: Slot
    back: Slot
    time: Slot
    ttl: Slot
    tcp_header: Slot
    window: Slot
    mss: Slot
    begin: Slot
    payload: Slot
    place: Slot
    left: Slot
    rest: Slot
    first_data: Slot
    buffer: Slot

    @classmethod
    def of(cls, asm: Asm) -> Self:
        """Room for all of it; the key has to be the first, where the parser puts it."""
        sizes = {"key": KEY_BYTES, "buffer": _BUFFER_BYTES}
        stack = cls(*(asm.slot(sizes.get(field.name, 8)) for field in fields(cls)))
        assert stack.key.offset == KEY
        return stack


def emit_facts(asm: Asm, stack: Stack) -> None:
    """From `key`, `ip` and `transport` of the skb in R6 to the facts. Clobbers R0 to R4.

    skb_load_bytes() leaves zeros where it cannot read: those are the facts of a header that is not whole.
    """
    for slot in (stack.tcp_header, stack.window, stack.mss, stack.begin, stack.payload):
        asm.put(slot, 0)
    _emit_ip(asm, stack)
    done, begun = asm.new_label(), asm.new_label()
    asm.get(R4, stack.transport)
    asm.jump_if(R4, "==", 0, done)
    asm.load(R1, R10, _PROTOCOL, 1)
    for protocol, size in UDP_HEADERS.items():
        with asm.if_(R1, "==", protocol):
            asm.mov(R2, size)
            asm.jump(begun)
    asm.jump_if(R1, "!=", TCP, done)
    _emit_tcp(asm, stack, done)
    asm.label(begun)
    asm.get(R4, stack.transport)
    asm.alu("+=", R4, R2)
    asm.put(stack.begin, R4)
    asm.get(R1, stack.payload)  # where the packet ends, so far
    asm.put(stack.payload, 0)
    asm.jump_if(R1, "<=", R4, done)
    asm.alu("-=", R1, R4)
    asm.put(stack.payload, R1)
    asm.jump(end := asm.new_label())
    asm.label(done)
    asm.put(stack.payload, 0)
    asm.label(end)


def _emit_ip(asm: Asm, stack: Stack) -> None:
    """The TTL; `payload` = where the IP packet ends."""
    ipv6, known, ended = (asm.new_label() for _ in range(3))
    buffer = stack.buffer.offset
    asm.get(R2, stack.ip)
    asm.call(Helper.skb_load_bytes, R6, R2, stack.buffer, 10)
    asm.field(R3, R6, Skb.len)
    asm.load(R1, R10, _VERSION, 1)
    asm.alu("&=", R1, 0xF)
    asm.get(R4, stack.ip)
    asm.jump_if(R1, "==", 6, ipv6)
    asm.load(R0, R10, buffer + 8, 1)
    _load_pair(asm, R2, buffer + 2)
    asm.jump(known)
    asm.label(ipv6)
    asm.load(R0, R10, buffer + 7, 1)
    _load_pair(asm, R2, buffer + 4)
    asm.alu("+=", R4, _IPV6_BYTES)
    asm.label(known)
    asm.put(stack.ttl, R0)
    asm.jump_if(R2, "==", 0, ended)
    asm.alu("+=", R4, R2)
    with asm.if_(R4, "<", R3):
        asm.mov(R3, R4)
    asm.label(ended)
    asm.put(stack.payload, R3)


def _emit_tcp(asm: Asm, stack: Stack, done: str) -> None:
    """R2 = the bytes of the header, at R4 in the skb; its window and MSS. Goes to `done` if it is none."""
    buffer, plain = stack.buffer.offset, asm.new_label()
    asm.mov(R2, R4)
    asm.call(Helper.skb_load_bytes, R6, R2, stack.buffer, _TCP_HEADER_BYTES)
    asm.load(R2, R10, buffer + 12, 1)
    asm.alu(">>=", R2, 4)
    asm.alu("<<=", R2, 2)
    asm.jump_if(R2, "<", _TCP_HEADER_BYTES, done)
    asm.put(stack.tcp_header, R2)
    _load_pair(asm, R1, buffer + 14)
    asm.put(stack.window, R1)
    asm.jump_if(R2, "==", _TCP_HEADER_BYTES, plain)
    asm.get(R2, stack.transport)
    asm.alu("+=", R2, _TCP_HEADER_BYTES)
    asm.call(Helper.skb_load_bytes, R6, R2, stack.buffer, 4)
    for place, value in enumerate(_MSS):
        asm.load(R1, R10, buffer + place, 1)
        asm.jump_if(R1, "!=", value, plain)
    _load_pair(asm, R1, buffer + 2)
    asm.put(stack.mss, R1)
    asm.label(plain)
    asm.get(R2, stack.tcp_header)


def _load_pair(asm: Asm, dst: Reg, offset: int) -> None:
    """`dst` = the number in two bytes of the stack, in network order; `offset` is even."""
    asm.load(dst, R10, offset, 2)
    asm.to_be(dst, 16)

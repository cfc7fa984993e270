"""How the flow program reads the headers of a frame, at each hook.

Everywhere R8 goes along the headers, R7 is where the bytes end, and `need` comes before the loads of what it
asked for. R0, R2, R4, R5 and R9 are the caller's.
"""

from typing import Final, Protocol

from meshlens.decision.access import BUFFER, BUFFER_BYTES
from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R8, R10, Asm, Helper, Reg
from meshlens.ebpf.contexts import Skb, Xdp

__all__ = ["CopiedBytes", "HeaderBytes", "PacketBytes", "emit_pull"]

#: As many bytes as headers reasonably take: Ethernet, batman-adv, tags, IPv6 with extensions, TCP.
_HEADER_BYTES: Final = 256
#: Pointers beyond are not allowed (MAX_PACKET_OFF, kernel/bpf/verifier.c); no frame is that long.
_MAX_OFFSET: Final = 0xFF00
# Stack slots that only filters use, and those are decided before.
_KEY, _COPY = -88, -96


class HeaderBytes(Protocol):
    """What the parser of headers needs to know about a hook."""

    def begin(self) -> None:
        """R8 = the first byte, R7 = the end. May clobber all registers but R6."""

    def need(self, size: int, otherwise: str) -> None:
        """Go to `otherwise` unless there are `size` bytes at R8. Clobbers R1 and R3."""

    def load(self, dst: Reg, offset: int, size: int) -> None:
        """`dst` = bytes at R8, as they lie; those of the last `need` on every path here."""

    def settle(self, otherwise: str) -> None:
        """Make R8 one thing to the verifier, however it came here: else it follows every path on.

        Goes to `otherwise` where no header begins, which is so far out. Clobbers R1.
        """


class PacketBytes:
    """Packet memory. A skb whose bytes go on beyond it goes to `short` first, to be read again then."""

    def __init__(self, asm: Asm, context: type[Skb] | type[Xdp], short: str | None = None) -> None:
        self.asm, self.context, self.short = asm, context, short

    def begin(self) -> None:
        self.asm.field(R7, R6, self.context.data_end)
        self.asm.field(R8, R6, self.context.data)

    def need(self, size: int, otherwise: str) -> None:
        self.asm.mov(R1, R8)
        self.asm.alu("+=", R1, size)
        self.asm.jump_if(R1, ">", R7, self.short or otherwise)

    def load(self, dst: Reg, offset: int, size: int) -> None:
        self.asm.load(dst, R8, offset, size)

    def settle(self, otherwise: str) -> None:
        asm = self.asm
        asm.field(R1, R6, self.context.data)
        asm.alu("-=", R8, R1)
        asm.jump_if(R8, ">", _MAX_OFFSET, otherwise)
        asm.alu("+=", R8, R1)


def emit_pull(asm: Asm) -> None:
    """Make the headers of a skb linear; it moves bytes but changes none. Clobbers R0 to R5."""
    few, linear = asm.new_label(), asm.new_label()
    asm.field(R1, R6, Skb.data)
    asm.field(R2, R6, Skb.data_end)
    asm.alu("-=", R2, R1)
    asm.mov(R1, R2)
    asm.field(R2, R6, Skb.len)
    asm.jump_if(R1, ">=", R2, linear)
    asm.jump_if(R2, "<=", _HEADER_BYTES, few)
    asm.mov(R2, _HEADER_BYTES)
    asm.label(few)
    asm.call(Helper.skb_pull_data, R6, R2)
    asm.label(linear)


class CopiedBytes:
    """A copy of the head of a skb, for programs of sockets, which have no packet pointers.

    R7 and R8 are numbers here; `need` leaves in R3 a pointer to behind what it asked for. What cannot be
    copied goes to `unreadable`.
    """

    def __init__(self, asm: Asm, unreadable: str) -> None:
        self.asm, self.unreadable = asm, unreadable
        self._needed = 0

    def begin(self) -> None:
        asm, few = self.asm, self.asm.new_label()
        asm.store(R10, _KEY, 0, 4)
        asm.map_fd(R1, BUFFER)
        asm.mov(R2, R10)
        asm.alu("+=", R2, _KEY)
        asm.call(Helper.map_lookup_elem)
        asm.jump_if(R0, "==", 0, self.unreadable)
        asm.store(R10, _COPY, R0, 8)
        asm.field(R7, R6, Skb.len)
        asm.jump_if(R7, "==", 0, self.unreadable)
        asm.jump_if(R7, "<=", _HEADER_BYTES, few)
        asm.mov(R7, _HEADER_BYTES)
        asm.label(few)
        asm.mov(R1, R6)
        asm.mov(R2, 0)
        asm.mov(R3, R0)
        asm.mov(R4, R7)
        asm.call(Helper.skb_load_bytes)
        asm.jump_if(R0, "!=", 0, self.unreadable)
        asm.mov(R8, 0)

    def need(self, size: int, otherwise: str) -> None:
        asm = self.asm
        asm.mov(R1, R8)
        asm.alu("+=", R1, size)
        asm.jump_if(R1, ">", R7, otherwise)
        asm.jump_if(R1, ">", BUFFER_BYTES, otherwise)  # never: older verifiers do not see it from R7
        asm.load(R3, R10, _COPY, 8)
        asm.alu("+=", R3, R1)
        self._needed = size

    def load(self, dst: Reg, offset: int, size: int) -> None:
        self.asm.load(dst, R3, offset - self._needed, size)

    def settle(self, otherwise: str) -> None:
        """It is a number already."""

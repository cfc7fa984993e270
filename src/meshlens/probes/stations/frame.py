"""How the station program meets a frame at each hook: what it is on the wire, and where its bytes are.

R6 is the context all the time. At XDP a frame is in one buffer: drivers refuse programs that do not say
otherwise where it may be in several (BPF_F_XDP_HAS_FRAGS).
"""

from collections.abc import Callable
from typing import Final, Literal, Protocol

from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R8, R9, R10, Asm, Helper, ProgramType, Reg
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.probes.snapshot import Direction
from meshlens.probes.stations.dissect import LINEAR_BYTES
from meshlens.probes.stations.entry import BYTES, PACKETS, SEGMENT
from meshlens.probes.wire import emit_leave_copies, emit_segment_bytes, emit_wire_size

__all__ = ["FRAMES", "Frame", "Hook"]

Hook = Literal["tc", "xdp"]

#: Pointers beyond are not allowed (MAX_PACKET_OFF, kernel/bpf/verifier.c), with what is copied from there.
_MAX_OFFSET: Final = 0xFE00


class Frame(Protocol):
    """What the program needs to know about a hook."""

    program_type: ProgramType
    context: type[Skb] | type[Xdp]
    verdict: int
    #: Where frames go some of whose bytes are not in packet memory, to be pulled there; None: none are such.
    short: str | None

    def __init__(self, asm: Asm) -> None: ...

    def start(self, direction: Direction, out: str) -> None:
        """Go `out` with what is on no wire."""

    def measure(self) -> Callable[[], None]:
        """What the frame is on the wire, onto the stack: packets, bytes, bytes of each packet but the last.

        Returns what places the rare part; call it where no other code falls into. Leaves R2 and R6 alone.
        """

    def tag(self, dst: Reg) -> None:
        """`dst` = 1 if there is a VLAN tag that is not among the bytes, else 0."""

    def pull(self) -> None:
        """Get bytes into packet memory. Clobbers R0 to R5."""

    def length(self, dst: Reg) -> None:
        """`dst` = how many bytes there are. Clobbers R1."""

    def copy(self, failed: str) -> None:
        """Copy R9 bytes from byte R8 of the frame on to R3, or go to `failed`. Clobbers R0 to R5."""


class _Skb:
    """A skb at tc: it may be several packets, and only some of its bytes are packet memory."""

    program_type = ProgramType.SCHED_CLS
    context: type[Skb] | type[Xdp] = Skb
    verdict = -1  # TC_ACT_UNSPEC: the next program decides
    short: str | None = "short"

    def __init__(self, asm: Asm) -> None:
        self.asm = asm

    def start(self, direction: Direction, out: str) -> None:
        if direction == "in":
            emit_leave_copies(self.asm, out)

    def measure(self) -> Callable[[], None]:
        asm, measured, segmented = self.asm, self.asm.new_label(), self.asm.new_label()
        place_sizes = emit_wire_size(asm)
        asm.store(R10, PACKETS, R3, 8)
        asm.store(R10, BYTES, R4, 8)
        asm.store(R10, SEGMENT, R4, 8)
        asm.jump_if(R3, ">", 1, segmented)
        asm.label(measured)

        def place() -> None:
            place_sizes()
            asm.label(segmented)
            emit_segment_bytes(asm)
            asm.store(R10, SEGMENT, R4, 8)
            asm.jump(measured)

        return place

    def tag(self, dst: Reg) -> None:
        self.asm.field(dst, R6, Skb.vlan_present)
        self.asm.alu("&=", dst, 1)

    def pull(self) -> None:
        asm, few = self.asm, self.asm.new_label()
        asm.field(R2, R6, Skb.len)
        asm.jump_if(R2, "<=", LINEAR_BYTES, few)
        asm.mov(R2, LINEAR_BYTES)
        asm.label(few)
        asm.call(Helper.skb_pull_data, R6, R2)

    def length(self, dst: Reg) -> None:
        self.asm.field(dst, R6, Skb.len)

    def copy(self, failed: str) -> None:
        self.asm.call(Helper.skb_load_bytes, R6, R8, R3, R9)
        self.asm.jump_if(R0, "!=", 0, failed)


class _Xdp:
    """A frame as the driver, or the stack in its place, gives it to XDP."""

    program_type = ProgramType.XDP
    context: type[Skb] | type[Xdp] = Xdp
    verdict = 2  # XDP_PASS
    short: str | None = None

    def __init__(self, asm: Asm) -> None:
        self.asm = asm

    def start(self, direction: Direction, out: str) -> None:
        """All that comes was on the wire."""

    def measure(self) -> Callable[[], None]:
        self.length(R4)
        self.asm.store(R10, PACKETS, 1, 8)
        self.asm.store(R10, BYTES, R4, 8)
        self.asm.store(R10, SEGMENT, R4, 8)
        return lambda: None

    def tag(self, dst: Reg) -> None:
        self.asm.mov(dst, 0)

    def pull(self) -> None:
        """All bytes are there."""

    def length(self, dst: Reg) -> None:
        self.asm.field(dst, R6, Xdp.data_end)
        self.asm.field(R1, R6, Xdp.data)
        self.asm.alu("-=", dst, R1)

    def copy(self, failed: str) -> None:
        """Byte by byte: the helper for it came late (bpf_xdp_load_bytes(), Linux 5.18)."""
        asm, again = self.asm, self.asm.new_label()
        asm.jump_if(R8, ">", _MAX_OFFSET, failed)
        asm.field(R2, R6, Xdp.data)
        asm.field(R5, R6, Xdp.data_end)
        asm.alu("+=", R2, R8)
        asm.mov(R4, 0)
        asm.label(again)
        asm.mov(R1, R2)
        asm.alu("+=", R1, 1)
        asm.jump_if(R1, ">", R5, failed)  # never: only the verifier does not know
        asm.load(R0, R2, 0, 1)
        asm.store(R3, 0, R0, 1)
        for register in (R2, R3, R4):
            asm.alu("+=", register, 1)
        asm.jump_if(R4, "<", R9, again)


FRAMES: Final[dict[Hook, type[Frame]]] = {"tc": _Skb, "xdp": _Xdp}

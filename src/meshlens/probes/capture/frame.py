"""A frame as a capture program meets it at its hook: its bytes, its length, and what the hook knows of it.

Registers: R6 the context, R7 bytes of the frame, R8 the pcapng block, R9 left alone; the others are scratch.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal

from meshlens.decision.access import Access, BufferedAccess, DirectAccess, hook_meta
from meshlens.ebpf import R0, R1, R2, R3, R4, R6, R7, R8, R10, Asm, Helper, ProgramSpec, ProgramType, Reg
from meshlens.ebpf.constants import BPF_F_XDP_HAS_FRAGS
from meshlens.ebpf.contexts import Skb, Xdp
from meshlens.ebpf.maps import MapSpec
from meshlens.probes.snapshot import Direction
from meshlens.probes.wire import emit_leave_copies, emit_skb_length

__all__ = ["CAPTURE_POINTS", "CapturePoint", "Frame", "SkbFrame", "XdpFrame", "frame_at"]

CapturePoint = Literal["entry", "exit", "tc-in", "tc-out"]
CAPTURE_POINTS: Final[tuple[CapturePoint, ...]] = ("tc-in", "tc-out", "entry", "exit")

_TAG_OFFSET, _TAG_BYTES = 12, 4

#: epb_flags: bits 0 and 1 the direction, 2 to 4 to whom, by a nibble for each skb->pkt_type
#: (host, broadcast, multicast, otherhost; include/uapi/linux/if_packet.h).
_FLAG_DIRECTIONS: Final[dict[Direction, int]] = {"in": 1, "out": 2}
_RECEPTIONS: Final = 0x4231


class Frame(ABC):
    """What differs from hook to hook; `asm` is where it is emitted, `result` what the program returns."""

    result: ClassVar[int]
    has_verdict: ClassVar[bool] = False
    direction: Direction = "in"
    asm: Asm

    @property
    def way(self) -> int:
        """The direction as filters know it: 0 in, 1 out."""
        return 0 if self.direction == "in" else 1

    def start(self, elsewhere: str) -> None:
        """Begin the program; go `elsewhere` with what is none of this capture's."""
        self.asm.mov(R6, R1)

    @abstractmethod
    def accesses(self, elsewhere: str, lost: str, unreadable: str) -> tuple[Access, ...]:
        """How the filter reaches the bytes: at first, and of frames that are to be looked at `elsewhere`."""

    @abstractmethod
    def measure(self) -> None:
        """R7 = bytes that can be copied, R0 = those of the whole frame."""

    @abstractmethod
    def load_bytes(self) -> None:
        """R0 = 0 and R4 bytes from byte R2 of the frame on at R3; another R0 if that is impossible."""

    def copy(self, data: int, failed: str, copied: str) -> None:
        """Copy R7 bytes to offset `data` of the block."""
        self.copy_part(data, 0, 0)
        self.asm.jump_if(R0, "==", 0, copied)
        self.asm.jump(failed)

    def copy_part(self, data: int, start: int, put: int, size: int | None = None) -> None:
        """Copy `size` bytes (default: those left of R7) from byte `start` of the frame to byte `put`."""
        asm = self.asm
        asm.mov(R2, start)
        asm.mov(R3, R8)
        asm.alu("+=", R3, data + put)
        asm.mov(R4, R7 if size is None else size)
        if size is None and put:
            asm.alu("-=", R4, put)
        self.load_bytes()

    def flags(self, dst: Reg) -> None:
        """`dst` = the pcapng flags: the direction, and to whom if the hook knows."""
        self.asm.mov(dst, _FLAG_DIRECTIONS[self.direction])

    @abstractmethod
    def queue(self, dst: Reg) -> None:
        """`dst` = the number of the queue."""

    def verdict(self, dst: Reg) -> None:
        """`dst` = what an XDP program decided about the frame, where `has_verdict`."""
        raise NotImplementedError

    @abstractmethod
    def program(self, maps: dict[str, MapSpec]) -> ProgramSpec:
        """The finished program."""


class SkbFrame(Frame):
    """A frame in the stack (tc). A VLAN tag that stands in its metadata is put back, as libpcap does."""

    result = -1  # TC_ACT_UNSPEC

    def __init__(self, direction: Direction) -> None:
        self.asm, self.direction = Asm(), direction

    def start(self, elsewhere: str) -> None:
        super().start(elsewhere)
        if self.direction == "in":
            emit_leave_copies(self.asm, elsewhere)

    def accesses(self, elsewhere: str, lost: str, unreadable: str) -> tuple[Access, ...]:
        direct = DirectAccess(self.asm, Skb, self.way, elsewhere=elsewhere, lost=lost)
        return direct, BufferedAccess(self.asm, self.way, unreadable=unreadable)

    def measure(self) -> None:
        emit_skb_length(self.asm, R7, R0)
        self.asm.mov(R0, R7)

    def load_bytes(self) -> None:
        self.asm.mov(R1, R6)
        self.asm.call(Helper.skb_load_bytes)

    def copy(self, data: int, failed: str, copied: str) -> None:
        asm, tagged = self.asm, self.asm.new_label()
        asm.field(R1, R6, Skb.vlan_present)
        asm.jump_if(R1, "!=", 0, tagged)
        super().copy(data, failed, copied)
        asm.label(tagged)
        # Addresses, the tag from the metadata, the rest. Snapshots are no shorter than that.
        behind = _TAG_OFFSET + _TAG_BYTES
        asm.jump_if(R7, "<=", behind, failed)
        self.copy_part(data, 0, 0, _TAG_OFFSET)
        asm.jump_if(R0, "!=", 0, failed)
        asm.field(R1, R6, Skb.vlan_proto)  # in network order already
        asm.store(R8, data + _TAG_OFFSET, R1, 2)
        asm.field(R1, R6, Skb.vlan_tci)
        asm.to_be(R1, 16)
        asm.store(R8, data + _TAG_OFFSET + 2, R1, 2)
        self.copy_part(data, _TAG_OFFSET, behind)
        asm.jump_if(R0, "==", 0, copied)
        asm.jump(failed)

    def flags(self, dst: Reg) -> None:
        asm, direction = self.asm, _FLAG_DIRECTIONS[self.direction]
        if self.direction == "out":  # what goes out has no addressee of ours
            asm.mov(dst, direction)
            return
        asm.field(R2, R6, Skb.pkt_type)
        asm.alu("<<=", R2, 2)
        asm.alu("&=", R2, 31)
        asm.mov(dst, _RECEPTIONS)
        asm.alu(">>=", dst, R2)
        asm.alu("&=", dst, 7)
        asm.alu("<<=", dst, 2)
        asm.alu("|=", dst, direction)

    def queue(self, dst: Reg) -> None:
        """On the way in a skb holds its queue's number plus one, or 0 if nobody said (skbuff.h)."""
        asm = self.asm
        asm.field(dst, R6, Skb.queue_mapping)
        if self.direction == "in":
            with asm.if_(dst, "!=", 0):
                asm.alu("-=", dst, 1)

    def program(self, maps: dict[str, MapSpec]) -> ProgramSpec:
        return ProgramSpec("meshlens_capture", ProgramType.SCHED_CLS, self.asm, maps=maps)


class XdpFrame(Frame):
    """A frame as the driver gives it to XDP, in one buffer or in several. Ours is the only program there."""

    result = 2  # XDP_PASS
    has_verdict = True

    def __init__(self) -> None:
        self.asm = Asm()

    def accesses(self, elsewhere: str, lost: str, unreadable: str) -> tuple[Access, ...]:
        direct = DirectAccess(self.asm, Xdp, self.way, elsewhere=elsewhere, lost=lost)
        return direct, _XdpCopy(self.asm, self.way, unreadable=unreadable)

    def measure(self) -> None:
        self.asm.call(Helper.xdp_get_buff_len, R6)
        self.asm.mov(R7, R0)

    def load_bytes(self) -> None:
        self.asm.mov(R1, R6)
        self.asm.call(Helper.xdp_load_bytes)

    def queue(self, dst: Reg) -> None:
        self.asm.field(dst, R6, Xdp.rx_queue_index)

    def verdict(self, dst: Reg) -> None:
        self.asm.mov(dst, self.result)

    def program(self, maps: dict[str, MapSpec]) -> ProgramSpec:
        return ProgramSpec(
            "meshlens_capture", ProgramType.XDP, self.asm, maps=maps, flags=BPF_F_XDP_HAS_FRAGS
        )


class _XdpCopy(BufferedAccess):
    """The first bytes of a frame of several buffers."""

    def copy_frame(self) -> None:
        asm, copied = self.asm, self.asm.new_label()
        asm.call(Helper.xdp_get_buff_len, R6)
        asm.mov(R7, R0)
        asm.store(R10, self.start_slot, 0, 8)
        self.copy(0, copied)
        asm.label(copied)

    def load_bytes(self) -> None:
        self.asm.mov(R1, R6)
        self.asm.call(Helper.xdp_load_bytes)

    def meta(self, name: str) -> None:
        hook_meta(self.asm, name, Xdp, self.direction)


def frame_at(point: CapturePoint) -> Frame:
    """The frame at a hook of an interface; for `exit`, which is one of a program, see `exit`."""
    frames = {"tc-in": SkbFrame("in"), "tc-out": SkbFrame("out"), "entry": XdpFrame()}
    return frames[point]

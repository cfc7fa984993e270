"""A frame as somebody's XDP program leaves it, with its verdict: `meshlens capture --at exit`.

A program of type fexit runs after the XDP program, with the same frame and what it returned. It has no packet
pointers: bytes are read as any kernel memory. Of a frame in several buffers the first one is seen.
"""

from pathlib import Path

from meshlens.decision.access import Access, BufferedAccess
from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R10, Helper, ProgramSpec, Reg
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.query import attached
from meshlens.ebpf.tracing import KernelTypes, Trace, View, attach_trace, program_function
from meshlens.errors import MeshlensError, NotSupported, UsageError
from meshlens.probes.capture.frame import Frame
from meshlens.probes.interfaces import Interface

__all__ = ["ExitFrame", "check_exit_support", "exit_frame"]


class ExitFrame(Frame):
    """The frames of one interface behind the XDP program `program_id`, which may have others as well.

    Raises NotSupported if the program cannot be traced.
    """

    result = 0  # nobody asks
    has_verdict = True

    def __init__(self, program_id: int, ifindex: int, namespace: int) -> None:
        self.ifindex, self.namespace = ifindex, namespace
        self.trace = self.asm = Trace("fexit", program_function(program_id), context=R6)
        self.buffer: View = self.trace.argument(0)  # struct xdp_buff, include/net/xdp.h

    def start(self, elsewhere: str) -> None:
        """Only this interface; its number may be another one's in another network namespace."""
        trace, device = self.trace, self.buffer.rxq.dev
        trace.read(R1, device.ifindex)
        trace.jump_if(R1, "!=", self.ifindex, elsewhere)
        trace.read(R1, device.nd_net.net.ns.inum)
        trace.jump32_if(R1, "!=", self.namespace, elsewhere)

    def accesses(self, elsewhere: str, lost: str, unreadable: str) -> tuple[Access, ...]:
        return (_ExitAccess(self, unreadable),)

    def measure(self) -> None:
        self.linear_length()
        self.trace.read(R1, self.buffer)
        self.trace.call(Helper.xdp_get_buff_len)

    def linear_length(self) -> None:
        """R7 = bytes of the first buffer; uses R0."""
        trace = self.trace
        trace.read(R7, self.buffer.data_end)
        trace.read(R0, self.buffer.data)
        trace.alu("-=", R7, R0)

    def load_bytes(self) -> None:
        """Nobody asks beyond R7, so that what is read is the frame's."""
        trace = self.trace
        trace.read(R5, self.buffer.data)
        trace.alu("+=", R5, R2)
        trace.mov(R1, R3)
        trace.mov(R2, R4)
        trace.mov(R3, R5)
        trace.call(Helper.probe_read_kernel)

    def queue(self, dst: Reg) -> None:
        self.trace.read(dst, self.buffer.rxq.queue_index)

    def verdict(self, dst: Reg) -> None:
        self.trace.read(dst, self.trace.result())

    def program(self, maps: dict[str, MapSpec]) -> ProgramSpec:
        return self.trace.program("meshlens_exit", maps=maps)


class _ExitAccess(BufferedAccess):
    """The first bytes of the frame in the per-CPU buffer, as of skbs that cannot be looked at directly."""

    def __init__(self, frame: ExitFrame, unreadable: str) -> None:
        super().__init__(frame.asm, frame.way, unreadable=unreadable)
        self.frame = frame

    def copy_frame(self) -> None:
        copied = self.asm.new_label()
        self.frame.linear_length()
        self.asm.store(R10, self.start_slot, 0, 8)
        self.copy(0, copied)
        self.asm.label(copied)

    def load_bytes(self) -> None:
        self.frame.load_bytes()

    def meta(self, name: str) -> None:
        self.asm.mov(R0, self.frame.ifindex if name == "ifindex" else self.frame.way)


def check_exit_support() -> None:
    """Raises NotSupported where programs of type fexit are not: no others see what XDP programs return."""
    try:
        probe = Trace("fexit", KernelTypes().function("bpf_fentry_test1"))
        probe.ret(0)
        with probe.program("probe").load() as program:
            attach_trace(program).close()
    except MeshlensError as error:
        raise NotSupported(
            f"--at exit needs programs of type fexit, which this kernel refuses: {error}"
        ) from None


def exit_frame(interface: Interface) -> ExitFrame:
    """The frames that the XDP program of an interface leaves.

    Raises UsageError if it has none, NotSupported if it cannot be traced here, with the reason.
    """
    programs = [each for each in attached(interface.index) if each.hook == "xdp"]
    if not programs:
        raise UsageError(f"{interface.name} has no XDP program to capture at the exit of: use --at entry")
    namespace = Path("/proc/thread-self/ns/net").stat().st_ino
    try:
        return ExitFrame(programs[0].program_id, interface.index, namespace)
    except NotSupported as error:
        raise NotSupported(f"--at exit on {interface.name}: {error}") from None

"""How a program reaches the bytes of a frame.

`DirectAccess` reads packet memory, which the verifier allows behind a comparison with `data_end`.
`BufferedAccess` copies the head of the frame into a per-CPU buffer first: for socket filters, which have
no packet pointers, and for the skbs that direct access cannot judge: those with a VLAN tag in their
metadata, and those with bytes beyond the linear part where a filter asks about them.

Registers, the same in both: R6 the context, R7 where the bytes end, R8 where they begin, R9 left to the
caller; R0 takes values, R1 to R5 are scratch.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from meshlens.decision.expr import Alu, Const, Expr, Load, Space
from meshlens.ebpf import R0, R1, R2, R3, R4, R5, R6, R7, R8, R10, Asm, Helper, MapSpec, MapType
from meshlens.ebpf.contexts import PACKET_OUTGOING, Skb, Xdp

__all__ = [
    "BUFFER",
    "BUFFER_BYTES",
    "Access",
    "BufferedAccess",
    "DirectAccess",
    "Label",
    "buffer_map",
    "hook_meta",
    "upper_bound",
]

Label = str | int
Context = type[Skb] | type[Xdp]

#: The verifier tracks variable packet offsets up to here (MAX_PACKET_OFF, kernel/bpf/verifier.c). Half of
#: that is for where an inner frame begins, half for what is looked at in it.
_MAX_PACKET_OFFSET: Final = 0xFFFF
_MAX_INNER_OFFSET: Final = _MAX_PACKET_OFFSET // 2
#: Memory instructions take signed 16-bit offsets; larger ones are added to the pointer.
_MAX_INSN_OFFSET: Final = 0x7000

#: The name of the per-CPU buffer, and its size.
BUFFER: Final = "head"
BUFFER_BYTES: Final = 512
#: Where a VLAN tag stands on the wire: behind the two MAC addresses.
_TAG_OFFSET: Final = 12
_TAG_BYTES: Final = 4

# Stack slots below R10. The caller's own go from -32 to -80, those of expressions follow (codegen).
_START: Final = -8  # buffered: where the current bytes begin in the skb; a tag in metadata counts as -4
_KEY: Final = -16
_LOADED: Final = -24


class Access(Protocol):
    """What the compiler of decision graphs needs to know about a hook."""

    keeps_index: bool  # whether `load` with `checked` needs no index in R0

    @property
    def longest(self) -> Mapping[Space, int]:
        """No frame has room for more bytes than this."""

    def begin(self) -> None:
        """Make the whole frame the current bytes."""

    def short(self, no: Label) -> Label:
        """Where to go with a frame that seems too short, if `no` is where too short ones go."""

    def room(self, space: Space, index: Expr | None, size: int, no: Label) -> None:
        """Go to `no` unless there are `size` bytes beyond `index`, whose value is in R0 if there is one."""

    def load(self, load: Load, *, checked: bool) -> None:
        """R0 = the bytes of `load`, in host order.

        The value of its index, if it has one, is in R0; but with `checked` the last `room` on every path was
        about that index, and R1 to R5 are as it left them.
        """

    def length(self, space: Space) -> None:
        """R0 = the length of the frame."""

    def enter(self, offset: Expr) -> None:
        """Make the bytes from R0 (the value of `offset`) on the current ones."""

    def meta(self, name: str) -> None:
        """R0 = what the hook knows by this name."""

    def finish(self) -> None:
        """Place what was kept out of the way."""


def upper_bound(expr: Expr | None) -> int:
    """The largest value that `expr` can have, as far as its form tells."""
    match expr:
        case None:
            return 0
        case Const(value):
            return value
        case Load(_, _, _, size):
            return (1 << 8 * size) - 1
        case Alu("&", left, Const(value)):
            return min(upper_bound(left), value)
        case Alu("<<", left, Const(value)):
            return min(upper_bound(left) << value, 0xFFFFFFFF)
        case Alu(">>", left, Const(value)):
            return upper_bound(left) >> value
        case Alu("+", left, right):
            return min(upper_bound(left) + upper_bound(right), 0xFFFFFFFF)
        case _:
            return 0xFFFFFFFF


def buffer_map() -> dict[str, MapSpec]:
    """The map that a program with BufferedAccess needs."""
    return {BUFFER: MapSpec(BUFFER, MapType.PERCPU_ARRAY, key_size=4, value_size=BUFFER_BYTES, max_entries=1)}


def hook_meta(asm: Asm, name: str, context: Context, direction: int | None) -> None:
    """R0 = `ifindex`, or `direction`: the given one (0 in, 1 out), or where it is None what the skb says."""
    if name == "ifindex":
        asm.field(R0, R6, Skb.ifindex if context is Skb else Xdp.ingress_ifindex)
    elif direction is not None:
        asm.mov(R0, direction)
    else:
        incoming = asm.new_label()
        asm.field(R1, R6, Skb.pkt_type)
        asm.mov(R0, 0)
        asm.jump_if(R1, "!=", PACKET_OUTGOING, incoming)
        asm.mov(R0, 1)
        asm.label(incoming)


class DirectAccess:
    """Packet memory between R8 and R7.

    `context` is the layout of what R6 points at; `direction` 0 in, 1 out. A skb goes `elsewhere` if its bytes
    must be looked for elsewhere. It goes there when bytes are missed, to begin again; or at once if it may
    not `restart`, because marks have counted it already. An XDP frame goes there at once if it has several
    buffers; None if there are none such. `lost` is where no frame ever goes: the verifier wants a check that
    the graph has made already.
    """

    keeps_index = True
    longest: Mapping[Space, int] = {Space.OUTER: _MAX_PACKET_OFFSET, Space.INNER: _MAX_INNER_OFFSET}

    def __init__(
        self,
        asm: Asm,
        context: Context,
        direction: int,
        *,
        elsewhere: Label | None,
        lost: Label,
        restart: bool = True,
    ) -> None:
        self.asm, self.context, self.direction = asm, context, direction
        self.elsewhere, self.lost, self.restart = elsewhere, lost, restart
        self.stubs: dict[Label, Label] = {}

    def begin(self) -> None:
        asm, xdp = self.asm, self.context is Xdp
        if xdp and self.elsewhere is not None:
            asm.call(Helper.xdp_get_buff_len, R6)
        asm.field(R7, R6, self.context.data_end)
        asm.field(R8, R6, self.context.data)
        if self.elsewhere is None:
            return
        if xdp:
            asm.mov(R1, R7)
            asm.alu("-=", R1, R8)
            asm.jump_if(R0, "!=", R1, self.elsewhere)
            return
        asm.field(R1, R6, Skb.vlan_present)
        asm.jump_if(R1, "!=", 0, self.elsewhere)
        if not self.restart:
            self._tell_short_from_elsewhere(self.elsewhere)

    def short(self, no: Label) -> Label:
        if self.elsewhere is None or self.context is Xdp or not self.restart:
            return no
        return self.stubs.setdefault(no, self.asm.new_label())

    def room(self, space: Space, index: Expr | None, size: int, no: Label) -> None:
        asm, no = self.asm, self.short(no)
        start = R8
        if index is not None:
            if upper_bound(index) + size > self.longest[space]:
                asm.jump_if(R0, ">", self.longest[space] - size, no)
            asm.mov(R5, R8)
            asm.alu("+=", R5, R0)
            start = R5
        asm.mov(R1, start)
        asm.alu("+=", R1, size)
        asm.jump_if(R1, ">", R7, no)

    def load(self, load: Load, *, checked: bool) -> None:
        asm, base, offset = self.asm, R8, load.offset
        if load.index is not None:
            if not checked:
                self.room(load.space, load.index, offset + load.size, self.lost)
            base = R5
        if offset > _MAX_INSN_OFFSET:
            asm.mov(R1, base)
            asm.alu("+=", R1, offset)
            base, offset = R1, 0
        asm.load(R0, base, offset, load.size)
        if load.size > 1:
            asm.to_be(R0, 8 * load.size)

    def length(self, space: Space) -> None:
        asm = self.asm
        asm.field(R1, R6, self.context.data)
        if self.context is Skb:
            asm.field(R0, R6, Skb.len)
        else:
            asm.mov(R0, R7)
            asm.alu("-=", R0, R1)
        if space is Space.INNER:
            some = asm.new_label()
            asm.mov(R2, R8)
            asm.alu("-=", R2, R1)
            asm.alu("-=", R0, R2)
            asm.jump_if(R0, "s>", 0, some)
            asm.mov(R0, 0)
            asm.label(some)

    def enter(self, offset: Expr) -> None:
        if upper_bound(offset) > _MAX_INNER_OFFSET:
            self.asm.jump_if(R0, ">", _MAX_INNER_OFFSET, self.lost)
        self.asm.alu("+=", R8, R0)

    def meta(self, name: str) -> None:
        hook_meta(self.asm, name, self.context, self.direction)

    def finish(self) -> None:
        for no, stub in self.stubs.items():
            assert self.elsewhere is not None
            self.asm.label(stub)
            self._tell_short_from_elsewhere(self.elsewhere)
            self.asm.jump(no)
        self.stubs.clear()

    def _tell_short_from_elsewhere(self, elsewhere: Label) -> None:
        """Go `elsewhere` with a skb that has bytes beyond data_end, or further out than is looked at here.

        Asked anew each time: remembered in a stack slot it would double the states that the verifier visits.
        """
        asm = self.asm
        asm.field(R1, R6, self.context.data)
        asm.field(R2, R6, Skb.len)
        asm.mov(R0, R7)
        asm.alu("-=", R0, R1)
        asm.jump_if(R2, ">", R0, elsewhere)
        asm.jump_if(R2, ">", _MAX_INNER_OFFSET, elsewhere)


class BufferedAccess:
    """The first bytes of the frame in a per-CPU buffer at R8; R7 is how many bytes the frame has in all.

    `direction` None: the skb says. A frame that cannot be copied goes to `unreadable`.
    """

    keeps_index = False
    start_slot: Final = _START
    longest: Mapping[Space, int] = dict.fromkeys(Space, 1 << 24)

    def __init__(self, asm: Asm, direction: int | None, *, unreadable: Label) -> None:
        self.asm, self.direction, self.unreadable = asm, direction, unreadable

    def begin(self) -> None:
        asm = self.asm
        asm.store(R10, _KEY, 0, 4)
        asm.map_fd(R1, BUFFER)
        asm.mov(R2, R10)
        asm.alu("+=", R2, _KEY)
        asm.call(Helper.map_lookup_elem)
        asm.jump_if(R0, "==", 0, self.unreadable)
        asm.mov(R8, R0)
        self.copy_frame()

    def copy_frame(self) -> None:
        """R7 = how many bytes the frame has; the first of them into the buffer at R8."""
        asm = self.asm
        asm.field(R7, R6, Skb.len)
        untagged, copied = asm.new_label(), asm.new_label()
        asm.store(R10, _START, 0, 8)
        asm.field(R1, R6, Skb.vlan_present)
        asm.jump_if(R1, "==", 0, untagged)
        self._restore_tag()
        self.copy(_TAG_OFFSET + _TAG_BYTES, copied)
        asm.jump(copied)
        asm.label(untagged)
        self.copy(0, copied)
        asm.label(copied)

    def _restore_tag(self) -> None:
        """Put the tag back where it was on the wire, as libpcap does with what its packet socket says."""
        asm = self.asm
        asm.mov(R2, 0)
        asm.mov(R3, R8)
        asm.mov(R4, _TAG_OFFSET)
        self.load_bytes()
        asm.jump_if(R0, "!=", 0, self.unreadable)
        asm.field(R1, R6, Skb.vlan_proto)  # in network order already
        asm.store(R8, _TAG_OFFSET, R1, 2)
        asm.field(R0, R6, Skb.vlan_tci)
        asm.to_be(R0, 16)
        asm.store(R8, _TAG_OFFSET + 2, R0, 2)
        asm.store(R10, _START, -_TAG_BYTES, 8)
        asm.alu("+=", R7, _TAG_BYTES)

    def copy(self, skip: int, empty: Label) -> None:
        """Fill the buffer from byte `skip` on; go to `empty` if the frame has no byte there."""
        asm, whole = self.asm, self.asm.new_label()
        asm.mov(R4, R7)
        asm.jump_if(R4, "<", BUFFER_BYTES, whole)
        asm.mov(R4, BUFFER_BYTES)
        asm.label(whole)
        asm.alu("-=", R4, skip)
        asm.jump_if(R4, "s<", 1, empty)
        asm.load(R2, R10, _START, 8)
        asm.alu("+=", R2, skip)
        asm.mov(R3, R8)
        asm.alu("+=", R3, skip)
        self.load_bytes()
        asm.jump_if(R0, "!=", 0, self.unreadable)

    def load_bytes(self) -> None:
        """R0 = 0 and R4 bytes from byte R2 of the frame on at R3; another R0 if that is impossible."""
        self.asm.mov(R1, R6)
        self.asm.call(Helper.skb_load_bytes)

    def short(self, no: Label) -> Label:
        return no

    def room(self, space: Space, index: Expr | None, size: int, no: Label) -> None:
        if index is None:
            self.asm.jump_if(R7, "<", size, no)
        else:
            self.asm.alu("+=", R0, size)
            self.asm.jump_if(R0, ">", R7, no)

    def load(self, load: Load, *, checked: bool) -> None:
        asm, last = self.asm, BUFFER_BYTES - load.size
        beyond, loaded = asm.new_label(), asm.new_label()
        if load.index is None and load.offset <= last:
            asm.load(R0, R8, load.offset, load.size)
        elif load.index is None:
            asm.mov(R0, 0)
            self._load_by_helper(load)
        elif upper_bound(load.index) + load.offset <= last:
            asm.alu("+=", R0, R8)
            asm.load(R0, R0, load.offset, load.size)
        elif load.offset > last:
            self._load_by_helper(load)
        else:
            asm.jump_if(R0, ">", last - load.offset, beyond)
            asm.alu("+=", R0, R8)
            asm.load(R0, R0, load.offset, load.size)
            asm.jump(loaded)
            asm.label(beyond)
            self._load_by_helper(load)
            asm.label(loaded)
        if load.size > 1:
            asm.to_be(R0, 8 * load.size)

    def _load_by_helper(self, load: Load) -> None:
        asm = self.asm
        asm.load(R2, R10, _START, 8)
        asm.alu("+=", R2, R0)
        asm.alu("+=", R2, load.offset)
        asm.mov(R3, R10)
        asm.alu("+=", R3, _LOADED)
        asm.mov(R4, load.size)
        self.load_bytes()
        asm.jump_if(R0, "!=", 0, self.unreadable)
        asm.load(R0, R10, _LOADED, load.size)

    def length(self, space: Space) -> None:
        self.asm.mov(R0, R7)

    def enter(self, offset: Expr) -> None:
        asm, some = self.asm, self.asm.new_label()
        copied = asm.new_label()
        asm.load(R1, R10, _START, 8)
        asm.alu("+=", R1, R0)
        asm.store(R10, _START, R1, 8)
        asm.alu("-=", R7, R0)
        asm.jump_if(R7, "s>=", 0, some)
        asm.mov(R7, 0)
        asm.label(some)
        self.copy(0, copied)
        asm.label(copied)

    def meta(self, name: str) -> None:
        hook_meta(self.asm, name, Skb, self.direction)

    def finish(self) -> None:
        pass

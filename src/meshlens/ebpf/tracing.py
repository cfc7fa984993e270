"""Probes on functions of the kernel, of its modules, and of other programs: fentry, fexit, kprobe, kretprobe.

    types = KernelTypes("mac80211")
    a = Trace("fentry", types.function("ieee80211_tx_status_ext"))
    status = a.argument("status")
    a.read(R6, status.info.flags)
    with a.if_(R6, "&", types.constant("IEEE80211_TX_STAT_ACK")):
        ...
    a.ret(0)
    with a.program("acks").load() as program, attach_trace(program):
        ...

Types, fields and functions are those of the kernel that runs, by its BTF: no headers, no compiler. What it
does not have is named, all of it at once, when the program is made (NotSupported).
"""

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

from meshlens.ebpf.assembler import AssemblyError
from meshlens.ebpf.btf import Btf, Kind, Parameter
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.insn import R1, R3, R9, R10, Reg
from meshlens.ebpf.kernel_btf import btf_by_id, kernel_btf, module_btf
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.program import ProgramSpec
from meshlens.ebpf.structured import Asm, Slot
from meshlens.ebpf.target import HOOKS, Hook, Target, open_program
from meshlens.ebpf.trace_link import attach_trace
from meshlens.ebpf.view import (
    Place,
    View,
    behind,
    cast,
    container_of,
    exists,
    first_of,
    place_of,
    size_of,
)
from meshlens.errors import NotSupported, UsageError

__all__ = [
    "Function",
    "Hook",
    "KernelTypes",
    "Target",
    "Trace",
    "View",
    "attach_trace",
    "cast",
    "container_of",
    "exists",
    "first_of",
    "program_function",
    "size_of",
]

# Where functions find their arguments, and leave their result: fields of struct pt_regs, by machine
# (PT_REGS_PARM1() and so on in the kernel's tools/lib/bpf/bpf_tracing.h).
_REGISTERS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "x86_64": (("di", "si", "dx", "cx", "r8", "r9"), "ax"),
    "aarch64": (tuple(f"regs[{number}]" for number in range(8)), "regs[0]"),
    "riscv64": (tuple(f"a{number}" for number in range(8)), "a0"),
    "ppc64le": (tuple(f"gpr[{number}]" for number in range(3, 11)), "gpr[3]"),
    "s390x": (tuple(f"gprs[{number}]" for number in range(2, 7)), "gprs[2]"),
}

# What the kernel hands to a function that traces a program, by what the program itself is given
# (btf_ctx_access() in kernel/bpf/btf.c).
_CONTEXTS: Final = {"xdp_md": "xdp_buff", "__sk_buff": "sk_buff"}


class Function(NamedTuple):
    """A function to trace, with the types by which its arguments are read."""

    name: str
    btf: Btf
    parameters: tuple[Parameter, ...]
    result: int
    module: str = ""
    program_id: int = 0


class KernelTypes:
    """The types of the running kernel and of the modules named, which have to be loaded.

    `btfs` are other ones, by module ("" is the kernel), to make programs for another kernel.
    Raises NotSupported if there is no BTF.
    """

    def __init__(self, *modules: str, btfs: Mapping[str, Btf] | None = None) -> None:
        self._btfs = (
            dict(btfs) if btfs else {each: module_btf(each) for each in modules} or {"": kernel_btf()}
        )

    def btf(self, module: str = "") -> Btf:
        """The types of one of the modules; of the kernel, where it is none of them."""
        return self._btfs.get(module) or kernel_btf()

    def function(self, *names: str) -> Function:
        """The first of the functions that the kernel has. Raises NotSupported that names all of them."""
        for name in names:
            for module, btf in self._btfs.items():
                found = btf.find(name, Kind.FUNC)
                if found is not None:
                    of_kernel = btf.base is not None and found < len(btf.base)
                    parameters = tuple(btf.parameters(found))
                    return Function(name, btf, parameters, btf.result(found), "" if of_kernel else module)
        raise NotSupported(
            f"this kernel has no function {' or '.join(names)} (inlined, renamed or not built)"
        )

    def constant(self, *names: str) -> int:
        """The value of the first constant of an enumeration that the kernel has. Raises NotSupported."""
        for name in names:
            for btf in self._btfs.values():
                if (value := btf.enumerator(name)) is not None:
                    return value
        raise NotSupported(f"this kernel has no constant {' or '.join(names)}")


def program_function(program_id: int) -> Function:
    """The main function of an XDP or SCHED_CLS program; its argument is the kernel's xdp_buff or sk_buff.

    Raises NotSupported if the program was loaded without BTF, PermissionDenied, MeshlensError if it is gone.
    """
    from meshlens.ebpf.info import program_btf_info, program_info

    with open_program(program_id) as handle:
        name = program_info(handle.fileno()).name
        btf_id, number = program_btf_info(handle.fileno())
    if not btf_id:
        raise NotSupported(f"program {program_id} ({name}) was loaded without BTF: it cannot be traced")
    theirs, types = btf_by_id(btf_id), kernel_btf()
    (context,) = theirs.parameters(number)
    given = theirs.name(theirs.plain(theirs.target(theirs.plain(context.type))))
    known = types.find(_CONTEXTS.get(given, ""), Kind.STRUCT)
    pointer = types.pointer_to(known) if known else None
    if pointer is None:
        raise NotSupported(
            f"program {program_id} ({name}) is given a {given or 'nothing'}: it cannot be traced"
        )
    result = types.find("int", Kind.INT) or 0
    return Function(theirs.name(number), types, (Parameter(context.name, pointer),), result, "", program_id)


class Trace(Asm):
    """The assembler for a probe on `function`, with reads of its arguments and all that they lead to.

    The program's context is kept in `context`, which is set at the start.
    """

    def __init__(self, hook: Hook, function: Function, *, context: Reg = R9) -> None:
        super().__init__()
        self.hook, self.function = hook, function
        self.missing: list[str] = []
        self._context = context
        self._fetched: Slot | None = None
        self.mov(context, R1)

    @property
    def returns(self) -> bool:
        """Whether the probe runs after the function."""
        return self.hook in ("fexit", "kretprobe")

    def argument(self, which: str | int) -> View:
        """An argument of the function, by name or number from 0. kretprobes have none."""
        parameters, size = self.function.parameters, self.function.btf.size
        names = [each.name for each in parameters]
        number = names.index(which) if which in names else which
        text = f"{self.function.name}({which})"
        if not isinstance(number, int) or number >= len(parameters):
            return self._nothing(text, f"{text}: the arguments are {', '.join(names) or 'none'}")
        if self.hook == "kretprobe":
            raise UsageError(f"{text}: a kretprobe has no arguments; use fexit, or a kprobe")
        words = [-(-size(each.type) // 8) for each in parameters]  # a small struct may take two
        before, type = sum(words[:number]), parameters[number].type
        if self.hook == "kprobe":
            registers, _ = self._registers()
            return self._register(registers[before], type, text)
        place = Place(self.function.btf, None, (8 * before,), type, text, direct=1, trusted=True)
        return View(place)

    def result(self) -> View:
        """What the function returned (fexit, kretprobe)."""
        text = f"{self.function.name}()"
        if self.hook == "kretprobe":
            return self._register(self._registers()[1], self.function.result, text)
        if self.hook != "fexit":
            raise UsageError(f"{text}: a {self.hook} runs before there is a result; use fexit or kretprobe")
        words = sum(-(-self.function.btf.size(each.type) // 8) for each in self.function.parameters)
        return View(Place(self.function.btf, None, (8 * words,), self.function.result, text, 1, trusted=True))

    def read(self, dst: Reg, view: View) -> None:
        """Dst = the value of a view of 1, 2, 4 or 8 bytes, or of a bit-field; sign-extended if it is signed.

        What lies behind a pointer that the verifier does not know, which are all of a kprobe, is read by a
        helper: R0-R5 are undefined afterwards. 0 where the memory cannot be read, as behind NULL.
        """
        place = place_of(view)
        if place.missing:
            self.missing.append(place.missing)
            return
        size = place.btf.size(place.type)
        if not place.trail:
            self.mov(dst, _base(place))
        elif place.bits:
            self._read_bits(dst, place)
        elif size in (1, 2, 4, 8):
            self._load(dst, place, size)
            if size < 8 and place.btf.signed(place.type):
                self.alu("<<=", dst, 64 - 8 * size)
                self.alu("s>>=", dst, 64 - 8 * size)
        else:
            raise AssemblyError(f"{place.text} has {size} bytes, which no register holds: copy() it")

    def hold(self, dst: Reg, view: View) -> View:
        """Reads a pointer into `dst`; the view of it there, from where its fields are shorter ways."""
        self.read(dst, view)
        place = place_of(view)
        trusted = place.trusted and place.direct == len(place.trail)
        return View(place._replace(base=dst, trail=(), direct=0, trusted=trusted))

    def copy(self, slot: Slot, view: View) -> None:
        """Fills a slot with the memory from where the view is on, or with zeros if it cannot be read.

        R0-R5 are undefined afterwards; R0 is 0 if it could.
        """
        place = place_of(view)
        if place.missing:
            self.missing.append(place.missing)
            return
        self.address_of(R3, view)
        self.call(Helper.probe_read_kernel, slot, slot.size)

    def copied(self, view: View) -> View:
        """A structure, or the one a pointer leads to, in a copy on the stack: no field needs a helper.

        This is the way to unions too, in which the verifier knows only some of the fields (btf_struct_walk()
        in kernel/bpf/btf.c). R0-R5 are undefined afterwards.
        """
        inside = behind(place_of(view))
        slot = self.slot(max(1, size_of(View(inside))))
        self.copy(slot, View(inside))
        return View(inside._replace(base=R10, trail=(slot.offset,), direct=1, trusted=False))

    def address_of(self, dst: Reg, view: View) -> None:
        """Dst = where the view is in memory. Uses R0-R5 as read() does."""
        place = place_of(view)
        if place.missing:
            self.missing.append(place.missing)
            return
        if len(place.trail) > 1:
            self._load(dst, place._replace(trail=place.trail[:-1]), 8)
        else:
            self.mov(dst, self._context if place.base is None else place.base)
        self.alu("+=", dst, place.trail[-1])

    def program(self, name: str, *, maps: Mapping[str, MapSpec] | None = None) -> ProgramSpec:
        """The finished program. Raises NotSupported that names each field which the kernel does not have."""
        if self.missing:
            raise NotSupported(f"program {name!r} does not fit this kernel: {'; '.join(self.missing)}")
        type, attach_type = HOOKS[self.hook]
        function = self.function
        target = Target(self.hook, function.name, function.module, function.program_id)
        return ProgramSpec(
            name, type, self, maps=maps, license="GPL", expected_attach_type=attach_type, attach_to=target
        )

    def _load(self, dst: Reg, place: Place, size: int) -> None:
        """Follow the trail; the last load has `size` bytes."""
        base = self._context if place.base is None else place.base
        for number, offset in enumerate(place.trail):
            width = size if number == len(place.trail) - 1 else 8
            if number >= place.direct:
                self._fetch(dst, base, offset, width)
            elif offset <= 0x7FFF:
                self.load(dst, base, offset, width)
            else:
                self.mov(dst, base)
                self.alu("+=", dst, offset)
                self.load(dst, dst, 0, width)
            base = dst

    def _fetch(self, dst: Reg, base: Reg, offset: int, size: int) -> None:
        """Dst = what stands at base + offset, by a helper."""
        if self._fetched is None:
            self._fetched = self.slot(8)
        slot = self._fetched._replace(size=size)
        if base != R3:
            self.mov(R3, base)
        self.alu("+=", R3, offset)
        self.call(Helper.probe_read_kernel, slot, size)
        self.get(dst, slot)

    def _read_bits(self, dst: Reg, place: Place) -> None:
        """Bits are counted from the lowest of the first byte; on big-endian machines, from the highest."""
        size = 1 << (-(-(place.bit + place.bits) // 8) - 1).bit_length()
        if size > 8:
            raise AssemblyError(f"{place.text} is spread over more than 8 bytes: copy() it")
        if place.base is R10 and place.trail[-1] % size:
            place = self._aligned(dst, place, size)
        self._load(dst, place, size)
        left = 64 - place.bit - place.bits
        self.alu("<<=", dst, left if self.byteorder == "little" else 64 - 8 * size + place.bit)
        signed = place.btf.signed(place.type)
        self.alu("s>>=" if signed else ">>=", dst, 64 - place.bits)

    def _aligned(self, dst: Reg, place: Place, size: int) -> Place:
        """The same bytes of the stack where they may be loaded at once."""
        if self._fetched is None:
            self._fetched = self.slot(8)
        for number in range(size):
            self.load(dst, R10, place.trail[-1] + number, 1)
            self.store(R10, self._fetched.offset + number, dst, 1)
        return place._replace(trail=(self._fetched.offset,))

    def _registers(self) -> tuple[tuple[str, ...], str]:
        machine = os.uname().machine
        if machine not in _REGISTERS:
            raise NotSupported(f"where functions find their arguments on {machine} is not known: use fentry")
        return _REGISTERS[machine]

    def _register(self, name: str, type: int, text: str) -> View:
        """What a register held, as a kprobe is told: its context is a struct pt_regs."""
        btf = self.function.btf
        registers = View(Place(btf, None, (0,), btf.find("pt_regs", Kind.STRUCT) or 0, "pt_regs", direct=1))
        field, _, number = name.rstrip("]").partition("[")
        view = registers[field][int(number)] if number else registers[field]
        return View(place_of(view)._replace(type=type, text=text))

    def _nothing(self, text: str, missing: str) -> View:
        return View(Place(self.function.btf, None, (), 0, text, missing=missing))


def _base(place: Place) -> Reg:
    assert place.base is not None
    return place.base

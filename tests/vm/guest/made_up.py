"""Kernel structures that are made up in a map's memory, for programs to read as if they were the kernel's.

What no simulated radio reports can so be told to a program: it is run as a raw tracepoint's, whose arguments
are given (BPF_PROG_TEST_RUN), and reads what they point to with the helper that kprobes read with.
"""

import copy
import struct
from typing import Final

from meshlens.ebpf import R1, Asm, MapSpec, MapType, Program, ProgramSpec, ProgramType
from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.constants import BPF_F_MMAPABLE, AttachType, Command
from meshlens.ebpf.syscall import bpf, pointer
from meshlens.ebpf.tracing import Trace, View
from meshlens.ebpf.view import Place, place_of

__all__ = ["Memory", "argument", "as_raw_tracepoint", "run"]

_BYTES: Final = 1 << 17


class Memory:
    """Room for structures, at addresses that programs can read from."""

    def __init__(self) -> None:
        a = Asm()
        a.map_value(R1, "memory")
        a.store(R1, 0, R1, 8)  # where it is
        a.ret(0)
        memory = MapSpec("memory", MapType.ARRAY, 4, _BYTES, 1, BPF_F_MMAPABLE)
        self._program = ProgramSpec(
            "where", ProgramType.RAW_TRACEPOINT, a, maps={"memory": memory}, license="GPL"
        ).load()
        self._bytes = self._program.maps["memory"].mmap()
        run(self._program)
        self._start: int = struct.unpack_from("=Q", self._bytes)[0]
        self._used = 64

    def hold(self, content: bytes) -> int:
        """The address of these bytes."""
        at = self._used
        self._used = -(-(at + len(content)) // 64) * 64
        assert self._used <= _BYTES, "no more room"
        self._bytes[at : at + len(content)] = content
        return self._start + at

    def structure(self, btf: Btf, name: str) -> View:
        """A structure of zeros; its fields are written by put()."""
        type = btf.find(name, Kind.STRUCT)
        assert type is not None, name
        return self.view(btf, name, self.hold(bytes(btf.size(type))))

    def view(self, btf: Btf, name: str, address: int) -> View:
        """What is at an address, as a structure."""
        type = btf.find(name, Kind.STRUCT)
        assert type is not None, name
        return View(Place(btf, None, (address - self._start,), type, name, direct=1))

    def address(self, view: View) -> int:
        """Of a structure or of a field in it."""
        (at,) = place_of(view).trail
        return self._start + at

    def read(self, view: View) -> int:
        """A number."""
        place = place_of(view)
        (at,) = place.trail
        return int.from_bytes(self._bytes[at : at + place.btf.size(place.type)], "little")

    def put(self, view: View, value: int | bytes) -> None:
        """Write a number, a bit-field or bytes."""
        place = place_of(view)
        assert not place.missing, place.missing
        (at,) = place.trail
        if isinstance(value, bytes):
            self._bytes[at : at + len(value)] = value
            return
        size = -(-(place.bit + place.bits) // 8) if place.bits else place.btf.size(place.type)
        before = int.from_bytes(self._bytes[at : at + size], "little")
        mask = (1 << (place.bits or 8 * size)) - 1
        number = before & ~(mask << place.bit) | (value & mask) << place.bit
        self._bytes[at : at + size] = number.to_bytes(size, "little")


def argument(self: Trace, which: str | int) -> View:
    """In the place of Trace.argument(): as a raw tracepoint is given arguments, numbers to the verifier."""
    names = [each.name for each in self.function.parameters]
    number = names.index(which) if isinstance(which, str) else which
    type = self.function.parameters[number].type
    return View(Place(self.function.btf, None, (8 * number,), type, str(which), direct=1))


def as_raw_tracepoint(spec: ProgramSpec) -> ProgramSpec:
    """The program of a probe, to be run by us."""
    spec = copy.copy(spec)
    spec.type, spec.attach_to, spec.expected_attach_type = ProgramType.RAW_TRACEPOINT, None, AttachType(0)
    return spec


def run(program: Program, *arguments: int) -> None:
    """Run it once, on CPU 0."""
    context = bytearray(struct.pack("=12Q", *arguments, *[0] * (12 - len(arguments))))
    attributes = struct.pack(
        "=IIIIQQIIIIQQII", program.fileno(), 0, 0, 0, 0, 0, 0, 0, len(context), 0, pointer(context), 0, 0, 0
    )
    bpf(Command.PROG_TEST_RUN, bytearray(attributes))

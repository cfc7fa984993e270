"""The eBPF kit: programs, maps and links of the kernel, in Python, with nothing but bpf(2).

A *spec* (MapSpec, ProgramSpec) is data that can be built, printed, compared and tested without a kernel;
loading it gives an *object* (Map, Program, Link) that owns a descriptor.
"""

from meshlens.ebpf.assembler import AssemblyError, Code
from meshlens.ebpf.constants import (
    ANY,
    BPF_F_MMAPABLE,
    BPF_F_NO_COMMON_LRU,
    BPF_F_NO_PREALLOC,
    BPF_F_RDONLY_PROG,
    BPF_F_WRONLY_PROG,
    EXIST,
    NOEXIST,
    AttachType,
    LinkType,
    MapType,
    ProgramType,
)
from meshlens.ebpf.contexts import Skb, Xdp, pack_context, unpack_context
from meshlens.ebpf.cpus import possible_cpus
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.info import MapInfo, ProgramInfo
from meshlens.ebpf.insn import (
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
    ByteOrder,
    Insn,
    Reg,
    decode,
    encode,
)
from meshlens.ebpf.maps import Map, MapSpec
from meshlens.ebpf.program import Program, ProgramSpec
from meshlens.ebpf.structured import Asm, Slot
from meshlens.ebpf.syscall import BpfError
from meshlens.ebpf.testrun import TestRun
from meshlens.ebpf.verifier import VerifierError

__all__ = [
    "ANY",
    "BPF_F_MMAPABLE",
    "BPF_F_NO_COMMON_LRU",
    "BPF_F_NO_PREALLOC",
    "BPF_F_RDONLY_PROG",
    "BPF_F_WRONLY_PROG",
    "EXIST",
    "NOEXIST",
    "R0",
    "R1",
    "R2",
    "R3",
    "R4",
    "R5",
    "R6",
    "R7",
    "R8",
    "R9",
    "R10",
    "Asm",
    "AssemblyError",
    "AttachType",
    "BpfError",
    "ByteOrder",
    "Code",
    "Helper",
    "Insn",
    "LinkType",
    "Map",
    "MapInfo",
    "MapSpec",
    "MapType",
    "Program",
    "ProgramInfo",
    "ProgramSpec",
    "ProgramType",
    "Reg",
    "Skb",
    "Slot",
    "TestRun",
    "VerifierError",
    "Xdp",
    "decode",
    "encode",
    "pack_context",
    "possible_cpus",
    "unpack_context",
]

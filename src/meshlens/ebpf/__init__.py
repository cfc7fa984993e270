"""The eBPF kit: programs, maps and links of the kernel, in Python, with nothing but bpf(2).

A *spec* (MapSpec, ProgramSpec) is data that can be built, printed, compared and tested without a kernel;
loading it gives an *object* (Map, Program, Link) that owns a descriptor. Probes on kernel functions are
in `meshlens.ebpf.tracing`.
"""

from meshlens.ebpf.assembler import AssemblyError, Code
from meshlens.ebpf.attach import (
    XdpMode,
    attach_btf_tracepoint,
    attach_clsact,
    attach_raw_tracepoint,
    attach_socket,
    attach_tc,
    attach_tcx,
    attach_xdp,
)
from meshlens.ebpf.bpffs import BPFFS, is_bpffs, mount_bpffs
from meshlens.ebpf.capabilities import drop_capabilities, has_capability
from meshlens.ebpf.clsact import Side, sweep
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
from meshlens.ebpf.features import Feature, has_tcx
from meshlens.ebpf.helpers import Helper
from meshlens.ebpf.info import LinkInfo, MapInfo, ProgramInfo
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
from meshlens.ebpf.link import Link, open_link
from meshlens.ebpf.maps import Map, MapSpec
from meshlens.ebpf.program import Program, ProgramSpec
from meshlens.ebpf.query import Attachment, attached, iter_links, iter_maps, iter_programs, program_by_id
from meshlens.ebpf.ringbuf import RingBuffer
from meshlens.ebpf.statistics import run_statistics
from meshlens.ebpf.structured import Asm, Slot
from meshlens.ebpf.syscall import BpfError
from meshlens.ebpf.testrun import TestRun
from meshlens.ebpf.verifier import VerifierError

__all__ = [
    "ANY",
    "BPFFS",
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
    "Attachment",
    "BpfError",
    "ByteOrder",
    "Code",
    "Feature",
    "Helper",
    "Insn",
    "Link",
    "LinkInfo",
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
    "RingBuffer",
    "Side",
    "Skb",
    "Slot",
    "TestRun",
    "VerifierError",
    "Xdp",
    "XdpMode",
    "attach_btf_tracepoint",
    "attach_clsact",
    "attach_raw_tracepoint",
    "attach_socket",
    "attach_tc",
    "attach_tcx",
    "attach_xdp",
    "attached",
    "decode",
    "drop_capabilities",
    "encode",
    "has_capability",
    "has_tcx",
    "is_bpffs",
    "iter_links",
    "iter_maps",
    "iter_programs",
    "mount_bpffs",
    "open_link",
    "pack_context",
    "possible_cpus",
    "program_by_id",
    "run_statistics",
    "sweep",
    "unpack_context",
]

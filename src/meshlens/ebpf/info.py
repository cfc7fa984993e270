"""What the kernel tells about its maps, programs and links (BPF_OBJ_GET_INFO_BY_FD and fdinfo)."""

import struct
from typing import NamedTuple

from meshlens.ebpf.constants import AttachType, Command, LinkType, MapType, ProgramType
from meshlens.ebpf.syscall import bpf, pointer, translate

__all__ = [
    "LinkInfo",
    "MapInfo",
    "ProgramInfo",
    "c_string",
    "link_info",
    "map_info",
    "object_info",
    "program_btf_info",
    "program_info",
]

_LINK_BYTES = 64
_MAP = struct.Struct("=6I16s")
# struct bpf_prog_info up to attach_btf_id; older kernels fill less, the rest stays 0.
_PROGRAM = struct.Struct("=II8sIIQQQIIQ16sIIQQIIQQIIQIIQQIIIIQQQQIII4x")

_FUNC_INFO_AT = 136  # behind btf_id and func_info_rec_size


class MapInfo(NamedTuple):
    """A map as the kernel has it; sizes in bytes, `memlock_bytes` is all the memory it takes."""

    id: int
    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: int
    memlock_bytes: int


class ProgramInfo(NamedTuple):
    """A program as the kernel has it.

    `tag` is a hash of its instructions, `xlated_bytes` its size after the verifier, `jited_bytes` as machine
    code,
    `run_count` and `run_time_ns` what it did while statistics were on, `verified_insns` the verifier's
    effort (0 before Linux 5.16), `loaded_ns` when it was loaded (nanoseconds since boot).
    """

    id: int
    tag: str
    name: str
    type: ProgramType
    xlated_bytes: int
    jited_bytes: int
    run_count: int
    run_time_ns: int
    recursion_misses: int
    verified_insns: int
    memlock_bytes: int
    map_ids: tuple[int, ...]
    loaded_ns: int
    created_by_uid: int


class LinkInfo(NamedTuple):
    """A link as the kernel has it; `ifindex` is 0 once the interface is gone, `tracepoint` "" elsewhere."""

    id: int
    type: LinkType
    program_id: int
    ifindex: int
    attach_type: AttachType
    tracepoint: str


def object_info(fd: int, buffer: bytearray) -> None:
    """Lets the kernel fill `buffer` with what it knows about the object behind `fd`."""
    attributes = bytearray(struct.pack("=IIQ", fd, len(buffer), pointer(buffer)))
    try:
        bpf(Command.OBJ_GET_INFO_BY_FD, attributes)
    except OSError as error:
        raise translate(error, "ask the kernel about a BPF object") from error


def map_info(fd: int) -> MapInfo:
    """What the kernel knows about the map behind `fd`."""
    buffer = bytearray(_MAP.size)
    object_info(fd, buffer)
    kind, identifier, key_size, value_size, max_entries, flags, name = _MAP.unpack(buffer)
    return MapInfo(
        identifier, c_string(name), MapType(kind), key_size, value_size, max_entries, flags, memlock_bytes(fd)
    )


def program_info(fd: int) -> ProgramInfo:
    """What the kernel knows about the program behind `fd`."""
    buffer = bytearray(_PROGRAM.size)
    object_info(fd, buffer)
    fields = _PROGRAM.unpack(buffer)
    kind, identifier, tag, jited_bytes, xlated_bytes, _, _, loaded_ns, uid, map_count, _, name = fields[:12]
    run_time_ns, run_count, recursion_misses, verified_insns = fields[-6:-2]
    return ProgramInfo(
        id=identifier,
        tag=tag.hex(),
        name=c_string(name),
        type=ProgramType(kind),
        xlated_bytes=xlated_bytes,
        jited_bytes=jited_bytes,
        run_count=run_count,
        run_time_ns=run_time_ns,
        recursion_misses=recursion_misses,
        verified_insns=verified_insns,
        memlock_bytes=memlock_bytes(fd),
        map_ids=_map_ids(fd, map_count),
        loaded_ns=loaded_ns,
        created_by_uid=uid,
    )


def program_btf_info(fd: int) -> tuple[int, int]:
    """The id of the BTF that a program was loaded with, and the number of its main function's type there.

    Both are 0 for a program without.
    """
    functions, buffer = (
        bytearray(8),
        bytearray(_PROGRAM.size),
    )  # struct bpf_func_info: where it begins, its type
    struct.pack_into("=I", buffer, _FUNC_INFO_AT - 4, len(functions))
    struct.pack_into("=QI", buffer, _FUNC_INFO_AT, pointer(functions), 1)
    object_info(fd, buffer)
    (btf_id,) = struct.unpack_from("=I", buffer, _FUNC_INFO_AT - 8)
    return btf_id, struct.unpack("=II", functions)[1]


def memlock_bytes(fd: int) -> int:
    """The memory behind a map or program, as /proc/self/fdinfo states it."""
    with open(f"/proc/self/fdinfo/{fd}") as lines:
        return next((int(line.split()[1]) for line in lines if line.startswith("memlock:")), 0)


def c_string(field: bytes) -> str:
    """The text in a fixed-size field, up to its zero byte."""
    return field.split(b"\0", 1)[0].decode(errors="replace")


def _map_ids(fd: int, count: int) -> tuple[int, ...]:
    if not count:
        return ()
    identifiers = bytearray(4 * count)
    buffer = bytearray(_PROGRAM.size)
    struct.pack_into("=IQ", buffer, 52, count, pointer(identifiers))
    object_info(fd, buffer)
    return struct.unpack(f"={count}I", identifiers)


def link_info(fd: int) -> LinkInfo:
    """What the kernel knows about the link behind `fd`."""
    buffer = bytearray(_LINK_BYTES)
    object_info(fd, buffer)
    kind, identifier, program_id = struct.unpack_from("=III", buffer)
    if kind == LinkType.RAW_TRACEPOINT:  # its name has to be asked for, with room for it
        name, buffer = bytearray(128), bytearray(_LINK_BYTES)
        struct.pack_into("=QI", buffer, 16, pointer(name), len(name))
        object_info(fd, buffer)
        return LinkInfo(
            identifier, LinkType(kind), program_id, 0, AttachType.TRACE_RAW_TP, c_string(bytes(name))
        )
    first, second = struct.unpack_from("=II", buffer, 16)
    ifindex = first if kind in (LinkType.XDP, LinkType.TCX, LinkType.NETKIT) else 0
    attach_type = {
        LinkType.XDP: AttachType.XDP, LinkType.TCX: second, LinkType.NETKIT: second, LinkType.TRACING: first,
    }.get(kind, 0)  # fmt: skip
    return LinkInfo(identifier, LinkType(kind), program_id, ifindex, AttachType(attach_type), "")

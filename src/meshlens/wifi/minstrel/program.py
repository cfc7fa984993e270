"""The program that copies Minstrel's table of a station into a map.

It runs where mac80211 asks Minstrel what throughput a station may expect (sta_set_sinfo(), net/mac80211/
sta_info.c): at each station dump of nl80211, for each station, and at no frame. So nothing is copied unless
somebody asks, and who asks has all tables as they are at that moment.

The map `tables` has an entry for each station: its key says who it is, its value when and from which
interface, and then the memory of its struct minstrel_ht_sta as it stands in the kernel.
"""

import struct
from typing import Final, NamedTuple

from meshlens.ebpf import ANY, R0, R1, R2, R3, R6, R7, R8, Helper, MapSpec, MapType
from meshlens.ebpf.program import ProgramSpec
from meshlens.ebpf.structured import Slot
from meshlens.ebpf.tracing import Function, Hook, Trace, cast, container_of

__all__ = ["FULL", "FUNCTION", "HEAD", "KEY", "Head", "Key", "copying", "read_head", "read_key"]

FUNCTION: Final = "minstrel_ht_get_expected_throughput"

#: MAC address, index of the interface, number of its network namespace.
KEY: Final = struct.Struct("=6s2xII")
#: When (CLOCK_MONOTONIC), name of the interface. What is copied comes behind it.
HEAD: Final = struct.Struct("=Q16s")
#: The array `missed`: stations that found no room in `tables`.
FULL: Final = 0


class Key(NamedTuple):
    """Whose table it is."""

    mac: bytes
    ifindex: int
    namespace: int


class Head(NamedTuple):
    """What is known of a table beside it."""

    time_ns: int
    interface: str


def read_key(data: bytes) -> Key:
    """A key of the map `tables`."""
    return Key(*KEY.unpack(data))


def read_head(value: bytes) -> Head:
    """The beginning of a value of the map `tables`."""
    time_ns, name = HEAD.unpack_from(value)
    return Head(time_ns, name.split(b"\0")[0].decode(errors="replace"))


def copying(hook: Hook, function: Function, size: int, max_stations: int) -> ProgramSpec:
    """Copies the `size` bytes of a station. Raises NotSupported for fields that the kernel does not have."""
    a = Trace(hook, function)
    key, nothing = a.slot(KEY.size), a.slot(4)
    mac, ifindex, namespace = (Slot(key.offset + at, width) for at, width in ((0, 6), (8, 4), (12, 4)))
    a.put(Slot(key.offset, 8), 0)
    a.put(nothing, 0)

    minstrel = cast(a.hold(R6, a.argument("priv_sta")), "struct minstrel_ht_sta")
    sta = a.hold(R7, minstrel.sta)
    a.copy(mac, sta.addr)
    device = a.hold(R7, container_of(sta, "struct sta_info", "sta").sdata.dev)
    a.read(R8, device.ifindex)
    a.put(ifindex, R8)
    a.read(R8, device.nd_net.net.ns.inum)
    a.put(namespace, R8)

    # An entry is made of one that is empty: no program has the stack to hold it.
    with a.lookup("empty", nothing):
        a.mov(R8, R0)
        a.call(Helper.map_update_elem, "tables", key, R8, ANY)
    with a.lookup("tables", key):
        a.mov(R8, R0)
        a.call(Helper.ktime_get_ns)
        a.store(R8, 0, R0, 8)
        a.address_of(R3, device.name)
        a.mov(R1, R8)
        a.alu("+=", R1, 8)
        a.call(Helper.probe_read_kernel, R1, 16, R3)
        a.mov(R1, R8)
        a.alu("+=", R1, HEAD.size)
        a.call(Helper.probe_read_kernel, R1, size, R6)
        a.ret(0)
    with a.lookup("missed", nothing):
        a.mov(R2, 1)
        a.atomic_add(R0, 8 * FULL, R2, 8)
    a.ret(0)
    value = HEAD.size + size
    maps = [
        MapSpec("tables", MapType.HASH, KEY.size, value, max_stations),
        MapSpec("empty", MapType.ARRAY, 4, value, 1),
        MapSpec("missed", MapType.ARRAY, 4, 8, 1),
    ]
    return a.program("minstrel", maps={each.name: each for each in maps})

"""A program for every hook that counts frames of our own, so that nothing else on the wire disturbs."""

import sys

from meshlens.ebpf import (
    R1,
    R2,
    R3,
    R4,
    R6,
    Asm,
    Helper,
    MapSpec,
    MapType,
    Program,
    ProgramSpec,
    ProgramType,
    Xdp,
)  # fmt: skip

ETHERTYPE = 0x88B5  # IEEE 802: local experimental
FRAME = b"\xff" * 6 + b"\2\0\0\0\0\1" + ETHERTYPE.to_bytes(2, "big") + bytes(46)
NEXT = {ProgramType.SCHED_CLS: -1, ProgramType.XDP: 2, ProgramType.SOCKET_FILTER: 0}
_TYPE_IN_MEMORY = int.from_bytes(ETHERTYPE.to_bytes(2, "big"), sys.byteorder)


def counter(kind: ProgramType, name: str = "counter", verdict: int | None = None) -> ProgramSpec:
    """Counts FRAMEs in `hits` and lets everything go on (or returns `verdict`)."""
    a = Asm()
    found = a.slot(2)
    if kind is ProgramType.XDP:
        a.field(R2, R1, Xdp.data)
        a.field(R3, R1, Xdp.data_end)
        a.mov(R4, R2)
        a.alu("+=", R4, 14)
        a.mov(R6, 0)
        with a.if_(R4, "<=", R3):
            a.load(R6, R2, 12, 2)
    else:
        a.put(found, 0)
        a.call(Helper.skb_load_bytes, R1, 12, found, 2)
        a.get(R6, found)
    with a.if_(R6, "==", _TYPE_IN_MEMORY):
        a.map_value(R1, "hits")
        a.mov(R2, 1)
        a.atomic_add(R1, 0, R2, 8)
    a.ret(NEXT[kind] if verdict is None else verdict)
    return ProgramSpec(name, kind, a, maps={"hits": MapSpec("hits", MapType.ARRAY, 4, 8, 1)})


def hits(program: Program) -> int:
    value = program.maps["hits"].lookup(0)
    assert value is not None
    return int.from_bytes(value, sys.byteorder)

"""What it costs to see flows as a model does: the first packets of each, and all later ones.

In BPF_PROG_TEST_RUN, without a model: what a verdict adds is in `classify_kernel`. A later packet finds its
flow, and would get the mark of its class.
"""

from collections.abc import Callable, Iterator
from statistics import fmean, median

from bench.inputs import by_kind, payload
from bench.measure import difference, ns_by_kind
from bench.programs import empty_program, load
from bench.report import Figure
from meshlens.classify.flow.features import PACKETS
from meshlens.classify.flow.program import flow_program
from meshlens.classify.kernel.entry import SAMPLES
from meshlens.ebpf import Program
from meshlens.packet import craft

_FRAMES = {"TCP": "client/tcp", "UDP": "client/udp", "TCP in batman-adv": "unicast/tcp"}
_MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"
_SERVER = "198.51.100.1"
_ROOM = 1 << 14
_SYN, _PUSH = 0x02, 0x18

#: Packets of a client, by its address.
_FIRST: dict[str, Callable[[str], bytes]] = {
    "SYN": lambda client: craft.tcp(
        client, _SERVER, 40_000, 443, flags=_SYN, options=bytes.fromhex("020405b401030307")
    ),
    "TLS": lambda client: craft.tcp(
        client, _SERVER, 40_000, 443, b"\x16\x03\x01\x02\x00\x01" + bytes(511), flags=_PUSH
    ),
    "DNS": lambda client: craft.udp(client, _SERVER, 40_000, 53, b"\x12\x34\1\0\0\1" + bytes(30)),
}


def figures(quick: bool) -> Iterator[Figure]:
    program, empty = load(flow_program("in", max_entries=_ROOM)), empty_program("tc")
    flows = 500 if quick else 4_000
    for name, packet in _FIRST.items():
        ours, nothing = (_first_packets(each, packet, flows) for each in (program, empty))
        title = f"the first {PACKETS} packets of a flow, {name}: each, above an empty program"
        yield Figure(title, ours - nothing, "ns", at_most=300)
        for key, _ in list(program.maps[SAMPLES].items()):
            program.maps[SAMPLES].delete(key)
    for name, kind in _FRAMES.items():
        later, base = ns_by_kind([program, empty], by_kind(payload(), kind), quick=quick)
        above = fmean(difference(later, base).values())
        yield Figure(f"a later packet, {name}, above an empty program", above, "ns", at_most=80)


def _first_packets(program: Program, packet: Callable[[str], bytes], flows: int) -> float:
    """The median over flows; the first packet of each, for which an entry is made, is one of its packets."""
    frames = (
        craft.ip_frame(_MACS[0], packet(f"10.1.{number >> 8}.{number & 0xFF}"), _MACS[1])
        for number in range(flows)
    )
    return median(program.test_run(frame, repeat=PACKETS).duration_ns for frame in frames)

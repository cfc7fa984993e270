"""Stations of frames that come in, counted where the argument says, and what is left attached afterwards."""

import sys
from collections.abc import Iterable

import meshlens
from meshlens.ebpf.features import has_coarse_clock
from meshlens.packet.replay import replay
from meshlens.probes.count.plan import HookMode
from meshlens.probes.stations.record import Station
from tests.kernel.count.traffic import FRAMES, MTU, RATE_PPS
from tests.vm.guest.links import alone, answer, shell, veth


def timeless(stations: Iterable[Station]) -> list[str]:
    """What the stations sent, apart from when and where it was seen."""
    return sorted(
        repr((
            each.mac, each.kind, each.in_packets, each.in_bytes, each.unicast, each.multicast, each.broadcast,
            sorted(each.seen), each.dhcp, each.syn,
        ))
        for each in stations
        if each.in_packets
    )  # fmt: skip


def main(attach: HookMode) -> None:
    alone()
    veth("near0", "far0", mtu=MTU)
    with meshlens.stations("far0", attach=attach) as session:
        replay("near0", [frame.data for frame in FRAMES], rate_pps=RATE_PPS / 5)
        seen = timeless(session.stations())
    answer({
        "stations": seen, "missed": session.missed, "coarse_clock": has_coarse_clock(),
        "left": shell("bpftool net show dev far0; tc filter show dev far0 ingress").count("meshlens"),
    })  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])  # type: ignore[arg-type]

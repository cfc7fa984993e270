"""An evening at a made-up mesh gateway: traffic that swells and bursts as that of people does."""

import math
import random
from collections import defaultdict
from typing import Final

from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count, Direction
from meshlens.probes.stations.record import Station, StationKind
from meshlens.probes.traffic.record import InterfaceTraffic, Traffic
from meshlens.readings.reading import Reading

__all__ = ["Gateway"]

#: Name, bytes per second that come in and go out on average, and what the frames are.
_INTERFACES: Final = (
    ("br-client", 900_000, 4_100_000, {0x0800: 0.55, 0x86DD: 0.42, 0x0806: 0.02, -1: 0.01}),
    ("bat0", 1_000_000, 3_600_000, {0x0800: 0.52, 0x86DD: 0.44, 0x0806: 0.04}),
    ("mesh-lan", 700_000, 1_900_000, {0x4305: 0.99, 0x88CC: 0.01}),
    ("mesh0", 520_000, 1_400_000, {0x4305: 0.98, 0x888E: 0.02}),
    ("wan0", 4_300_000, 1_100_000, {0x0800: 0.61, 0x86DD: 0.385, 0x0806: 0.005}),
)
_STATIONS: Final[tuple[tuple[str, str, str, StationKind, float], ...]] = (
    ("annas-laptop", "a4:cf:12:5e:01:7c", "Intel Corporate", "station", 0.29),
    ("living-room-tv", "cc:6e:a4:90:22:11", "Samsung Electronics", "station", 0.24),
    ("", "7a:31:0c:9b:e0:45", "", "station", 0.13),
    ("Pixel-8", "d6:0f:42:77:3a:e1", "", "station", 0.10),
    ("games-pc", "2c:f0:5d:18:aa:03", "Micro-Star INTL", "station", 0.07),
    ("library-printer", "00:1b:a9:c4:55:20", "Brother Industries", "station", 0.02),
    ("ESP-5C31F0", "24:6f:28:5c:31:f0", "Espressif Inc.", "station", 0.01),
    ("", "50:c7:bf:31:d2:88", "TP-Link Systems", "originator", 0.11),
    ("", "e8:94:f6:07:b1:6a", "TP-Link Systems", "originator", 0.08),
    ("node-church-tower", "c4:ad:34:7e:10:92", "MikroTik", "originator", 0.06),
    ("cam-yard", "9c:8e:cd:12:0f:64", "Amcrest", "inner", 0.05),
    ("", "b2:55:9e:43:c8:17", "", "inner", 0.03),
)
_FILTERS: Final = (
    ("UCAST:TCP", 0.62), ("UCAST:UDP", 0.21), ("BCAST", 0.06), ("OGM", 0.035), ("BCAST:MDNS", 0.022),
    ("BCAST:ARP", 0.014), ("MCAST", 0.012), ("BCAST:ND", 0.009), ("ELP", 0.006), ("BCAST:DHCP", 0.002),
)  # fmt: skip
_FLOWS: Final = (
    ("tcp", "10.130.8.21", 51_844, "198.51.100.34", 443, 0.26),
    ("udp", "2001:db8:8::4c1", 59_310, "2001:db8:ff::17", 443, 0.22),
    ("tcp", "10.130.8.77", 40_112, "203.0.113.9", 443, 0.12),
    ("tcp", "2001:db8:8::9a2", 38_006, "2001:db8:40::5", 8080, 0.08),
    ("udp", "10.130.9.4", 27_015, "192.0.2.201", 27_015, 0.05),
    ("tcp", "10.130.8.140", 55_920, "192.0.2.25", 993, 0.02),
    ("udp", "10.130.8.21", 5353, "224.0.0.251", 5353, 0.008),
    ("udp", "10.130.8.21", 47_121, "10.130.0.1", 53, 0.004),
    ("icmp6", "2001:db8:8::4c1", 0, "2001:db8::1", 0, 0.002),
)
_WAYS: Final[tuple[Direction, Direction]] = ("in", "out")
_FRAME_BYTES: Final = 760


class Gateway:
    """Counters that go on with every `step()`, the same in every run."""

    def __init__(self, *, start_ns: int, seed: int = 8) -> None:
        self._random = random.Random(seed)
        self._now_ns = self._start_ns = start_ns
        self._bytes: defaultdict[object, int] = defaultdict(int)
        self._phases: defaultdict[object, float] = defaultdict(lambda: self._random.random() * 40)
        self._bursts: defaultdict[object, float] = defaultdict(float)

    def step(self, seconds: float = 1.0) -> Reading:
        """The state so much later."""
        self._now_ns += round(seconds * 1e9)
        return Reading(
            self._now_ns,
            tuple(self._interface(number, seconds) for number in range(len(_INTERFACES))),
            tuple(self._station(*each, seconds) for each in _STATIONS),
            tuple(self._flow(*each, seconds) for each in _FLOWS),
            (),
            tuple(
                self._count(name, share, interface, way, seconds)
                for name, share in _FILTERS
                for interface in ("mesh0", "mesh-lan")
                for way in _WAYS
            ),
            {
                "interfaces": {"unknown_cpu": 0},
                "stations": {"map_full": 0},
                "flows": {"map_full": 0, "fetched": 3},
                "count": {"unreadable": 0},
            },
            tuple(self._costs(seconds)),
        )

    def _grow(self, what: object, mean: float, seconds: float) -> int:
        """Add to a counter of bytes: a slow wave, now and then a burst that dies away, and noise."""
        t = (self._now_ns - self._start_ns) / 1e9 + self._phases[what]
        wave = 0.72 + 0.2 * math.sin(t / 17) + 0.12 * math.sin(t / 5.3 + 1)
        if self._random.random() < 0.025 * seconds:
            self._bursts[what] = 0.5 + 1.4 * self._random.random()
        self._bursts[what] *= 0.86**seconds
        rate = mean * (wave + self._bursts[what]) * self._random.uniform(0.93, 1.07)
        self._bytes[what] += round(rate * seconds)
        return self._bytes[what]

    def _interface(self, number: int, seconds: float) -> InterfaceTraffic:
        name, came, went, kinds = _INTERFACES[number]
        traffic = []
        for way, mean in zip(_WAYS, (came, went), strict=True):
            size = self._grow((name, way), mean, seconds)
            packets = size // _FRAME_BYTES
            shares = {kind: (int(packets * share), int(size * share)) for kind, share in kinds.items()}
            traffic.append(Traffic(way, packets, size, packets, 0, 0, shares, (0,) * 16))
        mac = f"02:ba:7a:df:10:{number:02x}"
        return InterfaceTraffic(name, number + 2, mac, True, 1_000_000_000, tuple(traffic))

    def _station(
        self, name: str, mac: str, vendor: str, kind: StationKind, share: float, seconds: float
    ) -> Station:
        interface = "br-client" if kind == "station" else "mesh0"
        sent, received = (
            self._grow((mac, way), share * mean, seconds)
            for way, mean in zip(_WAYS, (900_000, 4_000_000), strict=True)
        )
        packets = sent // 300, received // 1100
        return Station(
            interface, mac, kind, self._start_ns, self._now_ns, packets[0], sent, packets[1], received,
            packets[0], 0, 0, {}, (0,) * 16, (0,) * 32, frozenset(), name=name, vendor=vendor,
        )  # fmt: skip

    def _flow(
        self, protocol: str, src: str, src_port: int, dst: str, dst_port: int, share: float, seconds: float
    ) -> Flow:
        key = (src, src_port, dst)
        sent = self._grow((key, "in"), share * 500_000, seconds)
        back = 0 if dst.startswith("224.") else self._grow((key, "out"), share * 3_800_000, seconds)
        return Flow(
            "br-client", protocol, src, src_port, dst, dst_port, "in", self._start_ns, self._now_ns,
            sent // 240, sent, back // 1200, back, 0, 0, "active", (), (), (),
        )  # fmt: skip

    def _count(self, name: str, share: float, interface: str, way: Direction, seconds: float) -> Count:
        size = self._grow((name, interface, way), share * 900_000, seconds)
        return Count(name, interface, way, size // 400, size)

    def _costs(self, seconds: float) -> list[ProbeCost]:
        costs = []
        for probe, ns, size, memory in (
            ("interfaces", 14, 148, 131_072), ("stations", 38, 912, 4 << 20), ("flows", 53, 804, 5 << 20),
            ("count", 21, 1310, 65_536),
        ):  # fmt: skip
            for name, came, went, _ in _INTERFACES:
                for way, mean in zip(_WAYS, (came, went), strict=True):
                    runs = self._grow((probe, name, way), mean, seconds) // _FRAME_BYTES
                    costs.append(ProbeCost(probe, name, way, size, memory, runs, runs * ns))
        return costs

"""Made-up readings, the same in every run: a gateway with six interfaces, 200 stations and 580 filters.

`reading(step)` is the state `step` seconds after the start, made without the steps before it, so that
`readings(3)` and `reading(100_000)` are as cheap as they look. What can be relied on:

- counters grow with every step, each at a pace of its own;
- `FLAPPING` is gone in the steps of `GONE` and comes back with another index; its counts stand still
  meanwhile and go on after, its stations fall silent;
- `flows` are going on; a flow that comes to its end is in `ended` of exactly one step;
- `reading(step, since=s)` is that of a process which began at step s: all counters are 0 there.
"""

from functools import lru_cache
from hashlib import blake2b

from meshlens.probes.cost import ProbeCost
from meshlens.probes.flows.record import Flow
from meshlens.probes.snapshot import Count, Direction
from meshlens.probes.stations.record import DhcpFingerprint, Station, StationKind, SynSignature
from meshlens.probes.traffic.record import InterfaceTraffic, Traffic
from meshlens.readings.reading import Reading
from meshlens.wifi.joined.record import RateCount, WifiStation
from meshlens.wifi.monitor.record import FrameCount, Transmitter
from meshlens.wifi.rates import Rate as WifiRate

#: Monday, 2026-11-23 10:00:00 UTC.
START_NS = 1_795_428_000_000_000_000
SECOND_NS = 1_000_000_000
INTERFACES = ("bat0", "br-client", "eth0", "mesh-vpn", "mesh0", "mesh1")
#: The steps in which this interface is not there.
FLAPPING, GONE = "mesh1", range(20, 30)
STATIONS, FLOWS, FILTERS, WIFI = 200, 300, 580, 6
MESH_BSSID, FAST = "02:ba:7a:df:00:04", WifiRate("legacy", 54.0)
DIRECTIONS: tuple[Direction, ...] = ("in", "out")
#: Four scopes with the same 145 filters in each, as in the lists of Freifunk communities.
SCOPES = ("", "bat15:bcast:", "bat15:unicast:", "bat15:mcast:")

_PROTOCOLS = ("arp", "ipv4", "ipv6", "tcp", "udp", "mdns", "dhcp", "icmp6")
_VENDORS = ("Espressif Inc.", "AVM GmbH", "TP-Link Systems Inc.", "Apple, Inc.", "")


def readings(number: int, *, first: int = 0, since: int = 0, filters: int = FILTERS) -> list[Reading]:
    """So many readings, a second apart."""
    return [reading(step, since=since, filters=filters) for step in range(first, first + number)]


def reading(step: int, *, since: int = 0, filters: int = FILTERS) -> Reading:
    """The state `step` seconds after `START_NS`, counted from step `since` on, by the first `filters`.

    Without filters it is made ten times as fast.
    """
    return Reading(
        time_ns=time_of(step),
        interfaces=tuple(_interface(name, step, since) for name in present(step)),
        stations=tuple(_station(number, step, since) for number in range(STATIONS)),
        flows=tuple(_flow(number, step) for number in range(FLOWS) if _age(number, step) < _life(number)),
        ended=tuple(_flow(number, step) for number in range(FLOWS) if _age(number, step) == _life(number)),
        counts=tuple(
            Count(each, name, direction, *_counted(f"{each} {name} {direction}", name, step, since))
            for name in INTERFACES
            for direction in DIRECTIONS
            for each in FILTER_IDS[:filters]
        ),
        missed={
            "count": {"unreadable": 0, "inconsistent": 0, "unknown_cpu": 0},
            "interfaces": {"unknown_cpu": 0},
            "stations": {"map_full": grown("missed", step - since, 3)},
            "flows": {"map_full": 0, "ring_full": grown("ring", step - since, 1), "fetched": 0},
        },
        wifi=tuple(_wifi(number, step, since) for number in range(WIFI)),
        transmitters=tuple(_transmitter(number, step, since) for number in range(WIFI)),
        costs=tuple(
            ProbeCost(probe, name, direction, size, memory, *_runs(name, direction, probe, step, since))
            for probe, size, memory in (
                ("count", 5286, 262_144), ("interfaces", 120, 65_536), ("stations", 480, 1 << 20),
                ("flows", 610, 5 << 20),
            )
            for name in present(step)
            for direction in DIRECTIONS
        ),
    )  # fmt: skip


def time_of(step: int) -> int:
    """Nanoseconds since the epoch."""
    return START_NS + step * SECOND_NS


def present(step: int) -> tuple[str, ...]:
    """The interfaces that are there."""
    return tuple(name for name in INTERFACES if name != FLAPPING or step not in GONE)


def grown(what: str, steps: int, pace: int) -> int:
    """A counter after so many steps: `pace` a step on average, another for each `what`, never less.

    Within a step it is ahead by less than the pace, so that two steps never differ by nothing (for a pace
    above 0).
    """
    return pace * steps + _chance(what) * steps % pace if steps > 0 else 0


def mac_of(number: int) -> str:
    """A station's address; every third is made up, as phones do."""
    return f"{'02' if number % 3 == 0 else 'a4'}:cf:12:00:{number >> 8:02x}:{number & 255:02x}"


def _filter_id(number: int) -> str:
    scope, port = SCOPES[number * len(SCOPES) // FILTERS], number % (FILTERS // len(SCOPES))
    names = (
        "all",
        "arp",
        "arp:request",
        "arp:reply",
        "ip",
        "ip6",
        "icmp6",
        "icmp6:ra",
        "tcp",
        "dhcp",
        "mdns",
    )
    return scope + (names[port] if port < len(names) else f"udp:port-{port}")


#: The ids of the filters, each once.
FILTER_IDS = tuple(_filter_id(number) for number in range(FILTERS))


@lru_cache(50_000)
def _chance(what: str) -> int:
    return int.from_bytes(blake2b(what.encode(), digest_size=4).digest())


def _pace(what: str, most: int) -> int:
    """Packets a step, most of them few: as traffic is."""
    return 1 + most * (_chance(what) % 100) ** 3 // 100**3


def _steps(interface: str, step: int, since: int) -> int:
    """The steps in which an interface was there, of those from `since` to `step`."""
    gone = [each for each in GONE if since < each <= step] if interface == FLAPPING else []
    return step - since - len(gone)


def _counted(what: str, interface: str, step: int, since: int) -> tuple[int, int]:
    """Packets and bytes. Every fifth thing is never seen."""
    if _chance(what) % 5 == 0:
        return 0, 0
    packets = grown(what, _steps(interface, step, since), _pace(what, 400))
    return packets, packets * (60 + _chance(what) % 1400)


def _runs(name: str, direction: str, probe: str, step: int, since: int) -> tuple[int, int]:
    runs = grown(f"{name} {direction}", _steps(name, step, since), 2000)
    return runs, runs * (20 + len(probe) * 3)


def _interface(name: str, step: int, since: int) -> InterfaceTraffic:
    number = INTERFACES.index(name)
    came_back = name == FLAPPING and step >= GONE.stop
    return InterfaceTraffic(
        name,
        index=number + 2 + (10 if came_back else 0),
        mac=f"02:ba:7a:df:00:{number:02x}",
        up=True,
        speed_bps=1_000_000_000 if name == "eth0" else None,
        traffic=tuple(_traffic(name, direction, step, since) for direction in DIRECTIONS),
        drops={"rx_dropped": grown("drops", _steps(name, step, since), 2)} if name.startswith("mesh") else {},
        verdicts={"pass": grown("xdp", _steps(name, step, since), 900)} if name == "eth0" else {},
    )


def _traffic(name: str, direction: Direction, step: int, since: int) -> Traffic:
    what = f"{name} {direction}"
    packets = grown(what, _steps(name, step, since), 2000)
    multicast, broadcast = packets // 7, packets // 11
    kinds = {0x0800: packets // 2, 0x86DD: packets // 4, 0x0806: packets // 16}
    kinds[0x4305 if name.startswith("mesh") else -1] = packets - sum(kinds.values())
    size = 200 + _chance(what) % 800
    return Traffic(
        direction,
        packets,
        packets * size,
        unicast=packets - multicast - broadcast,
        multicast=multicast,
        broadcast=broadcast,
        ethertypes={kind: (number, number * size) for kind, number in kinds.items()},
        sizes=tuple(packets if bucket == size.bit_length() - 1 else 0 for bucket in range(16)),
    )


def _station(number: int, step: int, since: int) -> Station:
    interface = INTERFACES[number % len(INTERFACES)]
    mesh = interface.startswith("mesh")
    kind: StationKind = ("originator" if number % 4 == 0 else "inner") if mesh else "station"
    steps, what = _steps(interface, step, since), f"station {number}"
    in_packets, out_packets = grown(what, steps, _pace(what, 90)), grown(what + "<", steps, _pace(what, 60))
    packets = in_packets + out_packets
    multicast, broadcast = in_packets // 9, in_packets // 13
    last = GONE.start - 1 if interface == FLAPPING and step in GONE else step
    tells = number % 10 == 1
    return Station(
        interface,
        mac_of(number),
        kind,
        time_of(since),
        time_of(last),
        in_packets,
        in_packets * 180,
        out_packets,
        out_packets * 640,
        in_packets - multicast - broadcast,
        multicast,
        broadcast,
        {each: packets * (8 - at) // 40 for at, each in enumerate(_PROTOCOLS)},
        tuple(packets // 3 if bucket in {6, 8, 10} else 0 for bucket in range(16)),
        tuple(in_packets // 8 if 8 <= bucket < 16 else 0 for bucket in range(32)),
        frozenset({"mdns", "dad"} if tells else ()),
        DhcpFingerprint((53, 61, 12, 60, 55), (1, 3, 6, 15, 119), "MSFT 5.0", f"host-{number}")
        if tells
        else None,
        SynSignature(64, 64240, 1460, (2, 4, 8, 1, 3)) if tells else None,
        f"host-{number}" if tells else "",
        "" if number % 3 == 0 else _VENDORS[number % len(_VENDORS)],
    )


def _wifi(number: int, step: int, since: int) -> WifiStation:
    """Every other one is known by nl80211 alone."""
    steps, what = step - since, f"wifi {number}"
    tx, rx = grown(what, steps, _pace(what, 90)), grown(what + "<", steps, _pace(what, 60))
    hooked = number % 2 == 0
    return WifiStation(
        interface="mesh0", mac=mac_of(number), kind="ap", bssid=MESH_BSSID, ssid="mesh", frequency_mhz=2412,
        connected_s=step + 60, tx_frames=tx, tx_bytes=tx * 700, tx_acked=tx - tx // 50, tx_failed=tx // 50,
        tx_attempts=tx + tx // 9, tx_retries=tx // 9, tx_mbps=54.0, rx_frames=rx, rx_bytes=rx * 200,
        rx_retries=rx // 20 if hooked else None, signal_dbm=-60 - number, signal_mean_dbm=-60.5 - number,
        signals={-64: rx} if hooked and rx else {}, noise_dbm=-95 if hooked else None,
        snr_db=34.5 - number if hooked else None, expected_mbps=20.5,
        tx_rates=(RateCount(rate=FAST, attempts=tx, frames=tx, acked=tx),) if hooked else (),
        sources={"tx_frames": "tx-status" if hooked else "nl80211"},
        missing={} if hooked else {"tx_rates": "no BTF", "snr_db": "no noise, or no signal, is told"},
    )  # fmt: skip


def _transmitter(number: int, step: int, since: int) -> Transmitter:
    what = f"air {number}"
    frames = grown(what, step - since, _pace(what, 90))
    return Transmitter(
        interface="mon0", mac=mac_of(number), bssid=MESH_BSSID, frequency_mhz=2412, first_ns=time_of(since),
        last_ns=time_of(step), frames=frames, bytes=frames * 300, retries=frames // 10, damaged=frames // 90,
        kinds={"qos-data": FrameCount(frames, frames * 300)}, rates=(), signal_dbm=-50 - number,
        signal_min_dbm=-70, signal_max_dbm=-45, signal_mean_dbm=-55.5 - number, signals={-56: frames},
        noise_dbm=None, noise_mean_dbm=None, ampdus=0, ampdu_frames=0,
    )  # fmt: skip


def _life(number: int) -> int:
    """Steps that the flows at this place go on; the last of a turn it is a flow that has ended."""
    return 4 + _chance(f"life {number}") % 60


def _age(number: int, step: int) -> int:
    return (step + number) % (_life(number) + 1)


def _flow(number: int, step: int) -> Flow:
    """Places take turns: when a flow has ended, another one begins there with another port."""
    age, life = _age(number, step), _life(number)
    turn = (step + number) // (life + 1)
    what = f"flow {number} {turn}"
    ended = age == life
    moments = min(age, life - 1)
    sent = 1 + grown(what, moments, _pace(what, 50))
    back = grown(what + "<", moments, _pace(what, 70))
    tcp = number % 3 != 0
    first_ns = time_of(step - age) + 1_000 * number
    return Flow(
        INTERFACES[number % len(INTERFACES)],
        "tcp" if tcp else "udp",
        f"10.0.{number % 4}.{number % 250 + 1}" if number % 5 else f"fe80::{number:x}",
        20_000 + (number * 131 + turn * 17) % 40_000,
        f"192.0.2.{number % 30 + 1}" if number % 5 else "ff02::fb",
        (443, 53, 80, 22)[number % 4] if number % 5 else 5353,
        DIRECTIONS[number % 2],
        first_ns,
        first_ns + moments * SECOND_NS,
        sent,
        sent * 120,
        back,
        back * 900,
        (0x1B if ended else 0x1A) if tcp else 0,
        (0x1B if ended else 0x1A) if tcp else 0,
        "idle" if ended else None,
        (74, 66, 583)[: min(3, sent)],
        (1, 1, 1)[: min(3, sent)],
        (0, 21_000_000, 400_000)[: min(3, sent)],
    )

"""Reports of drivers that no simulated radio gives, made up; what the programs make of them."""

import struct
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from meshlens.ebpf.kernel_btf import kernel_btf, module_btf
from meshlens.ebpf.tracing import KernelTypes, Trace, size_of
from meshlens.probes.tally import read_outcomes
from meshlens.wifi.hooks import heard, sent
from meshlens.wifi.hooks.layout import (
    HOMES,
    OUTCOMES,
    RATES,
    RECEIVERS,
    STATIONS,
    TALLY,
    Entry,
    RateCount,
    RateKey,
    StationKey,
    hook_maps,
)
from meshlens.wifi.hooks.record import record
from tests.vm.guest.links import answer, shell
from tests.vm.guest.made_up import Memory, argument, as_raw_tracepoint, run

OURS, BSSID = bytes.fromhex("020000000001"), bytes.fromhex("02aabbccddee")
IFINDEX, WIPHY = 77, 3
BITRATES = {0: [10, 20, 55, 110, 60]}
NOTHING: Mapping[Any, int] = {}
WHOLE = {"signal": -40, "rate_idx": 4}
QOS_DATA, DATA, TO_DS, FROM_DS, RETRY = 0x88, 0x08, 0x01, 0x02, 0x08


class World:
    """One radio with one interface, and the two programs."""

    def __init__(self) -> None:
        self.mac80211, self.cfg80211 = module_btf("mac80211"), module_btf("cfg80211")
        self.types = KernelTypes("mac80211", "cfg80211")
        self.memory = memory = Memory()
        self.hw = memory.structure(self.mac80211, "ieee80211_hw")
        device = memory.structure(self.cfg80211, "cfg80211_registered_device")
        memory.put(device.wiphy_idx, WIPHY)
        memory.put(self.hw.wiphy, memory.address(device.wiphy))
        memory.put(self.hw.max_report_rates, 4)
        self.net = memory.structure(kernel_btf(), "net")
        memory.put(self.net.ns.inum, Path("/proc/self/ns/net").stat().st_ino)
        self.dev = memory.structure(kernel_btf(), "net_device")
        memory.put(self.dev.ifindex, IFINDEX)
        memory.put(self.dev.nd_net.net, memory.address(self.net))
        self.sdata = memory.structure(self.mac80211, "ieee80211_sub_if_data")
        memory.put(self.sdata.dev, memory.address(self.dev))
        maps = {name: spec.create() for name, spec in hook_maps(64).items() if name != TALLY}
        self.maps = maps
        Trace.argument = argument  # type: ignore[method-assign]
        made = {
            "sent": (sent.sent_program, sent.FUNCTIONS),
            "frame alone": (sent.sent_program, sent.FUNCTIONS[1:]),
            "heard": (heard.heard_program, heard.FUNCTIONS),
        }
        self.programs = {
            name: as_raw_tracepoint(make("kprobe", self.types.function(*names), self.types, 64)).load(maps)
            for name, (make, names) in made.items()
        }
        maps[RECEIVERS].update(OURS + struct.pack("=H", WIPHY), IFINDEX)

    def station(self, number: int) -> int:
        """The address of a struct ieee80211_sta."""
        sta = self.memory.structure(self.mac80211, "sta_info")
        self.memory.put(sta.sdata, self.memory.address(self.sdata))
        self.memory.put(sta.sta.addr, mac(number))
        return self.memory.address(sta.sta)

    def flags(self, *names: str) -> int:
        return sum(self.types.constant(name) for name in names)

    def has(self, name: str) -> bool:
        return self.mac80211.enumerator(name) is not None

    def skb(self, frame: bytes) -> int:
        skb = self.memory.structure(kernel_btf(), "sk_buff")
        self.memory.put(skb.data, self.memory.hold(frame))
        self.memory.put(skb.len, len(frame))
        self.memory.put(skb.dev, self.memory.address(self.dev))
        return self.memory.address(skb)

    def report(
        self,
        sta: int,
        frame: bytes | None,
        flagged: tuple[str, ...] = ("IEEE80211_TX_STAT_ACK",),
        rates: tuple[tuple[int, int, int], ...] = ((4, 1, 0),),
        described: tuple[dict[str, int], ...] = (),
        status: Mapping[str, int] = NOTHING,
        mute: bool = False,
    ) -> None:
        """A status with rates (index, count, flags), or described ones; `mute`: without a report in it."""
        memory = self.memory
        info = memory.structure(self.mac80211, "ieee80211_tx_info")
        memory.put(info.flags, self.flags(*flagged))
        for number in range(4):
            index, count, rate_flags = rates[number] if number < len(rates) else (-1, 0, 0)
            memory.put(info.status.rates[number].idx, index)
            memory.put(info.status.rates[number].count, count)
            memory.put(info.status.rates[number].flags, rate_flags)
        for name, value in status.items():
            memory.put(info.status[name], value)
        report = memory.structure(self.mac80211, "ieee80211_tx_status")
        memory.put(report.sta, sta)
        memory.put(report.info, 0 if mute else memory.address(info))
        skb = self.skb(frame) if frame else 0
        memory.put(report.skb, skb)
        if mute and skb:
            cb = memory.address(memory.view(kernel_btf(), "sk_buff", skb).cb)
            memory.put(memory.view(self.mac80211, "ieee80211_tx_info", cb)["flags"], self.flags(*flagged))
        if described:
            size = size_of(memory.structure(self.mac80211, "ieee80211_rate_status"))
            start = memory.hold(bytes(size * len(described)))
            for number, values in enumerate(described):
                each = memory.view(self.mac80211, "ieee80211_rate_status", start + number * size)
                memory.put(each.try_count, values.pop("tries"))
                for name, value in values.items():
                    memory.put(each.rate_idx[name], value)
            memory.put(report.rates, start)
            memory.put(report.n_rates, len(described))
        run(self.programs["sent"], memory.address(self.hw), memory.address(report))

    def frame_alone(self, frame: bytes) -> None:
        """A status as drivers hand it in with the frame, of one attempt that was acknowledged."""
        skb = self.memory.view(kernel_btf(), "sk_buff", self.skb(frame))
        info = self.memory.view(self.mac80211, "ieee80211_tx_info", self.memory.address(skb.cb))
        self.memory.put(info["flags"], self.flags("IEEE80211_TX_STAT_ACK"))
        self.memory.put(info.status.rates[0].count, 1)
        self.memory.put(info.status.rates[1].idx, -1)
        run(self.programs["frame alone"], self.memory.address(self.hw), self.memory.address(skb))

    def hear(
        self,
        frame: bytes,
        flagged: tuple[str, ...] = (),
        sta: int = 0,
        reception: Mapping[str, int] = NOTHING,
        chains: Mapping[int, int] = NOTHING,
        header_at: int = 0,
    ) -> None:
        """A reception; `header_at` is where the header begins, counted from skb->head."""
        memory = self.memory
        skb = memory.view(kernel_btf(), "sk_buff", self.skb(frame))
        memory.put(skb.head, memory.read(skb.data))
        memory.put(skb.mac_header, header_at)
        status = memory.view(self.mac80211, "ieee80211_rx_status", memory.address(skb.cb))
        memory.put(status.flag, self.flags(*flagged))
        for name, value in reception.items():
            memory.put(status[name], value)
        for chain, signal in chains.items():
            memory.put(status.chain_signal[chain], signal)
        run(self.programs["heard"], memory.address(self.hw), sta, memory.address(skb))

    def told(self, number: int) -> dict[str, object] | None:
        """What is known of a station."""
        rates = [
            (key.rate, RateCount.unpack(value))
            for key, value in ((RateKey.unpack(key), value) for key, value in self.maps[RATES].items())
            if key.station.mac == mac(number)
        ]
        for key, value in self.maps[STATIONS].items():
            station = StationKey.unpack(key)
            if station.mac == mac(number):
                assert station.ifindex == IFINDEX
                told = asdict(record("wlan0", station.mac, Entry.unpack(value), rates, BITRATES))
                return {name: value for name, value in told.items() if name not in ("last_ns", "mac")}
        return None

    def outcomes(self) -> dict[str, dict[str, int]]:
        found = {}
        for purpose, program in self.programs.items():
            with program.maps[TALLY].mmap() as tally:
                found[purpose] = {name: n for name, n in read_outcomes(tally, OUTCOMES).items() if n}
        return found


def mac(number: int) -> bytes:
    return b"\x02\0\0\0\1" + bytes([number])


def frame(kind: int, flags: int, first: bytes, second: bytes, sequence: int = 0, tid: int = 0) -> bytes:
    """A header with QoS control, and 100 bytes."""
    header = bytes([kind, flags, 0, 0]) + first + second + BSSID + struct.pack("<H", sequence << 4)
    return header + (bytes([tid, 0]) if kind & 0x80 else b"") + bytes(100)


def main() -> None:
    shell("modprobe mac80211")
    world = World()
    for case in (aggregates, described, odd_reports, receptions, damaged, duplicates):
        case(world)
    names = (
        "aggregate", "described", "no skb", "filtered", "no sta", "signals", "few rates", "chains",
        "no signal", "with FCS", "802.3", "damaged", "duplicates", "foreign", "frame alone", "mute",
    )  # fmt: skip
    answer({
        "stations": {name: world.told(number) for number, name in enumerate(names)},
        "outcomes": world.outcomes(),
        "homes": len(list(world.maps[HOMES].items())),
    })  # fmt: skip


def aggregates(world: World) -> None:
    sta, ht = world.station(0), 0x08 | 0x20 | 0x80  # MCS, 40 MHz, short guard
    world.report(
        sta, frame(QOS_DATA, TO_DS, mac(0), OURS),
        ("IEEE80211_TX_STAT_ACK", "IEEE80211_TX_CTL_AMPDU", "IEEE80211_TX_STAT_AMPDU"),
        ((5, 2, ht), (3, 1, ht)), status={"ampdu_len": 10, "ampdu_ack_len": 7, "tx_time": 1234},
    )  # fmt: skip
    world.report(
        sta, frame(QOS_DATA, TO_DS, mac(0), OURS), ("IEEE80211_TX_STAT_ACK", "IEEE80211_TX_CTL_AMPDU"),
        ((9, 9, ht),),
    )  # fmt: skip


def described(world: World) -> None:
    world.report(
        world.station(1), frame(QOS_DATA, FROM_DS, mac(1), OURS), rates=(),
        described=(
            {"tries": 3, "flags": 0x02 | 0x04, "mcs": 8, "nss": 2, "bw": 4},  # VHT, short guard, 80 MHz
            {"tries": 1, "flags": 0x10, "mcs": 11, "nss": 1, "bw": 6, "he_gi": 1, "he_dcm": 1,
             "he_ru_alloc": 2},
        ),
    )  # fmt: skip
    world.report(world.station(1), None, rates=(), described=({"tries": 1, "legacy": 540},))
    eht = {"tries": 2, "flags": 0x80, "mcs": 12, "nss": 2, "bw": 5, "eht_gi": 1}
    world.report(world.station(1), None, rates=(), described=(eht,))


def odd_reports(world: World) -> None:
    world.report(world.station(2), None)
    world.report(world.station(3), frame(DATA, TO_DS, mac(3), OURS), ("IEEE80211_TX_STAT_TX_FILTERED",))
    world.report(0, frame(DATA, FROM_DS, mac(4), OURS), ("IEEE80211_TX_CTL_NO_ACK",))
    for signal in ({"ack_signal": 35}, {"ack_signal": -61, "flags": 1}, {"ack_signal": -67}):
        world.report(world.station(5), frame(DATA, TO_DS, mac(5), OURS), status=signal)
    world.frame_alone(frame(DATA, TO_DS, mac(14), OURS))
    ethernet = ("IEEE80211_TX_CTL_HW_80211_ENCAP",)  # the radio makes the header: none is here
    world.report(
        world.station(15),
        mac(15) + OURS + bytes(60),
        ethernet,
        described=({"tries": 0, "legacy": 540},),
        mute=True,
    )
    world.report(0, frame(DATA, FROM_DS, mac(15), OURS), (), mute=True)
    world.report(world.station(15), frame(DATA, TO_DS, mac(15), OURS), ("IEEE80211_TX_STAT_ACK",))
    world.memory.put(world.hw.max_report_rates, 1)
    world.report(world.station(6), frame(DATA, TO_DS, mac(6), OURS), rates=((4, 2, 0), (0, 7, 0)))
    world.memory.put(world.hw.max_report_rates, 4)
    world.memory.put(world.net.ns.inum, 1)
    world.report(world.station(13), frame(DATA, TO_DS, mac(13), OURS))
    world.memory.put(world.net.ns.inum, Path("/proc/self/ns/net").stat().st_ino)


def receptions(world: World) -> None:
    ours = frame(QOS_DATA, TO_DS, OURS, mac(7))
    he = ("RX_FLAG_RADIOTAP_HE", "RX_FLAG_RADIOTAP_LSIG")
    told = {"signal": -50, "chains": 0b101, "encoding": 3, "rate_idx": 9, "nss": 2, "bw": 4, "he_gi": 2}
    chains = {0: -52, 1: -1, 2: -70}  # of the second one nothing is said
    world.hear(bytes(16) + ours, he, 0, told, chains)
    if world.has("RX_FLAG_RADIOTAP_TLV_AT_END"):  # Linux 6.4
        world.hear(bytes(40) + ours, ("RX_FLAG_RADIOTAP_TLV_AT_END",), 0, told, chains, header_at=40)
    else:
        world.hear(ours, (), 0, told, chains)
    world.hear(frame(DATA, TO_DS, OURS, mac(8)), ("RX_FLAG_NO_SIGNAL_VAL",), 0, {"signal": -1, "rate_idx": 4})
    includes_fcs = 1 << world.flags("IEEE80211_HW_RX_INCLUDES_FCS")
    world.memory.put(world.hw["flags"][0], includes_fcs)
    world.hear(frame(DATA, TO_DS, OURS, mac(9)) + bytes(4), reception=WHOLE)
    world.memory.put(world.hw["flags"][0], 0)
    world.hear(bytes(60), ("RX_FLAG_8023",), world.station(10), WHOLE)
    world.hear(bytes(60), ("RX_FLAG_8023",))  # and no station: whose is it?
    world.hear(frame(DATA, TO_DS, mac(99), mac(8)), reception=WHOLE)  # to another
    world.hear(frame(DATA, FROM_DS, b"\xff" * 6, mac(98)), reception=WHOLE)  # to all, from a stranger
    world.hear(bytes([0xB4, 0, 0, 0]) + OURS + mac(8))  # RTS
    world.hear(bytes(12))


def damaged(world: World) -> None:
    world.hear(frame(DATA, TO_DS, OURS, mac(11)), reception=WHOLE)
    for flag in ("RX_FLAG_FAILED_FCS_CRC", "RX_FLAG_FAILED_FCS_CRC", "RX_FLAG_FAILED_PLCP_CRC"):
        world.hear(frame(DATA, TO_DS, OURS, mac(11)), (flag,), reception=WHOLE)
    world.hear(frame(DATA, TO_DS, OURS, mac(97)), ("RX_FLAG_FAILED_FCS_CRC",))


def duplicates(world: World) -> None:
    """Only the last of each row has been there before: not another TID's, not one without the bit Retry."""
    for retry, sequence, tid in (
        (0, 5, 0), (RETRY, 5, 1), (RETRY, 5, 0),
        (0, 6, 0), (0, 6, 0), (RETRY, 7, 0), (RETRY, 6, 1), (RETRY, 7, 0),
    ):  # fmt: skip
        world.hear(frame(QOS_DATA, TO_DS | retry, OURS, mac(12), sequence, tid), reception=WHOLE)
    world.hear(frame(QOS_DATA | 0x40, TO_DS, OURS, mac(12), 7), reception=WHOLE)  # without data
    world.hear(frame(0xD0, RETRY, OURS, mac(12), 8), reception=WHOLE)  # an action frame


if __name__ == "__main__":
    main()

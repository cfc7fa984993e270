"""Minstrel's tables of two stations, one of 802.11n and one of 802.11g, beside what the kernel says itself.

The witnesses are programs of their own: one counts what was reported to Minstrel, one reads the same memory
field by field, one hears what the kernel reckons; and the kernel's constant tables are read as they stand.
"""

import socket
import struct
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from meshlens.ebpf import ANY, R0, R1, R2, R3, R6, R7, R8, Helper, MapSpec, MapType, Program
from meshlens.ebpf.btf import Btf, Kind
from meshlens.ebpf.program import ProgramSpec
from meshlens.ebpf.structured import Slot
from meshlens.ebpf.tracing import KernelTypes, Trace, attach_trace, cast
from meshlens.wifi.minstrel.record import MinstrelTable
from meshlens.wifi.minstrel.session import MinstrelTables, minstrel_tables
from tests.vm.guest.links import answer, shell
from tests.vm.guest.medium import Link, Medium, mac

#: Access point, its station, channel, whether it has 802.11n.
CELLS = (("wlan0", "wlan1", 1, 1), ("wlan2", "wlan3", 6, 0))
FRAMES = 60
#: How often each frame in turn is sent until it gets through, to either station; 0: it never does.
TRIES = {(0, 1): (1, 2, 1, 0, 3), (2, 3): (2, 1)}
VOICE = 256 + 6  # such frames are not put into A-MPDUs, of which mac80211_hwsim does not tell what became
READ_GROUPS, RATES = (0, 1, 16, 17), 10  # HT with one and two streams, CCK, OFDM
STATION_FIELDS = (
    "avg_ampdu_len", "max_prob_rate", "overhead", "overhead_legacy", "total_packets", "sample_packets",
)  # fmt: skip
RATE_FIELDS = (
    "attempts", "last_attempts", "success", "last_success", "att_hist", "succ_hist", "prob_avg",
    "retry_count", "retry_count_rtscts",
)  # fmt: skip
#: Tables of the kernel, and how many groups they have at least: HT and VHT; HT, VHT and HE.
TABLES = {"minstrel_mcs_groups": 16 + 2 + 24, "airtime_mcs_groups": 16 + 32 + 96}
AIRTIME = ("ieee80211_calc_rx_airtime", "ieee80211_calc_tx_airtime", "ieee80211_calc_expected_tx_airtime")


def main() -> None:
    radios(4)
    types = KernelTypes("mac80211")
    with ExitStack() as stack:

        def attached(spec: ProgramSpec) -> Program:
            program = stack.enter_context(spec.load())
            stack.enter_context(attach_trace(program))
            return program

        heard = {name: attached(spec) for name, spec in witnesses(types).items()}
        minstrel = stack.enter_context(minstrel_tables())
        for cell in CELLS:
            begin(*cell)
        begun = {interface: still(minstrel, heard, interface) for interface, *_ in CELLS}
        truth = traffic()
        said = {}
        for (interface, *_), link in zip(CELLS, truth, strict=True):
            after = still(minstrel, heard, interface)
            info = shell(f"iw dev {interface} station dump")
            said[interface] = {
                "before": begun[interface], "truth": link, "after": after, "info": info,
                "without": minstrel.without,
            }  # fmt: skip
        minstrel.names = ()
        tables = minstrel.tables()
        same, kind = by_kprobe()
        for cell in CELLS:
            end(*cell[:2])
        # So it does not use mac80211's rate control, like a driver whose firmware chooses the rates.
        radios(2, "mlo=1")
        begin(*CELLS[0])
        elsewhere = minstrel.tables(), [asdict(each) for each in minstrel.without]
        end(*CELLS[0][:2])
        answer({
            "cells": said,
            "all": [(each.interface, each.mac) for each in tables],
            "hook": minstrel.hook,
            "by kprobe": (same == tables, kind),
            "elsewhere": elsewhere,
            "missed": minstrel.missed,
            "throughput": pairs(heard["throughput"]),
            "durations": pairs(heard["durations"]),
            "airtime calls": {name: sum(value for _, value in pairs(heard[name])) for name in AIRTIME},
            "constants": constants(types),
        })  # fmt: skip
    shell("modprobe -r mac80211_hwsim")


def radios(number: int, more: str = "") -> None:
    shell(f"modprobe -r mac80211_hwsim; modprobe mac80211_hwsim radios={number} {more}")


def still(minstrel: MinstrelTables, heard: dict[str, Program], interface: str) -> dict[str, Any]:
    """A station's table and what the witnesses have, while no frame is reported."""
    minstrel.names = (interface,)
    for _ in range(40):
        before = reports(heard["reported"])
        (table,) = minstrel.tables()
        memory = numbers(heard["fields"])
        if before == reports(heard["reported"]):
            return {"table": asdict(table), "fields": memory, "reported": before[table.mac]}
        time.sleep(0.05)
    raise RuntimeError("frames do not end")


def by_kprobe() -> tuple[list[MinstrelTable], str]:
    """The tables, as where there is no fentry."""
    with MinstrelTables((), 8, ["kprobe"]) as kprobe:
        return kprobe.tables(), kprobe.hook


def begin(interface: str, station: str, channel: int, high_throughput: int) -> None:
    """An access point, and a station of it in a network namespace of its own."""
    mhz = 2407 + 5 * channel
    shell(f"""
        ip netns add {station}
        iw phy $(cat /sys/class/net/{station}/phy80211/name) set netns name {station}
        cat > /run/{interface}.conf << END
interface={interface}
driver=nl80211
ssid={interface}
hw_mode=g
channel={channel}
wmm_enabled=1
ieee80211n={high_throughput}
END
        hostapd -B -P /run/{interface}.pid /run/{interface}.conf
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1
        ip -n {station} link set {station} up
        for attempt in 1 2 3 4 5; do
            timeout 5 ip netns exec {station} iw dev {station} connect -w {interface} {mhz} && break
            [ $attempt -lt 5 ] || exit 1
        done
    """)  # the here-document ends where its last line begins
    deadline = time.monotonic() + 20
    while "authorized:\tyes" not in shell(f"iw dev {interface} station dump"):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{station} did not stay with {interface}")
        time.sleep(0.1)


def end(interface: str, station: str) -> None:
    shell(f"kill $(cat /run/{interface}.pid); ip netns del {station}")


def traffic() -> list[dict[str, int]]:
    """Frames on both links through a medium that loses some; what it knows of them."""
    with (
        Medium(4, {ends: Link(tries=tries) for ends, tries in TRIES.items()}) as medium,
        ExitStack() as stack,
    ):
        senders = {}
        for ends in TRIES:
            senders[ends] = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
            senders[ends].setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, VOICE)
            senders[ends].bind((f"wlan{ends[0]}", 0))
        for _ in range(FRAMES):
            for (source, to), sender in senders.items():
                addresses = bytes.fromhex((mac(to) + mac(source)).replace(":", ""))
                sender.send(addresses + b"\x88\xb5" + bytes(100))
            time.sleep(0.01)
        deadline = time.monotonic() + 10
        while any(link.truth["frames"] < FRAMES for link in medium.links.values()):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        time.sleep(0.3)
        return [dict(medium.links[ends].truth) for ends in TRIES]


def witnesses(types: KernelTypes) -> dict[str, ProgramSpec]:
    return {
        "reported": reported(types),
        "fields": fields(types),
        "throughput": throughput(types),
        "durations": durations(types),
        **{name: calls(types, name) for name in AIRTIME},
    }


def reported(types: KernelTypes) -> ProgramSpec:
    """Frames, attempts and acknowledged frames of each station, as Minstrel is told."""
    a = Trace("fentry", types.function("minstrel_ht_tx_status"))
    status = a.argument("st")
    info = a.hold(R7, status.info)
    key, value = a.slot(6), a.slot(24)
    a.copy(key, status.sta.addr)
    for offset in range(0, 24, 8):
        a.put(Slot(value.offset + offset, 8), 0)
    a.read(R6, info.flags)
    ampdu, told = types.constant("IEEE80211_TX_CTL_AMPDU"), types.constant("IEEE80211_TX_STAT_AMPDU")
    ignored = a.new_label()
    a.mov(R8, R6)
    a.alu("&=", R8, ampdu | told)
    a.jump_if(R8, "==", ampdu, ignored)
    a.jump_if(R6, "&", types.constant("IEEE80211_TX_CTL_NO_ACK"), ignored)
    a.call(Helper.map_lookup_elem, "seen", key)
    with a.if_(R0, "==", 0):
        a.call(Helper.map_update_elem, "seen", key, value, ANY)
    for number in range(4):
        a.read(R8, info.status.rates[number].idx)
        with a.if_(R8, "s>=", 0):
            a.read(R8, info.status.rates[number].count)
            with a.lookup("seen", key):
                a.atomic_add(R0, 8, R8, 8)
    with a.lookup("seen", key):
        a.mov(R1, 1)
        a.atomic_add(R0, 0, R1, 8)
        with a.if_(R6, "&", types.constant("IEEE80211_TX_STAT_ACK")):
            a.atomic_add(R0, 16, R1, 8)
    a.label(ignored)
    a.ret(0)
    return a.program("reported", maps={"seen": MapSpec("seen", MapType.HASH, 6, 24, 16)})


def fields(types: KernelTypes) -> ProgramSpec:
    """The fields of the station asked for last, each by a read of its own; and the function's result."""
    a = Trace("fexit", types.function("minstrel_ht_get_expected_throughput"))
    station = cast(a.hold(R7, a.argument("priv_sta")), "struct minstrel_ht_sta")
    views = [a.result(), *[station[name] for name in STATION_FIELDS]]
    views += [station.max_tp_rate[number] for number in range(4)]
    for group in READ_GROUPS:
        views.append(station.supported[group])
        views += [station.groups[group].rates[n][name] for n in range(RATES) for name in RATE_FIELDS]
    a.map_value(R8, "seen")
    for number, view in enumerate(views):
        a.read(R6, view)
        a.store(R8, 8 * number, R6, 8)
    a.ret(0)
    return a.program("fields", maps={"seen": MapSpec("seen", MapType.ARRAY, 4, 8 * len(views), 1)})


def throughput(types: KernelTypes) -> ProgramSpec:
    """What minstrel_ht_get_tp_avg() made of what."""
    a = Trace("fexit", types.function("minstrel_ht_get_tp_avg"))
    station = a.argument("mi")
    return telling(a, [
        a.argument("group"), a.argument("rate"), a.argument("prob_avg"), station.overhead,
        station.overhead_legacy, station.avg_ampdu_len, station.max_tp_rate[0],
    ])  # fmt: skip


def durations(types: KernelTypes) -> ProgramSpec:
    """What ieee80211_frame_duration() made of what: band, length, rate, ERP, short preamble."""
    a = Trace("fexit", types.function("ieee80211_frame_duration"))
    return telling(a, [a.argument(number) for number in range(5)])


def calls(types: KernelTypes, name: str) -> ProgramSpec:
    """How often a function was called."""
    a = Trace("fexit", types.function(name))
    a.map_value(R1, "seen")
    a.mov(R2, 1)
    a.atomic_add(R1, 0, R2, 8)
    a.ret(0)
    return a.program("calls", maps={"seen": MapSpec("seen", MapType.ARRAY, 4, 8, 1)})


def telling(a: Trace, views: list[Any]) -> ProgramSpec:
    """Notes what a function was given and what it gave."""
    key, result = a.slot(8 * len(views)), a.slot(8)
    for number, view in enumerate(views):
        a.read(R6, view)
        a.put(Slot(key.offset + 8 * number, 8), R6)
    a.read(R6, a.result())
    a.put(result, R6)
    a.call(Helper.map_update_elem, "seen", key, result, ANY)
    a.ret(0)
    return a.program("telling", maps={"seen": MapSpec("seen", MapType.HASH, key.size, 8, 4096)})


def reports(program: Program) -> dict[str, list[int]]:
    seen = program.maps["seen"].items()
    return {key.hex(":"): list(struct.unpack("=3Q", value)) for key, value in seen}


def pairs(program: Program) -> list[tuple[list[int], int]]:
    return [
        (list(struct.unpack(f"={len(key) // 8}q", key)) if len(key) > 4 else [], *struct.unpack("=q", value))
        for key, value in program.maps["seen"].items()
    ]


def numbers(program: Program) -> list[int]:
    value = program.maps["seen"].lookup(0) or b""
    return list(struct.unpack(f"={len(value) // 8}q", value))


def constants(types: KernelTypes) -> dict[str, dict[str, Any]]:
    """Tables in the kernel's memory, and how their elements are made: both have a struct of the same name."""
    btf = types.function("minstrel_ht_tx_status").btf
    shapes = [
        {member.name: member.bit_offset // 8 for member in btf.members(number)} | {"size": btf.size(number)}
        for number in same_name(btf, "mcs_group")
    ]
    tables = {}
    for line in shell(f"grep -wE '{'|'.join(TABLES)}' /proc/kallsyms").splitlines():
        address, _, name, *_ = line.split()
        shape = next(each for each in shapes if ("streams" in each) == (name == "minstrel_mcs_groups"))
        memory = copied(int(address, 16), shape["size"] * TABLES[name])
        tables[name] = {"shape": shape, "bytes": memory.hex()}
    return tables


def copied(address: int, size: int) -> bytes:
    """What stands in the kernel's memory."""
    a = Trace("fentry", KernelTypes().function("bpf_fentry_test1"))
    a.map_value(R1, "seen")
    a.ld_imm64(R3, address)
    a.call(Helper.probe_read_kernel, R1, size, R3)
    a.ret(0)
    spec = a.program("copied", maps={"seen": MapSpec("seen", MapType.ARRAY, 4, size, 1)})
    with spec.load() as program, attach_trace(program):
        program.test_run(b"")
        return program.maps["seen"].lookup(0) or b""


def same_name(btf: Btf, name: str) -> list[int]:
    """All structs of that name in the module."""
    base = len(btf.base) if btf.base else 1
    return [
        number
        for number in range(base, len(btf))
        if btf.kind(number) == Kind.STRUCT and btf.name(number) == name
    ]


if __name__ == "__main__":
    main()

"""The probe on reception: each frame that a radio heard and hands to mac80211, with what it says of it.

What is received again is found as mac80211 finds it (ieee80211_rx_h_check_dup() in the kernel's
net/mac80211/rx.c).
"""

from typing import Final

from meshlens.ebpf import NOEXIST, R0, R1, R2, R3, R6, R7, R8, R10, Helper, ProgramSpec
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, View, cast, container_of
from meshlens.packet.ieee80211 import FCS_BYTES, HeaderFlag
from meshlens.wifi.hooks.layout import (
    CHAINS,
    HOMES,
    NO_TID,
    RECEIVERS,
    SEQUENCES,
    SEQUENCES_BYTES,
    in_rate,
    within,
)
from meshlens.wifi.hooks.rate import HEARD
from meshlens.wifi.hooks.station import HEADER_BYTES, StationProbe

__all__ = ["FUNCTIONS", "heard_program"]

#: Every driver's frames come by the first one; on kernels without it, by the second.
FUNCTIONS: Final = ("ieee80211_rx_list", "ieee80211_rx_napi")

_TYPE, _DATA, _MANAGEMENT = 0x0C, 0x08, 0x00  # of a header's first byte
_QOS, _NO_DATA = 0x80, 0x40  # the same, of data frames
_RETRY: Final = int(HeaderFlag.RETRY)
_FOUR_ADDRESSES: Final = int(HeaderFlag.TO_DS | HeaderFlag.FROM_DS)
_DEVICE: Final = "struct cfg80211_registered_device"
_SHORTEST: Final = 10  # ACK and CTS, without FCS
#: By which number of the station a damaged frame is counted.
_DAMAGE: Final = {"RX_FLAG_FAILED_FCS_CRC": "rx_fcs_failed", "RX_FLAG_FAILED_PLCP_CRC": "rx_plcp_failed"}
#: What stands before the header, for monitor interfaces: bytes by the flag of the reception that says so.
_BEFORE_HEADER: Final = {
    "RX_FLAG_RADIOTAP_HE": 12,  # struct ieee80211_radiotap_he
    "RX_FLAG_RADIOTAP_HE_MU": 12,
    "RX_FLAG_RADIOTAP_LSIG": 4,
}


def heard_program(hook: Hook, function: Function, types: KernelTypes, max_stations: int) -> ProgramSpec:
    """The probe on one of FUNCTIONS. Raises NotSupported that names what this kernel does not have."""
    probe = _Heard(hook, function, types)
    probe.emit()
    return probe.finish("wifi_heard", max_stations, "others", "control", "damaged")


class _Heard(StationProbe):
    """The pieces, in the order in which they are emitted. R6 is the skb."""

    def __init__(self, hook: Hook, function: Function, types: KernelTypes) -> None:
        super().__init__(hook, function, types)
        self.skb = self.hold(R6, self.argument("skb"))
        self.sta = self.argument(1)
        self.of_station = container_of(self.sta, "struct sta_info", "sta").sdata.dev
        self.status: View
        self.flags, self.length, self.receiver = self.slot(8), self.slot(8), self.slot(8)
        self.unseen = self.slot(SEQUENCES_BYTES)

    def emit(self) -> None:
        self.block("what was heard")
        self.status = self.copied(cast(self.skb.cb, "struct ieee80211_rx_status"))
        self.read(R1, self.status.flag)
        self.put(self.flags, R1)
        self.frame()
        self.block("from whom")
        self.who()
        self.block("the frame")
        self.label("add")
        self.add()
        self.block("signals")
        self.signals()
        self.block("rate")
        self.rate()
        self.jump("counted")
        self.unknown()

    def frame(self) -> None:
        """The header, and the length from there on."""
        self.get(R8, self.flags)
        for name in ("RX_FLAG_NO_PSDU", "RX_FLAG_RADIOTAP_VENDOR_DATA"):  # nothing behind it; of any length
            if flag := self.constant(name):
                self.jump_if(R8, "&", flag, "unreadable")
        self.read(R8, self.skb.len)
        self.put(self.length, R8)
        self.address_of(R3, self.skb.data[0])
        self.get(R1, self.flags)
        for name, size in _BEFORE_HEADER.items():
            if flag := self.constant(name):
                with self.if_(R1, "&", flag):
                    self.alu("+=", R3, size)
                    self.alu("-=", R8, size)
        self.put(self.length, R8)
        if flag := self.constant("RX_FLAG_RADIOTAP_TLV_AT_END"):
            with self.if_(R1, "&", flag):
                self.behind_tlvs()
        self.call(Helper.probe_read_kernel, self.header, self.header.size)

    def behind_tlvs(self) -> None:
        """R3 = the header, where mac80211 finds it: at skb->head + skb->mac_header."""
        header, start = self.slot(8), self.slot(8)
        self.address_of(R3, self.skb.data[0])
        self.put(start, R3)
        self.read(R1, self.skb.mac_header)
        self.put(header, R1)
        self.address_of(R3, self.skb.head[0])
        self.get(R1, header)
        self.alu("+=", R3, R1)
        self.get(R8, start)
        self.mov(R2, R3)
        self.alu("-=", R2, R8)
        self.get(R8, self.length)
        self.alu("-=", R8, R2)
        self.put(self.length, R8)

    def who(self) -> None:
        """The station's entry.

        The station is the one that the driver names, else the transmitter in the header. The interface is its
        own; else the one that has the receiver's address, or for frames to all, where the station is known.
        """
        undecapsulated, group, found = self.new_label(), self.new_label(), self.new_label()
        self.get(R1, self.flags)
        for damage in _DAMAGE:
            self.jump_if(R1, "&", self.types.constant(damage), "is damaged")
        flag_8023 = self.constant("RX_FLAG_8023")
        with self.if_(R1, "&", flag_8023):  # what follows reads a header of zeros
            for offset in range(0, self.header.size, 8):
                self.store(R10, self.header.offset + offset, 0, 8)
            self.jump(undecapsulated)
        self.kind()
        self.label(undecapsulated)
        self.mac_in_header(10)
        self.read(R8, self.sta)
        with self.if_(R8, "!=", 0):
            self.mac(self.sta.addr)
            self.read(R1, self.of_station.ifindex)
            self.ifindex(R1)
            self.find(self.of_station.nd_net.net)
            self.jump("add")
        self.get(R1, self.flags)
        self.jump_if(R1, "&", flag_8023, "unreadable")
        self.load(R1, R10, self.header.offset + 4, 1)
        self.jump_if(R1, "&", 1, group)
        self.read(R1, container_of(self.hw.wiphy, _DEVICE, "wiphy", self.types.btf("cfg80211")).wiphy_idx)
        self.store(R10, self.receiver.offset + 6, R1, 2)
        self.move(self.receiver.offset, self.header.offset + 4)
        self.call(Helper.map_lookup_elem, RECEIVERS, self.receiver)
        self.jump(found)
        self.label(group)
        self.call(Helper.map_lookup_elem, HOMES, self.home_key())
        self.label(found)
        self.jump_if(R0, "==", 0, "others")
        self.load(R1, R0, 0, 4)
        self.ifindex(R1)
        self.find()

    def kind(self) -> None:
        """Only data and management frames have a header that is long enough, and a place in the numbers."""
        self.get(R1, self.length)
        self.jump_if(R1, "s<", _SHORTEST, "unreadable")
        self.load(R2, R10, self.header.offset, 1)
        self.alu("&=", R2, _TYPE)
        with self.if_(R2, "!=", _DATA):
            self.jump_if(R2, "!=", _MANAGEMENT, "control")
        self.jump_if(R1, "s<", HEADER_BYTES, "unreadable")

    def unknown(self) -> None:
        """A damaged frame is counted, and nothing in it believed but its transmitter, if that is known."""
        self.block("damaged")
        self.label("is damaged")
        self.mac_in_header(10)
        self.call(Helper.map_lookup_elem, HOMES, self.home_key())
        self.jump_if(R0, "==", 0, "damaged")
        self.load(R1, R0, 0, 4)
        self.ifindex(R1)
        self.lookup_station()
        self.jump_if(R0, "==", 0, "damaged")
        self.mov(R7, R0)
        self.get(R1, self.flags)
        for damage, number in _DAMAGE.items():
            with self.if_(R1, "&", self.types.constant(damage)):
                self.increase(number)
        self.jump("counted")

    def add(self) -> None:
        """Frames and bytes, those that were sent before, those that were received before."""
        self.call(Helper.ktime_get_ns)
        self.store(R7, within("rx_last_ns").offset, R0, 8)
        self.increase("rx_frames")
        self.read(R1, self.hw.flags[0])
        with self.if_(R1, "&", 1 << self.types.constant("IEEE80211_HW_RX_INCLUDES_FCS")):
            self.get(R1, self.length)
            self.alu("-=", R1, FCS_BYTES)
            self.put(self.length, R1)
        self.get(R1, self.length)
        self.increase("rx_bytes", R1)
        self.get(R8, self.flags)
        with self.if_(R8, "&", self.constant("RX_FLAG_8023")):
            self.increase("rx_data_frames")
            self.jump("signals")
        self.load(R1, R10, self.header.offset + 1, 1)
        with self.if_(R1, "&", _RETRY):
            self.increase("rx_retries")
        self.load(R8, R10, self.header.offset, 1)
        self.mov(R1, R8)
        self.alu("&=", R1, _TYPE)
        with self.if_(R1, "==", _DATA):
            self.jump_if(R8, "&", _NO_DATA, "no data")
            self.increase("rx_data_frames")
        self.duplicate()
        self.label("no data")
        self.bssid()
        self.label("signals")

    def duplicate(self) -> None:
        """A frame to us with the bit Retry, and the sequence number of the one before of its traffic."""
        new = self.new_label()
        self.load(R1, R10, self.header.offset + 4, 1)
        self.jump_if(R1, "&", 1, new)
        self.call(Helper.map_lookup_elem, SEQUENCES, self.home_key())
        with self.if_(R0, "==", 0):
            for offset in range(0, self.unseen.size, 8):
                self.store(R10, self.unseen.offset + offset, -1, 8)
            self.call(Helper.map_update_elem, SEQUENCES, self.home, self.unseen, NOEXIST)
            self.call(Helper.map_lookup_elem, SEQUENCES, self.home)
            self.jump_if(R0, "==", 0, new)
        self.mov(R1, NO_TID)
        self.mov(R2, R8)
        self.alu("&=", R2, _QOS | _DATA)
        with self.if_(R2, "==", _QOS | _DATA):
            self.traffic()
        self.alu("<<=", R1, 1)
        self.alu("+=", R1, R0)
        self.load(R2, R10, self.header.offset + 22, 2)
        self.load(R3, R10, self.header.offset + 1, 1)
        with self.if_(R3, "&", _RETRY):
            self.load(R3, R1, 0, 2)
            with self.if_(R2, "==", R3):
                self.increase("rx_duplicates")
                self.jump(new)
        self.store(R1, 0, R2, 2)
        self.label(new)

    def traffic(self) -> None:
        """R1 = the traffic identifier in QoS control, behind three addresses or four."""
        self.load(R1, R10, self.header.offset + HEADER_BYTES, 1)
        self.load(R2, R10, self.header.offset + 1, 1)
        self.alu("&=", R2, _FOUR_ADDRESSES)
        with self.if_(R2, "==", _FOUR_ADDRESSES):
            self.load(R1, R10, self.header.offset + HEADER_BYTES + 6, 1)
        self.alu("&=", R1, NO_TID - 1)

    def signals(self) -> None:
        """Of the frame, and of each chain; the driver says of which there is one."""
        none = self.new_label()
        self.get(R1, self.flags)
        self.jump_if(R1, "&", self.types.constant("RX_FLAG_NO_SIGNAL_VAL"), none)
        self.read(R1, self.status.signal)
        self.signal("rx")
        self.read(R8, self.status.chains)
        for chain in range(CHAINS):
            with self.if_(R8, "&", 1 << chain):
                self.read(R1, self.status.chain_signal[chain])
                self.signal(f"chain {chain}")
        self.label(none)

    def rate(self) -> None:
        """Add to the rate."""
        status, none = self.status, self.new_label()
        self.rate_byte(0, HEARD)
        for byte, field in enumerate((status.rate_idx, status.nss, status.bw, status.encoding), 1):
            self.read(R1, field)
            self.rate_byte(byte, R1)
        self.rate_of_he(status.he_gi, status.he_dcm, status.he_ru)
        self.rate_of_eht(6, status.band, status.eht.gi)
        self.read(R1, status.enc_flags)
        self.alu("&=", R1, self.types.constant("RX_ENC_FLAG_SHORT_GI"))
        self.rate_byte(7, R1)
        self.find_rate()
        self.jump_if(R8, "==", 0, none)
        self.increase(in_rate("frames"), base=R8)
        self.get(R1, self.length)
        self.alu("+=", R1, FCS_BYTES)
        self.increase(in_rate("size"), R1, base=R8)
        self.load(R1, R10, self.header.offset + 1, 1)
        with self.if_(R1, "&", _RETRY):
            self.increase(in_rate("attempts"), base=R8)
        self.label(none)

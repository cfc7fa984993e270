"""The probe on transmit status: what became of each frame that a radio was given to send.

What mac80211 makes of a status (ieee80211_tx_status_ext() and ieee80211_tx_get_rates() in the kernel's
net/mac80211/status.c, minstrel_ht_tx_status() in rc80211_minstrel_ht.c) is made of it here, so that sums are
the same; where they differ is said at the place.
"""

from typing import Final

from meshlens.ebpf import R0, R1, R2, R3, R7, R8, R10, Helper, ProgramSpec
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, View, cast, container_of, first_of
from meshlens.wifi.hooks.layout import HANDED_OVER, LATENCY_BINS, within
from meshlens.wifi.hooks.report import ReportProbe
from meshlens.wifi.hooks.station import HEADER_BYTES

__all__ = ["FUNCTIONS", "sent_program"]

#: Where all reports come by; without a struct ieee80211_tx_status, the last two (the same by two names) are
#: given those of frames alone.
FUNCTIONS: Final = ("ieee80211_tx_status_ext", "ieee80211_tx_status_skb", "ieee80211_tx_status")


def sent_program(hook: Hook, function: Function, types: KernelTypes, max_stations: int) -> ProgramSpec:
    """The probe on one of FUNCTIONS. Raises NotSupported that names what this kernel does not have."""
    probe = _Sent(hook, function, types)
    probe.emit()
    return probe.finish("wifi_sent", max_stations, "others")


class _Sent(ReportProbe):
    """The pieces, in the order in which they are emitted."""

    def emit(self) -> None:
        self.block("what was sent, to whom")
        info = self.status.info if self.status else cast(self.skb.cb, "struct ieee80211_tx_info")
        self.frame()
        self.info = self.copied(info)
        self.read(R1, self.info.flags)
        self.put(self.flags, R1)
        if self.status:
            self.mute(self.status)
        self.who()
        self.block("whether it came through")
        self.call(Helper.ktime_get_ns)
        self.store(R7, within("last_ns").offset, R0, 8)
        if self.status:
            self.untold(self.status)
        self.verdict()
        self.block("at which rates")
        self.rates()
        self.block("signal of the ACK, time on the air, latency")
        self.details()
        self.jump("counted")

    def frame(self) -> None:
        """The skb, its length and its header; drivers that keep no skb report without."""
        for slot in (self.length, self.pointer):
            self.put(slot, 0)
        for offset in range(0, self.header.size, 8):
            self.store(R10, self.header.offset + offset, 0, 8)
        self.read(R8, self.skb)
        self.put(self.pointer, R8)
        with self.if_(R8, "!=", 0):
            self.read(R1, self.skb.len)
            self.put(self.length, R1)
            self.address_of(R3, self.skb.data[0])
            self.call(Helper.probe_read_kernel, self.header, self.header.size)

    def mute(self, status: View) -> None:
        """Without a report in it, the flags are those that the frame was sent with."""
        self.read(R8, status.info)
        with self.if_(R8, "==", 0):
            self.read(R1, cast(self.skb.cb, "struct ieee80211_tx_info").flags)
            self.put(self.flags, R1)

    def untold(self, status: View) -> None:
        """A frame that is given back without a report, as mt76 does with most (`__mt76_tx_complete_skb()` in
        its tx.c): mac80211 counts nothing of it, neither as acknowledged nor as failed.
        """
        self.read(R8, status.info)
        with self.if_(R8, "==", 0):
            self.increase("tx_untold")
            self.waited()
            self.jump("counted")

    def who(self) -> None:
        """The station's entry: the one that is reported, else the receiver that the header names."""
        sta = self.status.sta if self.status else None
        known = self.new_label()
        if sta is not None:
            of_station = container_of(sta, "struct sta_info", "sta").sdata.dev
            self.read(R8, sta)
            with self.if_(R8, "!=", 0):
                self.mac(sta.addr)
                self.read(R1, of_station.ifindex)
                self.ifindex(R1)
                self.find(of_station.nd_net.net)
                self.jump(known)
        self.without_header("unreadable")
        self.mac_in_header(4)
        dev = self.skb.dev
        self.read(R1, dev.ifindex)
        self.jump_if(R1, "==", 0, "others")  # no interface's: beacons
        self.ifindex(R1)
        self.find(dev.nd_net.net)
        self.label(known)
        done = self.new_label()
        self.without_header(done)
        self.bssid()
        self.label(done)

    def without_header(self, label: str | int) -> None:
        """Go there if there is no header to be read."""
        self.get(R1, self.length)
        self.jump_if(R1, "<", HEADER_BYTES, label)
        self.get(R1, self.flags)
        self.jump_if(R1, "&", self.flag["no header"], label)

    def verdict(self) -> None:
        """Each frame is acknowledged, failed, held back (filtered), or one that wants no ACK."""
        self.get(R8, self.flags)
        decided = self.new_label()
        with self.if_(R8, "&", self.flag["filtered"]):  # the station sleeps: it was not sent, and comes again
            self.increase("tx_filtered")
            self.jump("counted")
        self.increase("tx_frames")
        for flag, name in (
            ("no ack wanted", "tx_no_ack_wanted"),
            ("ack", "tx_acked"),
            ("no ack, sent", "tx_no_ack_wanted"),
        ):
            with self.if_(R8, "&", self.flag[flag], bits=32):
                self.increase(name)
                self.jump(decided)
        self.increase("tx_failed")
        self.label(decided)
        self.aggregate()

    def aggregate(self) -> None:
        """How many frames the report is of, and how many of them were acknowledged.

        The first one of an A-MPDU reports for all; of those without such a report nothing is said but
        whether they were acknowledged.
        """
        self.put(self.together, 1)
        self.mov(R1, 0)
        with self.if_(R8, "&", self.flag["ack"]):
            self.mov(R1, 1)
        self.put(self.acked, R1)
        with self.if_(R8, "&", self.flag["of aggregate"]):
            self.increase("ampdus")
            for field, slot, name in (
                (self.info.status.ampdu_len, self.together, "ampdu_frames"),
                (self.info.status.ampdu_ack_len, self.acked, "ampdu_acked"),
            ):
                self.read(R1, field)
                self.put(slot, R1)
                self.increase(name, R1)

    def details(self) -> None:
        """What some drivers tell besides, and how long it took since the frame was handed over."""
        status = self.info.status
        self.get(R8, self.flags)
        with self.if_(R8, "&", self.flag["ack"]):
            # Drivers that set IEEE80211_TX_STATUS_ACK_SIGNAL_VALID (or the bool before it) mean dBm; of
            # others a negative number is dBm, as of hwsim, a positive one is not, as of ath9k.
            told, untold = self.new_label(), self.new_label()
            self.read(R1, status.ack_signal)
            self.jump_if(R1, "s<", 0, told)
            self.read(R2, first_of(status.flags, status.is_valid_ack_signal))
            self.alu("&=", R2, 1)
            self.jump_if(R2, "==", 0, untold)
            self.label(told)
            self.signal("ack")
            self.label(untold)
        self.read(R1, status.tx_time)
        with self.if_(R1, "!=", 0):
            self.increase("tx_time_us", R1)
            self.increase("tx_timed")
        self.waited()

    def waited(self) -> None:
        """The time since the frame was handed over, if it was seen then."""
        with self.lookup(HANDED_OVER, self.pointer):
            self.latency()

    def latency(self) -> None:
        """R0 points to the time when the skb was handed over."""
        self.load(R2, R0, 0, 8)
        self.load(R1, R7, within("last_ns").offset, 8)
        self.alu("-=", R1, R2)
        self.increase("latency_ns", R1)
        self.alu("/=", R1, 1000)
        with self.if_(R1, ">", (1 << (LATENCY_BINS - 1)) - 1):
            self.mov(R1, (1 << (LATENCY_BINS - 1)) - 1)
        self.mov(R2, 0)  # the number of its bits
        for shift in (16, 8, 4, 2, 1):
            with self.if_(R1, ">=", 1 << shift):
                self.alu(">>=", R1, shift)
                self.alu("+=", R2, shift)
        self.alu("+=", R2, R1)
        self.alu("&=", R2, LATENCY_BINS - 1)
        self.alu("<<=", R2, 3)
        self.alu("+=", R2, R7)
        self.increase(within("latency"), base=R2)
        self.call(Helper.map_delete_elem, HANDED_OVER, self.pointer)

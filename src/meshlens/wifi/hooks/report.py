"""The rates of a transmit status: which were tried, how often, and how it ended."""

from typing import Final

from meshlens.ebpf import R1, R2, R3, R4, R8, Reg
from meshlens.ebpf.tracing import Function, Hook, KernelTypes, View, exists
from meshlens.packet.ieee80211 import FCS_BYTES
from meshlens.wifi.hooks.layout import in_rate
from meshlens.wifi.hooks.rate import INDEX, INDEX_FLAGS, INFO, INFO_FIELDS
from meshlens.wifi.hooks.station import StationProbe

__all__ = ["ReportProbe"]

_RATES: Final = 4  # IEEE80211_TX_MAX_RATES
_FLAGS: Final = {
    "ack": "IEEE80211_TX_STAT_ACK",
    "no ack wanted": "IEEE80211_TX_CTL_NO_ACK",
    "no ack, sent": "IEEE80211_TX_STAT_NOACK_TRANSMITTED",
    "filtered": "IEEE80211_TX_STAT_TX_FILTERED",
    "aggregated": "IEEE80211_TX_CTL_AMPDU",
    "of aggregate": "IEEE80211_TX_STAT_AMPDU",
    "no header": "IEEE80211_TX_CTL_HW_80211_ENCAP",
}


class ReportProbe(StationProbe):
    """A probe on a function that is given a report, or a frame with one.

    `info` is the report's copy on the stack. In slots are its flags, the frame's length and skb (0 without
    one), of how many frames it is (`together`), and how many of them were acknowledged.
    """

    def __init__(self, hook: Hook, function: Function, types: KernelTypes) -> None:
        super().__init__(hook, function, types)
        names = [each.name for each in function.parameters]
        self.status = self.argument("status") if "status" in names else None
        self.skb = self.status.skb if self.status else self.argument("skb")
        self.flag = {name: types.constant(constant) for name, constant in _FLAGS.items()}
        self.info: View
        self.flags, self.length, self.pointer = self.slot(8), self.slot(8), self.slot(8)
        self.attempts, self.together, self.acked = self.slot(8), self.slot(8), self.slot(8)
        self.most_rates, self.count, self.last = self.slot(8), self.slot(8), self.slot(8)

    def rates(self) -> None:
        """The series of rates that was tried, in one of two forms."""
        self.put(self.attempts, 0)
        self.read(R1, self.hw.max_report_rates)
        self.put(self.most_rates, R1)
        done, none = self.new_label(), self.new_label()
        self.get(R1, self.flags)
        with self.if_(R1, "&", self.flag["aggregated"]):
            self.jump_if(R1, "&", self.flag["of aggregate"], (told := self.new_label()))
            self.jump(none)
            self.label(told)
        if self.status is not None and exists(self.status.n_rates):  # Linux 6.0
            self.described(done)
        for number in range(_RATES):
            self.indexed(number, done)
        self.label(done)
        self.get(R1, self.attempts)
        self.jump_if(R1, "==", 0, none)
        self.get(R2, self.together)
        self.increase("tx_reported", R2)
        self.mov(R3, R1)
        self.alu("-=", R3, 1)
        self.increase("tx_retries", R3)
        self.alu("*=", R1, R2)
        self.increase("tx_attempts", R1)
        self.label(none)

    def indexed(self, number: int, done: str | int) -> None:
        """status.rates[number] of struct ieee80211_tx_info: an index, and what it is an index of."""
        this = self.info.status.rates[number]
        self.get(R1, self.most_rates)
        self.jump_if(R1, "<=", number, done)
        self.read(R1, this.idx)
        self.jump_if(R1, "s<", 0, done)
        self.rate_byte(1, R1)
        self.rate_byte(0, INDEX)
        for byte in (4, 5, 6, 7):
            self.rate_byte(byte, 0)
        self.read(R1, this.flags)
        self.alu("&=", R1, INDEX_FLAGS)
        self.rate_byte(2, R1)
        self.alu(">>=", R1, 8)
        self.rate_byte(3, R1)
        self.read(R1, self.info.band)
        self.rate_byte(4, R1)
        self.read(R4, this.count)
        self.mov(R2, 1)  # whether it was the last one tried
        if number + 1 < _RATES:
            following, last = self.info.status.rates[number + 1], self.new_label()
            self.get(R1, self.most_rates)
            self.jump_if(R1, "<=", number + 1, last)
            self.read(R1, following.idx)
            self.jump_if(R1, "s<", 0, last)
            self.read(R1, following.count)
            self.jump_if(R1, "==", 0, last)
            self.mov(R2, 0)
            self.label(last)
        self.tried(R4, R2)

    def described(self, done: str | int) -> None:
        """status.rates of struct ieee80211_tx_status, if there are any: each describes itself."""
        assert self.status is not None
        rates, count, without = self.status.rates, self.slot(8), self.new_label()
        self.read(R8, self.status.n_rates)
        self.put(count, R8)
        self.jump_if(R8, "==", 0, without)
        for number in range(_RATES):
            self.get(R8, count)
            self.jump_if(R8, "<=", number, done)
            this = self.copied(rates[number])
            self.no_rate()
            self.rate_byte(0, INFO)
            for byte, field in INFO_FIELDS.items():
                self.read(R1, this.rate_idx[field])
                self.rate_byte(byte, R1)
            self.rate_of_eht(3, this.rate_idx.bw, this.rate_idx.eht_gi)
            self.rate_of_he(this.rate_idx.he_gi, this.rate_idx.he_dcm, this.rate_idx.he_ru_alloc)
            self.read(R1, this.rate_idx.legacy)
            self.rate_byte(6, R1)
            self.alu(">>=", R1, 8)
            self.rate_byte(7, R1)
            self.read(R4, this.try_count)
            self.get(R1, count)
            self.mov(R2, 0)
            with self.if_(R1, "==", number + 1):
                self.mov(R2, 1)
            self.tried(R4, R2)
        self.jump(done)
        self.label(without)

    def tried(self, count: Reg, last: Reg) -> None:
        """Add to the rate in the key: so many attempts; the last one tried has the frames and their ACKs."""
        self.put(self.count, count)
        self.put(self.last, last)
        self.get(R1, self.attempts)
        self.alu("+=", R1, count)
        self.put(self.attempts, R1)
        none = self.new_label()
        self.find_rate()
        self.jump_if(R8, "==", 0, none)
        self.get(R1, self.count)
        self.get(R2, self.together)
        self.alu("*=", R1, R2)
        self.increase(in_rate("attempts"), R1, base=R8)
        self.get(R3, self.length)
        with self.if_(R3, "!=", 0):
            self.alu("+=", R3, FCS_BYTES)
        self.alu("*=", R3, R1)
        self.increase(in_rate("size"), R3, base=R8)
        self.get(R1, self.last)
        with self.if_(R1, "!=", 0):
            self.increase(in_rate("frames"), R2, base=R8)
            self.get(R1, self.acked)
            self.increase(in_rate("acked"), R1, base=R8)
        self.label(none)

"""Minstrel's table of a station as it is handed out."""

from dataclasses import dataclass

from meshlens.wifi.rates import Rate

__all__ = ["MinstrelRate", "MinstrelTable", "NoTable"]


@dataclass(frozen=True, slots=True)
class MinstrelRate:
    """What Minstrel knows of one rate. `index` is the kernel's number for it.

    `attempts` are all transmissions of frames at this rate, retries too, and `success` the frames that were
    acknowledged; both also hold those of the running interval, `current_attempts` and `current_success`.
    `last_attempts` and `last_success` are those of the interval before. A frame that failed at another rate
    first has attempts there, and its success where it got through.

    `probability` is the moving average of success / attempts, 0 to 1; a rate that was never tried has that of
    the best faster one of its group. `throughput_mbps` is what Minstrel expects of the rate with it,
    `max_throughput_mbps` at best (it reckons with 0.9 at most). `airtime_us` is what it takes for a frame of
    1200 bytes, `retries` how often it would try one, `rtscts_retries` behind RTS and CTS.

    `marks` are those of rc_stats: A, B, C, D for the four rates of most throughput, P for the most probable
    one, S for a rate that is to be sampled.
    """

    index: int
    rate: Rate
    attempts: int
    success: int
    current_attempts: int
    current_success: int
    last_attempts: int
    last_success: int
    probability: float
    throughput_mbps: float
    max_throughput_mbps: float
    airtime_us: float
    retries: int
    rtscts_retries: int
    marks: str

    @property
    def place(self) -> int | None:
        """1 to 4 if it is one of the rates of most throughput, None else."""
        return next((place for place, mark in enumerate("ABCD", 1) if mark in self.marks), None)

    @property
    def most_probable(self) -> bool:
        """Whether frames that failed at the other rates are tried at this one last."""
        return "P" in self.marks

    @property
    def sampled(self) -> bool:
        """Whether Minstrel is about to try it, to learn whether it got better."""
        return "S" in self.marks


@dataclass(frozen=True, slots=True)
class MinstrelTable:
    """A station's rates: those that it and its access point both have, in the order of rc_stats.

    `frames` were sent to it and reported, `probe_frames` of them to learn about a rate; both begin anew at
    2**32. `ampdu_frames` is the moving average of frames in an A-MPDU. `overhead_us` is what Minstrel counts
    for each A-MPDU beside its frames, `legacy_overhead_us` for each frame without an MCS.
    `expected_throughput_kbps` is what nl80211 tells of the station under that name.
    """

    interface: str
    mac: str
    rates: tuple[MinstrelRate, ...]
    frames: int
    probe_frames: int
    ampdu_frames: float
    overhead_us: int
    legacy_overhead_us: int
    expected_throughput_kbps: int

    @property
    def best(self) -> MinstrelRate | None:
        """The rate of most throughput, which frames are tried at first."""
        return next((each for each in self.rates if each.place == 1), None)


@dataclass(frozen=True, slots=True)
class NoTable:
    """A station of which there is no table, and why."""

    interface: str
    mac: str
    reason: str

"""Traffic on the air, made up but true to form: the same seed gives the same frames.

What a monitor interface of mac80211 hears in one BSS for a while: an access point that beacons and answers,
a phone that gets slower and repeats more as its signal fades, a laptop with HE, a sensor of 802.11b, a
passer-by who looks for networks under made-up addresses; ACK, block ACK, RTS and CTS in between, and now and
then a frame that was damaged on the way.
"""

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from meshlens.packet.captured import CapturedFrame
from meshlens.packet.craft import BROADCAST
from meshlens.packet.craft_wifi import dot11, element, radiotap
from meshlens.packet.ieee80211 import FCS_BYTES, HeaderFlag
from meshlens.packet.radiotap import Antenna, Tap

__all__ = ["AP", "LAPTOP", "PHONE", "SENSOR", "wifi_mix"]

AP: Final = "02:00:5e:00:01:01"
PHONE, LAPTOP, SENSOR = "02:00:5e:00:01:0a", "02:00:5e:00:01:0b", "02:00:5e:00:01:0c"

_RADIOTAP: Final = 127
_CHANNEL: Final = (5180, 0x140)  # OFDM, 5 GHz
#: Of the compressed kind (9.3.1.8), for nothing.
_BLOCK_ACK: Final = bytes.fromhex("0400") + bytes(10)
#: One damaged frame in so many.
_DAMAGED: Final = 40

Fields = dict[str, int | tuple[int, ...]]


@dataclass
class _Air:
    """The state of what is going on."""

    random: random.Random
    fading: float = 0.0
    sequence: int = 0
    ampdu: int = 0

    def number(self) -> int:
        self.sequence = (self.sequence + 1) % 4096
        return self.sequence

    def near(self, signal: float) -> int:
        return round(self.random.gauss(signal, 2))


@dataclass(frozen=True, slots=True)
class _Sent:
    """A frame, its signal, and what radiotap says of its rate."""

    frame: bytes
    signal: int
    rate: Fields


def wifi_mix(count: int = 2000, *, seed: int = 1) -> list[CapturedFrame]:
    """`count` frames with radiotap in front (link type 127), a millisecond apart on the average."""
    air = _Air(random.Random(seed))
    frames: list[CapturedFrame] = []
    time_ns = 0
    while len(frames) < count:
        air.fading = len(frames) / count
        (talk,) = air.random.choices(list(_TALKS), list(_TALKS.values()))
        for sent in talk(air):
            time_ns += round(air.random.expovariate(1) * 1_000_000)
            data = _received(air, sent, time_ns // 1000)
            frames.append(CapturedFrame(data, len(data), time_ns, 0, _RADIOTAP, None))
    return frames[:count]


def _received(air: _Air, sent: _Sent, tsft: int) -> bytes:
    """The frame as mac80211 hands it to a monitor interface, with its FCS; sometimes damaged."""
    damaged = air.random.randrange(_DAMAGED) == 0
    frame = bytearray(sent.frame + zlib.crc32(sent.frame).to_bytes(FCS_BYTES, "little"))
    if damaged:
        for _ in range(4):
            frame[air.random.randrange(2, len(frame))] ^= 1 << air.random.randrange(8)
    flags = Tap.FCS_AT_END | (Tap.BAD_FCS if damaged else 0)
    chains = [Antenna(chain, sent.signal - 3 * chain, None) for chain in (0, 1)]
    head = radiotap(
        chains, tsft=tsft, flags=flags, channel=_CHANNEL, signal=sent.signal, rx_flags=0, **sent.rate
    )
    return head + frame


# Rates, as radiotap tells them.


def _legacy(mbps: float) -> Fields:
    return {"rate": round(2 * mbps)}


def _vht(mcs: int, streams: int, *, ampdu: int) -> Fields:
    """80 MHz, short guard interval."""
    return {"ampdu": (ampdu, 0, 0, 0), "vht": (0x44, 4, 4, mcs << 4 | streams, 0, 0, 0, 0, 0, 0)}


def _he(mcs: int, streams: int, *, ampdu: int) -> Fields:
    """80 MHz, 0.8 us."""
    return {"ampdu": (ampdu, 0, 0, 0), "he": (0x4020, 2, mcs << 8, 0, 2, streams)}


# Who talks.


def _beacon(air: _Air) -> Iterator[_Sent]:
    elements = (
        element(0, b"meshlens") + element(1, bytes.fromhex("8c129824b048606c")) + element(5, b"\0\2\0\0")
    )
    body = air.random.randbytes(8) + bytes.fromhex("64001104") + elements
    frame = dot11("beacon", BROADCAST, AP, AP, body, sequence=air.number())
    yield _Sent(frame, air.near(-47), _legacy(6))


def _fading_phone(air: _Air) -> Iterator[_Sent]:
    """Slower and with more retries, the longer it goes on."""
    signal, mcs = air.near(-50 - 25 * air.fading), round(9 - 8 * air.fading)
    air.ampdu += 1
    for _ in range(air.random.randrange(1, 4)):
        again = HeaderFlag.RETRY if air.random.random() < 0.4 * air.fading else 0
        flags = HeaderFlag.TO_DS | HeaderFlag.PROTECTED | again
        body = air.random.randbytes(air.random.choice((100, 400, 1400)))
        frame = dot11("qos-data", AP, PHONE, AP, body, flags=flags, sequence=air.number())
        yield _Sent(frame, signal, _vht(mcs, 2, ampdu=air.ampdu))
    yield _Sent(dot11("block-ack", PHONE, AP, body=_BLOCK_ACK), air.near(-47), _legacy(24))


def _laptop(air: _Air) -> Iterator[_Sent]:
    """The access point sends to it behind RTS and CTS."""
    yield _Sent(dot11("rts", LAPTOP, AP), air.near(-47), _legacy(24))
    yield _Sent(dot11("cts", AP), air.near(-58), _legacy(24))
    air.ampdu += 1
    flags = HeaderFlag.FROM_DS | HeaderFlag.PROTECTED
    for _ in range(3):
        frame = dot11(
            "qos-data", LAPTOP, AP, AP, air.random.randbytes(1400), flags=flags, sequence=air.number()
        )
        yield _Sent(frame, air.near(-47), _he(11, 2, ampdu=air.ampdu))
    yield _Sent(dot11("block-ack", AP, LAPTOP, body=_BLOCK_ACK), air.near(-58), _legacy(24))


def _sensor(air: _Air) -> Iterator[_Sent]:
    body = air.random.randbytes(60)
    frame = dot11("data", AP, SENSOR, AP, body, flags=HeaderFlag.TO_DS, sequence=air.number())
    yield _Sent(frame, air.near(-71), _legacy(6))
    yield _Sent(dot11("ack", SENSOR), air.near(-47), _legacy(6))


def _passer_by(air: _Air) -> Iterator[_Sent]:
    """Under an address that it makes up anew each time (locally administered)."""
    address = f"de:ad:{air.random.randbytes(4).hex(':')}"
    body = element(0, b"") + element(1, bytes.fromhex("8c129824b048606c")) + element(45, bytes(26))
    for _ in range(2):
        frame = dot11("probe-req", BROADCAST, address, BROADCAST, body, sequence=air.number())
        yield _Sent(frame, air.near(-80), _legacy(6))


#: Who talks how often.
_TALKS: Final[dict[Callable[[_Air], Iterator[_Sent]], int]] = {
    _beacon: 10,
    _fading_phone: 30,
    _laptop: 20,
    _sensor: 8,
    _passer_by: 1,
}

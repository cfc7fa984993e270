"""The air between radios of mac80211_hwsim, with losses and signals that are chosen, and so known.

hwsim gives frames to a program that asks for them (HWSIM_CMD_REGISTER in the kernel's
drivers/net/wireless/virtual/mac80211_hwsim.h), which says who hears them and what the transmitter is told.
Radio number N has the address 02:00:00:00:0N:00.
"""

import os
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from threading import Thread
from types import TracebackType
from typing import Final, Self

from meshlens.ebpf.netlink import Netlink, attribute, attributes

__all__ = ["Link", "Medium", "mac"]

_GENERIC, _CONTROLLER, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 16, 3, 1, 2
_REGISTER, _FRAME, _TX_INFO = 1, 2, 3
_RECEIVER, _TRANSMITTER, _DATA, _FLAGS, _RX_RATE, _SIGNAL, _TX_RATES, _COOKIE, _FREQUENCY = (
    1, 2, 3, 4, 5, 6, 7, 8, 19,
)  # fmt: skip
_ACKED: Final = 4  # HWSIM_TX_STAT_ACK
_RETRY: Final = 0x08
_DATA_FRAME, _BEACON = 0x08, 0x80
_HEADER, _COMMAND = struct.Struct("=IHHII"), struct.Struct("=BBH")


def mac(radio: int) -> str:
    """The address of a radio's first interface."""
    return f"02:00:00:00:{radio:02x}:00"


@dataclass
class Link:
    """How data frames fare from one radio to another, and what of them there was.

    They are heard with the `signals` in turn. The n-th frame takes `tries[n]` attempts, in turn too; where
    that is 0, five attempts are all lost. Each `duplicate_every`-th one is heard twice.
    """

    signals: tuple[int, ...] = (-50,)
    tries: tuple[int, ...] = (1,)
    duplicate_every: int = 0

    def __post_init__(self) -> None:
        self.next_signal, self.next_tries = cycle(self.signals), cycle(self.tries)
        self.truth = Counter[str]()
        self.heard_at = Counter[int]()


class Medium:
    """All radios hear each other, within `with`; `links` by the radios' numbers, others are perfect."""

    def __init__(self, radios: int, links: dict[tuple[int, int], Link]) -> None:
        self.radios = radios
        self.links = links
        with Netlink(_GENERIC) as netlink:
            asked = _COMMAND.pack(_GETFAMILY, 1, 0) + attribute(_FAMILY_NAME, b"MAC80211_HWSIM\0")
            (answer,) = netlink.request(_CONTROLLER, asked)
        (self._family,) = struct.unpack("=H", attributes(answer[_COMMAND.size :])[_FAMILY_ID])
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _GENERIC)
        # hwsim takes the end of any netlink socket of our number for ours (mac80211_hwsim_netlink_notify()),
        # and the number that one gets by itself is the process's, in each protocol.
        self._socket.bind((1 << 30 | os.getpid(), 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.settimeout(0.2)
        self._thread = Thread(target=self._run, daemon=True)
        self._ended = False
        #: Beacons are lost as long as this is set.
        self.quiet = False

    def __enter__(self) -> Self:
        self._send(_REGISTER, b"")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join()
        self._socket.close()

    def begin_again(self) -> None:
        """Forget what was carried."""
        for link in self.links.values():
            link.__post_init__()

    def _run(self) -> None:
        while not self._ended:
            try:
                data = self._socket.recv(1 << 17)
            except TimeoutError:
                continue
            while len(data) >= _HEADER.size:
                length, kind, *_ = _HEADER.unpack_from(data)
                if kind == self._family and data[_HEADER.size] == _FRAME:
                    self._carry(attributes(data[_HEADER.size + _COMMAND.size : length]))
                data = data[length + 3 & ~3 :]

    def _carry(self, sent: dict[int, bytes]) -> None:
        """One frame, from its radio to all others."""
        source, frame = sent[_TRANSMITTER][4], sent[_DATA]
        to = None if frame[4] & 1 else frame[8]  # a group has many
        index = max(struct.unpack_from("=b", sent[_TX_RATES])[0], 0)
        link = self.links.get((source, to)) if to is not None and frame[0] & 0x0C == _DATA_FRAME else None
        tries, signal = 1, -50
        if link:
            tries, signal = next(link.next_tries), next(link.next_signal)
            link.truth.update(frames=1, attempts=tries or 5, retries=(tries or 5) - 1, failed=not tries)
        if tries > 1:
            frame = bytes([frame[0], frame[1] | _RETRY]) + frame[2:]
        for radio in range(self.radios):
            if radio != source and (tries or radio != to) and not (self.quiet and frame[0] == _BEACON):
                self.deliver(radio, frame, index, signal, sent[_FREQUENCY])
        if link and tries:
            link.truth.update(heard=1, bytes=len(frame), again=tries > 1)
            link.heard_at[signal] += 1
            if link.duplicate_every and link.truth["heard"] % link.duplicate_every == 0:
                again = bytes([frame[0], frame[1] | _RETRY]) + frame[2:]
                link.truth.update(duplicates=1)
                assert to is not None
                self.deliver(to, again, index, signal, sent[_FREQUENCY])
        self._report(sent, index, tries, signal)

    def deliver(self, radio: int, frame: bytes, index: int, signal: int, frequency: bytes) -> None:
        """Let a radio hear a frame, at the rate of that index; `frequency` is as hwsim has it."""
        receiver = bytes([0x42, 0, 0, 0, radio, 0])
        heard = attribute(_RECEIVER, receiver) + attribute(_DATA, frame)
        heard += attribute(_RX_RATE, struct.pack("=I", index)) + attribute(_SIGNAL, struct.pack("=i", signal))
        self._send(_FRAME, heard + attribute(_FREQUENCY, frequency))

    def _report(self, sent: dict[int, bytes], index: int, tries: int, signal: int) -> None:
        """What the transmitter is told: a rate and its attempts, then no more rates."""
        (flags,) = struct.unpack("=I", sent[_FLAGS])
        rates = struct.pack("=bB", index, tries or 5) + struct.pack("=bB", -1, 0) * 3
        told = attribute(_TRANSMITTER, sent[_TRANSMITTER])
        told += attribute(_FLAGS, struct.pack("=I", flags | (_ACKED if tries else 0)))
        told += attribute(_SIGNAL, struct.pack("=i", signal)) + attribute(_TX_RATES, rates)
        self._send(_TX_INFO, told + attribute(_COOKIE, sent[_COOKIE]))

    def _send(self, command: int, body: bytes) -> None:
        message = _COMMAND.pack(command, 1, 0) + body
        self._socket.send(_HEADER.pack(_HEADER.size + len(message), self._family, 1, 0, 0) + message)

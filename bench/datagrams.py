"""Small UDP datagrams of many flows through a veth pair: out of a packet socket, into a socket."""

import socket

from bench.network import Namespace, Receiver, Sender
from meshlens.packet import craft
from meshlens.probes.interfaces import list_interfaces

__all__ = ["BATCH", "Datagrams"]

BATCH = 64  # frames of a system call
_NET = "192.0.2."  # RFC 5737
_NEAR, _FAR = _NET + "1", _NET + "2"
_PORT, _FIRST_PORT = 5001, 10_000
_FLOWS_OF_AN_ADDRESS = 50_000
_SIZE = 18  # 60 bytes with all headers: the shortest frame that Ethernet has


class Datagrams:
    """Sends from one end of a pair of namespaces to the other; `sent` says how many so far."""

    def __init__(self, ends: tuple[Namespace, Namespace]) -> None:
        self.ends, self.sent = ends, 0
        self._senders: list[Sender] = []
        for namespace, address in zip(ends, (_NEAR, _FAR), strict=True):
            namespace.ip("address", "add", f"{address}/24", "dev", "veth0")
        with ends[1].inside():
            link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.bind((_FAR, _PORT))
            (self._mac,) = (each.mac for each in list_interfaces() if each.name == "veth0")
        self._receiver = Receiver(link, BATCH, 64)

    @property
    def batches(self) -> int:
        """So many make all flows."""
        return len(self._senders)

    def prepare(self, flows: int) -> None:
        """Send datagrams of so many flows from now on, one after the other."""
        frames = [self._frame(number) for number in range(max(flows, BATCH) // BATCH * BATCH)]
        frames = [frames[number % flows] for number in range(len(frames))]
        parts = (frames[at : at + BATCH] for at in range(0, len(frames), BATCH))
        links = self._senders[:1]
        self._senders = []
        for part in parts:
            sender = Sender(links[0].link, part) if links else Sender.on(self.ends[0], "veth0", part)
            links = [sender]
            self._senders.append(sender)

    def send(self) -> None:
        """Send a batch and have it received."""
        self._senders[self.sent // BATCH % len(self._senders)].send()
        self._receiver.receive()
        self.sent += BATCH

    def send_all_flows(self) -> None:
        """Send a datagram of each flow."""
        for _ in self._senders:
            self.send()

    def _frame(self, number: int) -> bytes:
        address, port = divmod(number, _FLOWS_OF_AN_ADDRESS)
        source = _NET + str(10 + address)
        packet = craft.udp(source, _FAR, _FIRST_PORT + port, _PORT, bytes(_SIZE))
        return craft.ip_frame("02:00:00:00:00:01", packet, self._mac)

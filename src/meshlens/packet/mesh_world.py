"""Who lives in a made-up mesh, and what a kind of frame is."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

__all__ = ["Build", "Client", "Kind", "World"]


@dataclass(frozen=True, slots=True)
class Client:
    """A host behind some mesh node."""

    mac: str
    ipv4: str
    link_local: str
    ipv6: str
    name: str


class World:
    """Who there is, and the dice: all that is random about a mix comes from one seed."""

    def __init__(self, seed: int, clients: int = 40, nodes: int = 12) -> None:
        self.random = Random(seed)
        self.gateway = _client(1)
        self.clients = [_client(number) for number in range(2, clients + 2)]
        self.nodes = [f"02:ba:7a:00:00:{number:02x}" for number in range(nodes)]

    def node(self) -> str:
        """The MAC address of some mesh node."""
        return self.random.choice(self.nodes)

    def peer(self, of: Client) -> Client:
        """Some other client."""
        return self.random.choice([client for client in self.clients if client is not of])

    def bits(self, count: int) -> int:
        return self.random.getrandbits(count)

    def port(self) -> int:
        """A source port from the dynamic range."""
        return self.random.randrange(49152, 65536)

    def bytes(self, least: int, most: int) -> bytes:
        return self.random.randbytes(self.random.randint(least, most))


def _client(number: int) -> Client:
    tail = f"{number >> 8:x}:{number & 255:x}"
    return Client(
        mac=f"02:00:5e:10:{number >> 8:02x}:{number & 255:02x}",
        ipv4=f"10.11.{number >> 8}.{number & 255}",
        link_local=f"fe80::5eff:fe10:{tail}",
        ipv6=f"2001:db8:11::{tail}",
        name=f"host-{number}",
    )


Build = Callable[[World, Client], bytes]


class Kind(NamedTuple):
    """A kind of frame: `build` makes one, from a client of the world."""

    name: str
    weight: float
    build: Build

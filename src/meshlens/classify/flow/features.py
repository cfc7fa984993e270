"""What a model sees of a flow: numbers of its first packets.

`src` is the end that sent the first packet, `dst` the other one. What was not there is 0: the features of a
flow of three packets are 0 for the fourth and later ones. `flow.sample` is the definition of every number.
"""

from collections.abc import Iterator
from typing import Final

from meshlens.classify.features import Feature

__all__ = [
    "CONTENT_BYTES",
    "DATA_PACKETS",
    "END_FEATURES",
    "FEATURES",
    "KEPT_BYTES",
    "LENGTH_PLACES",
    "OTHER_PORTS",
    "PACKETS",
    "PLACE",
]

#: A flow is judged by this many packets, and costs nothing more after them.
PACKETS: Final = 8
#: Of so many packets with data the sizes of the data are kept, for each end.
DATA_PACKETS: Final = 3
#: Of the first data of each end, so many bytes are looked at; the first ones of them are kept as they are.
CONTENT_BYTES: Final = 16
KEPT_BYTES: Final = 8
#: Where many protocols have the length of a message: DNS over TCP and SMB; STUN and RADIUS; TLS.
LENGTH_PLACES: Final = (0, 2, 3)
#: Ports where a service is commonly found as well, and the one that it is known by; see IANA's service names
#: (http-alt, https-alt) and what servers in development, proxies and control panels take.
OTHER_PORTS: Final = {591: 80, 3128: 80, 8000: 80, 8008: 80, 8080: 80, 8081: 80, 8888: 80, 8443: 443}


def _of_packets() -> Iterator[Feature]:
    """Of each of the first packets; the way and time of the first one are where others count from."""
    for name, group, unit, first in (
        ("size", "sizes", "bytes", 1),
        ("payload", "sizes", "bytes", 1),
        ("way", "directions", "", 2),
        ("time", "timing", "µs", 2),
        ("flags", "flags", "", 1),
    ):
        for number in range(first, PACKETS + 1):
            yield Feature(f"{name}_{number}", group, unit)


def _of_end(end: str) -> Iterator[Feature]:
    """Of all that one end sent among the first packets; its first packet; its first data."""
    yield Feature(f"{end}_packets", "directions")
    yield Feature(f"{end}_data_packets", "sizes")
    yield Feature(f"{end}_data", "sizes", "bytes")
    for number in range(1, DATA_PACKETS + 1):
        yield Feature(f"{end}_data_{number}", "sizes", "bytes")
    yield Feature(f"{end}_ttl", "stack")
    yield Feature(f"{end}_tcp_header", "stack", "bytes")
    yield Feature(f"{end}_window", "stack")
    yield Feature(f"{end}_mss", "stack", "bytes")
    for number in range(1, KEPT_BYTES + 1):
        yield Feature(f"{end}_byte_{number}", "payload")
    for name in ("printable", "zeros", "high", "kinds"):
        yield Feature(f"{end}_{name}", "payload", "bytes" if name != "kinds" else "")
    for place in LENGTH_PLACES:
        yield Feature(f"{end}_length_{place}", "payload")


FEATURES: Final = (
    *_of_packets(),
    *_of_end("src"),
    *_of_end("dst"),
    Feature("protocol", "protocol"),
    Feature("src_port", "ports"),
    Feature("dst_port", "ports"),
    Feature("low_port", "ports"),
    Feature("service_port", "ports"),
)
#: Where a feature stands in the row, by its name.
PLACE: Final = {feature.name: place for place, feature in enumerate(FEATURES)}
#: Features of one end: those of `dst` stand so many places behind those of `src`.
END_FEATURES: Final = PLACE["dst_packets"] - PLACE["src_packets"]

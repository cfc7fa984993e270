"""What a pinned counter says about itself, so that a process which never saw the filter list can read it.

It stands in a frozen map beside the counters: a magic with a version, then zlib-compressed JSON. The counters
are numbers by slot; this is the key to them.
"""

import json
import zlib
from dataclasses import asdict, dataclass

from meshlens.errors import MeshlensError
from meshlens.probes.count.readout import Layout
from meshlens.probes.snapshot import Direction

__all__ = ["Manifest", "PinnedAttachment", "decode", "encode"]

_MAGIC = b"meshlens1"


@dataclass(frozen=True, slots=True)
class PinnedAttachment:
    """One interface in one direction, named as it was when the counter was attached.

    `how` is `Attachment.how`; `layout` the place of its layout in `Manifest.layouts`; `program` the id of the
    program, which stays its own as long as the pin holds it.
    """

    interface: str
    ifindex: int
    direction: Direction
    how: str
    layout: int
    program: int

    @property
    def key(self) -> str:
        """What its pins are called; no interface's name has a colon (dev_valid_name(), net/core/dev.c)."""
        return f"{self.interface}:{self.direction}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that is known of a pin. `netns` is the inode of the network namespace its interfaces are in."""

    created_ns: int
    netns: int
    attachments: tuple[PinnedAttachment, ...]
    layouts: tuple[Layout, ...]


def encode(manifest: Manifest) -> bytes:
    """The manifest as it stands in the map."""
    text = json.dumps(asdict(manifest), separators=(",", ":"))
    return _MAGIC + zlib.compress(text.encode(), 9)


def decode(value: bytes) -> Manifest:
    """The manifest in a map's value. Raises MeshlensError if it is not one of this version's."""
    if not value.startswith(_MAGIC):
        raise MeshlensError(f"not a manifest of this version: begins with {value[:16]!r}, not {_MAGIC!r}")
    fields = json.loads(zlib.decompress(value[len(_MAGIC) :]))
    return Manifest(
        fields["created_ns"],
        fields["netns"],
        tuple(PinnedAttachment(**each) for each in fields["attachments"]),
        tuple(
            Layout(tuple(each["filters"]), tuple(tuple(slot) for slot in each["matches"]))
            for each in fields["layouts"]
        ),
    )

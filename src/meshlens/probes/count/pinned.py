"""Finding and reading pinned counters: what the kernel counts with no process resident.

/sys/fs/bpf/meshlens/NAME/ holds, for each interface and direction, the counters and what keeps the program
attached (its link; at clsact, where filters outlive us by themselves, the program), and the manifest that
says how the counters are to be read. Dots are not allowed in names on a bpffs (bpf_lookup(),
kernel/bpf/inode.c) and stand there as colons.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from meshlens.ebpf.bpffs import BPFFS, is_bpffs, pinned
from meshlens.ebpf.maps import Map
from meshlens.errors import MeshlensError, PermissionDenied
from meshlens.probes.count.manifest import Manifest, PinnedAttachment, decode
from meshlens.probes.count.readout import COUNTERS, read_counters
from meshlens.probes.snapshot import Count, Snapshot

__all__ = [
    "MANIFEST",
    "ROOT",
    "PinnedCounter",
    "directory_of",
    "open_pin",
    "path_of",
    "pin_names",
    "read_manifest",
    "to_bpffs_name",
]

ROOT = Path(BPFFS) / "meshlens"
MANIFEST = "manifest"


def pin_names() -> list[str]:
    """The names of all pinned counters. Raises PermissionDenied."""
    try:
        return sorted(entry.name.replace(":", ".") for entry in ROOT.iterdir())
    except FileNotFoundError:
        return []
    except PermissionError:
        raise PermissionDenied(f"cannot look into {ROOT}: run as root") from None


def directory_of(name: str) -> Path:
    """The directory of a pinned counter. Raises MeshlensError, with the names there are, if it is none."""
    names = pin_names()
    if name not in names:
        there = f"there is {', '.join(names)}" if names else "nothing is"
        if not is_bpffs(BPFFS):
            there = f"no bpffs is mounted at {BPFFS} here"
        raise MeshlensError(f"nothing is pinned as {name!r}: {there}")
    return ROOT / to_bpffs_name(name)


def path_of(directory: Path, each: PinnedAttachment, what: str) -> str:
    """Where something of one attachment is pinned: "counters" or "link" (at clsact, the program)."""
    return os.fspath(directory / to_bpffs_name(f"{each.key}:{what}"))


def to_bpffs_name(name: str) -> str:
    """A name without dots; neither our names nor those of interfaces have colons of their own."""
    return name.replace(".", ":")


def read_manifest(name: str) -> Manifest:
    """What a pinned counter says about itself. Raises MeshlensError, PermissionDenied."""
    path = directory_of(name) / MANIFEST
    if not path.exists():
        raise MeshlensError(f"{name!r} was left half made: 'meshlens detach {name}' removes it")
    with Map.from_fd(pinned(os.fspath(path))) as manifest:
        return decode(manifest.lookup(0) or b"")


class PinnedCounter:
    """A pinned counter, open for reading."""

    def __init__(self, manifest: Manifest, counters: list[Map]) -> None:
        self.manifest, self.counters = manifest, counters

    def read(self) -> Snapshot:
        """All counts since the counter was pinned, also of interfaces that are gone."""
        counts: list[Count] = []
        missed: dict[str, int] = {}
        for each, counters in zip(self.manifest.attachments, self.counters, strict=True):
            layout = self.manifest.layouts[each.layout]
            totals = read_counters(counters.lookup(0) or b"", layout)
            counts += (
                Count(id, each.interface, each.direction, *sums)
                for id, sums in zip(layout.filters, totals.filters, strict=True)
            )
            for reason, frames in totals.missed.items():
                missed[reason] = missed.get(reason, 0) + frames
        return Snapshot(time.time_ns(), tuple(counts), missed)


@contextlib.contextmanager
def open_pin(name: str) -> Iterator[PinnedCounter]:
    """Open what is pinned as `name`. Raises MeshlensError if there is none, PermissionDenied."""
    manifest = read_manifest(name)
    directory = directory_of(name)
    with contextlib.ExitStack() as opened:
        maps = [Map.from_fd(pinned(path_of(directory, each, COUNTERS))) for each in manifest.attachments]
        for each in maps:
            opened.enter_context(each)
        yield PinnedCounter(manifest, maps)

"""Pinning counters, and ending that: attach, pin, exit, and the kernel goes on counting.

`probes.count.pinned` says what stands where.
"""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Final

from meshlens.ebpf import clsact
from meshlens.ebpf.bpffs import BPFFS, is_bpffs, mount_bpffs, object_kind, pin, pinned
from meshlens.ebpf.constants import MapType
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.link import BpfLink
from meshlens.ebpf.maps import MapSpec
from meshlens.ebpf.netlink import RtNetlink
from meshlens.errors import MeshlensError, PermissionDenied, UsageError
from meshlens.filters.lists import FilterList
from meshlens.probes.attach import Attachment
from meshlens.probes.count.manifest import Manifest, PinnedAttachment, encode
from meshlens.probes.count.pinned import (
    MANIFEST,
    ROOT,
    directory_of,
    path_of,
    pin_names,
    read_manifest,
    to_bpffs_name,
)
from meshlens.probes.count.plan import AttachMode
from meshlens.probes.count.readout import COUNTERS, Layout
from meshlens.probes.count.session import CountSession, DirectionChoice
from meshlens.probes.interfaces import list_interfaces

__all__ = ["current_netns", "detach_pin", "need_bpffs", "pin_counters"]

_SIDES: Final[tuple[clsact.Side, ...]] = ("ingress", "egress")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def pin_counters(
    name: str,
    filters: FilterList,
    interfaces: Sequence[str] = (),
    *,
    direction: DirectionChoice = "both",
    attach: AttachMode = "auto",
    helpers: bool = False,
) -> None:
    """Count as `meshlens.count` does, under `name` and without this process.

    Interfaces are those that are there now; later ones are not followed. Mounts a bpffs if there is none.
    Raises UsageError for a name that cannot be or is taken, and for packet sockets, which end with their
    process; MeshlensError where no interface is counted; else as `meshlens.count` and entering its session.
    After an error nothing is pinned or attached.
    """
    if attach == "socket":
        raise UsageError(f"cannot pin {name!r}: a packet socket ends with its process; count at tc or XDP")
    directory = _place(name)
    with CountSession(filters, interfaces, direction=direction, attach=attach, helpers=helpers) as session:
        _make(directory, name)
        try:
            _pin_all(directory, session.attachments)
        except BaseException:
            _remove(directory)
            raise


def detach_pin(name: str) -> None:
    """End the counting and remove the pins of `name`; its counts are lost.

    Raises MeshlensError if there is none, or if it counts at clsact in another network namespace;
    PermissionDenied.
    """
    directory = directory_of(name)
    if (directory / MANIFEST).exists():
        manifest = read_manifest(name)
        elsewhere = manifest.netns != current_netns() and manifest.netns in _all_netns()
        if elsewhere and any(each.how == "clsact" for each in manifest.attachments):
            where = ", ".join(sorted({each.interface for each in manifest.attachments}))
            raise MeshlensError(
                f"cannot detach {name!r}: {where} is in another network namespace; run it there"
            )
    _remove(directory)


def current_netns() -> int:
    """The network namespace of this thread, by its inode."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _place(name: str) -> Path:
    """The directory for a name that can be and is free."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"cannot pin as {name!r}: a name is up to 64 letters, digits, '_', '.' and '-'")
    need_bpffs()
    if name in pin_names():
        raise _taken(name)
    return ROOT / to_bpffs_name(name)


def _make(directory: Path, name: str) -> None:
    """Take the place: from here on it is ours, and nobody else can."""
    try:
        ROOT.mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
    except FileExistsError:
        raise _taken(name) from None
    except PermissionError:
        raise PermissionDenied(f"cannot make {directory}: run as root") from None


def _taken(name: str) -> UsageError:
    return UsageError(f"{name!r} is pinned already: 'meshlens detach {name}' ends it")


def need_bpffs() -> None:
    """Mount a bpffs unless there is one. Raises MeshlensError where it would end with the command."""
    if not is_bpffs(BPFFS) and not _mounts_outlive_us():
        raise MeshlensError(
            f"no bpffs at {BPFFS}, and what is mounted here ends with the command: mount one outside, and "
            "instead of 'ip netns exec NAME' use 'nsenter --net=/run/netns/NAME'"
        )
    mount_bpffs(BPFFS)


def _mounts_outlive_us() -> bool:
    """Whether our mount namespace is the machine's; `ip netns exec` makes a new one each time."""
    own = Path("/proc/self/ns/mnt").stat().st_ino
    for other in (1, os.getppid()):
        with contextlib.suppress(OSError):  # some sandboxes hide process 1 even from root
            return Path(f"/proc/{other}/ns/mnt").stat().st_ino == own
    return True


def _pin_all(directory: Path, attachments: Sequence[Attachment]) -> None:
    if not attachments:
        raise MeshlensError("nothing to pin: there is no interface to count on")
    layouts: list[Layout] = []
    entries = []
    for each in attachments:
        if each.layout not in layouts:
            layouts.append(each.layout)
        entry = PinnedAttachment(
            each.interface,
            each.ifindex,
            each.direction,
            each.how,
            layouts.index(each.layout),
            each.program.info().id,
        )
        pin(each.program.maps[COUNTERS].fileno(), path_of(directory, entry, COUNTERS))
        each.link.pin(path_of(directory, entry, "link"))
        entries.append(entry)
    manifest = Manifest(time.time_ns(), current_netns(), tuple(entries), tuple(layouts))
    _pin_manifest(os.fspath(directory / MANIFEST), encode(manifest))


def _pin_manifest(path: str, value: bytes) -> None:
    with MapSpec("manifest", MapType.ARRAY, 4, len(value), 1).create() as manifest:
        manifest.update(0, value)
        manifest.freeze()
        pin(manifest.fileno(), path)


def _remove(directory: Path) -> None:
    """Detach and remove all that is in a pin's directory, whole or half made."""
    for path in directory.glob("*:link"):
        fd = pinned(os.fspath(path))
        if object_kind(fd) == "link":
            BpfLink(fd, "").detach()
        else:
            Handle(fd).close()
    _remove_filters(directory)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def _remove_filters(directory: Path) -> None:
    """Take away the clsact filters that belong to the pins in a directory."""
    with RtNetlink() as netlink:
        for interface, side in product(list_interfaces(), _SIDES):
            for each in clsact.filters(netlink, interface.index, side):
                if (each.owner or "").startswith(f"pin={directory}/"):
                    clsact.remove(netlink, each)


def _all_netns() -> Iterator[int]:
    """The network namespaces that have a name or a process, by inode."""
    for path in (*Path("/run/netns").glob("*"), *Path("/proc").glob("[0-9]*/ns/net")):
        try:
            yield path.stat().st_ino
        except OSError:  # ended meanwhile
            continue

"""What `meshlens load` left behind: a directory for each program, with what holds it in its place.

/sys/fs/bpf/meshlens-loaded/NAME/ holds `link` (the program, where its place has no link) and its maps by
name. Dots are not allowed in names on a bpffs and stand there as colons.
"""

import os
import re
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from meshlens.ebpf.bpffs import BPFFS, object_kind, pinned
from meshlens.ebpf.constants import AttachType
from meshlens.ebpf.handle import Handle
from meshlens.ebpf.info import link_info, program_info
from meshlens.errors import MeshlensError, PermissionDenied, UsageError
from meshlens.probes.count.pinned import to_bpffs_name
from meshlens.probes.count.pins import need_bpffs
from meshlens.probes.snapshot import Direction

__all__ = [
    "LINK",
    "Loaded",
    "directory_of",
    "free_directory",
    "loaded_programs",
    "make_directory",
    "name_of",
    "read_loaded",
    "remove_directory",
]

LOADED = Path(BPFFS) / "meshlens-loaded"
LINK: Final = "link"
_HOOKS: Final[dict[AttachType, tuple[str, Direction]]] = {
    AttachType.XDP: ("xdp", "in"),
    AttachType.TCX_INGRESS: ("tcx", "in"),
    AttachType.TCX_EGRESS: ("tcx", "out"),
}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


class Loaded(NamedTuple):
    """A program that was left on an interface: the name it is pinned under, its number, its hook.

    `hook` and `direction` are as in `meshlens status`, "" and None where nothing tells, since it has no link.
    `attached` is False if its interface is gone or somebody detached it, None where nothing tells.
    """

    pin: str
    program_id: int
    hook: str = ""
    direction: Direction | None = None
    attached: bool | None = None


def loaded_programs() -> list[Loaded]:
    """All that was loaded under a name, on any interface. Raises PermissionDenied."""
    try:
        directories = sorted(LOADED.iterdir())
    except FileNotFoundError:
        return []
    except PermissionError:
        raise PermissionDenied(f"cannot look into {LOADED}: run as root") from None
    return [read_loaded(each) for each in directories if (each / LINK).exists()]


def read_loaded(directory: Path) -> Loaded:
    """What a directory holds in its place."""
    with Handle(pinned(os.fspath(directory / LINK))) as handle:
        if object_kind(handle.fileno()) != "link":
            return Loaded(name_of(directory), program_info(handle.fileno()).id)
        info = link_info(handle.fileno())
    hook, direction = _HOOKS.get(info.attach_type, ("", None))
    return Loaded(name_of(directory), info.program_id, hook, direction, info.ifindex != 0)


def directory_of(pin: str) -> Path:
    """Where a name or path stands. Raises UsageError for one that cannot be."""
    if pin.startswith("/"):
        if "." in pin:
            raise UsageError(f"cannot pin as {pin}: a bpffs takes no dots in names")
        return Path(pin)
    if not _NAME.fullmatch(pin):
        raise UsageError(f"cannot pin as {pin!r}: a name is up to 64 letters, digits, '_', '.', '@' and '-'")
    return LOADED / to_bpffs_name(pin)


def free_directory(pin: str | None, usual: str) -> Path:
    """The directory for a name, or for the usual one, with a number if it is taken. Raises UsageError."""
    if pin is None:
        names = (f"{usual}-{number}" if number > 1 else usual for number in count(1))
        return next(path for path in map(directory_of, names) if not path.exists())
    if directory_of(pin).exists():
        raise UsageError(f"{pin!r} is taken already: 'meshlens unload --pin {pin}' ends what is there")
    return directory_of(pin)


def name_of(directory: Path) -> str:
    """The name that stands for a directory; one elsewhere is its path."""
    return directory.name.replace(":", ".") if directory.parent == LOADED else os.fspath(directory)


def make_directory(directory: Path) -> Path:
    """Make it, and mount a bpffs if there is none. Raises MeshlensError."""
    need_bpffs()
    try:
        if directory.parent == LOADED:
            LOADED.mkdir(mode=0o700, exist_ok=True)
        directory.mkdir(mode=0o700)
    except OSError as error:
        raise MeshlensError(f"cannot make {directory}: {error.strerror}") from None
    return directory


def remove_directory(directory: Path) -> None:
    """Give up what a directory holds, and the directory; nothing if there is none."""
    with suppress(FileNotFoundError):
        for path in list(directory.iterdir()):
            path.unlink()
        directory.rmdir()

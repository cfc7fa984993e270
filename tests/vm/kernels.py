"""Debian's packaged kernels for the tests: fetched by apt, unpacked into a cache, never installed.

    python -m tests.vm.kernels            fetch those that are missing
    MESHLENS_VM_CACHE=DIR                 where to (default: ~/.cache/meshlens/kernels)

apt works in folders of its own below the cache, with Debian's keys; the machine's lists and packages stay as
they are. Standard library only: tools/setup runs this before anything is installed.
"""

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

__all__ = [
    "ARCHITECTURES",
    "NATIVE",
    "SERIES",
    "Architecture",
    "Kernel",
    "Unavailable",
    "fetch",
    "fetched",
    "which",
]


class Architecture(NamedTuple):
    """How QEMU boots a kernel of this architecture: its program and package, and the machine's parts."""

    program: str
    package: str
    machine: tuple[str, ...]
    bus: str
    console: str
    modules: tuple[str, ...]


_SHARES: Final = ("virtio_console", "9pnet_virtio", "9p", "overlay")

ARCHITECTURES: Final = {
    "amd64": Architecture(
        "qemu-system-x86_64", "qemu-system-x86", ("-M", "pc", "-serial", "chardev:console"), "pci", "ttyS0",
        ("virtio_pci", *_SHARES),
    ),
    "s390x": Architecture(
        "qemu-system-s390x", "qemu-system-misc",
        ("-M", "s390-ccw-virtio", "-device", "sclpconsole,chardev=console"), "ccw", "ttyS0", _SHARES,
    ),
}  # fmt: skip


class Series(NamedTuple):
    """Debian's suite whose `linux-image-ARCHITECTURE` is of this series, and what runs on it.

    Without `packages`, the host's own programs do.
    """

    suite: str
    architecture: str = "amd64"
    packages: tuple[str, ...] = ()


_PYTHON: Final = (
    "libc6", "libexpat1", "libffi8", "libssl3", "libuuid1", "zlib1g", "libpython3.11-minimal",
    "libpython3.11-stdlib", "python3.11-minimal", "busybox-static",
)  # fmt: skip

NATIVE: Final = ("6.1", "6.12")
"""Those that run the host's programs."""

SERIES: Final = {
    "6.1": Series("bookworm"),
    "6.12": Series("bookworm-backports"),
    "6.1-s390x": Series("bookworm", "s390x", _PYTHON),  # big-endian
}

_PROGRAMS: Final = {"busybox": "busybox-static", "depmod": "kmod", "zstd": "zstd"}

_MIRROR: Final = "http://deb.debian.org/debian"
_KEYS: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What the tests can use; sound, graphics and file systems would be four fifths of the room.
_PARTS: Final = (
    "./boot/vmlinuz-*", "./lib/modules/*/modules.*", "./lib/modules/*/kernel/arch/*",
    "./lib/modules/*/kernel/crypto/*", "./lib/modules/*/kernel/lib/*", "./lib/modules/*/kernel/net/*",
    "./lib/modules/*/kernel/drivers/net/*", "./lib/modules/*/kernel/drivers/virtio/*",
    "./lib/modules/*/kernel/drivers/char/*", "./lib/modules/*/kernel/fs/9p/*",
    "./lib/modules/*/kernel/fs/fscache/*", "./lib/modules/*/kernel/fs/netfs/*",
    "./lib/modules/*/kernel/fs/overlayfs/*",
)  # fmt: skip

_APT: Final = """\
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
"""


class Unavailable(Exception):
    """There is no kernel, or nothing to boot it with; the message says what to do."""


class Kernel(NamedTuple):
    """An unpacked kernel: `root` holds lib/modules/`release`; `files` is what the machine has as its root."""

    release: str
    root: Path
    vmlinux: Path
    architecture: Architecture
    files: Path
    busybox: Path


def cache() -> Path:
    """Where kernels are kept."""
    return Path(os.environ.get("MESHLENS_VM_CACHE", "~/.cache/meshlens/kernels")).expanduser()


def fetched(series: str) -> Kernel:
    """A kernel that fetch() has prepared. Raises Unavailable."""
    known = SERIES[series]
    architecture = ARCHITECTURES[known.architecture]
    needed = {architecture.program: architecture.package, **_PROGRAMS}
    missing = [package for program, package in needed.items() if not which(program)]
    if missing:
        raise Unavailable(f"no virtual machine: apt-get install {' '.join(missing)}")
    root = cache() / series
    if not (root / "vmlinux").exists():
        raise Unavailable(f"no kernel {series} in {root}: tools/setup test fetches it")
    (modules,) = (root / "lib/modules").iterdir()
    files = root / "files" if known.packages else Path("/")
    busybox = files / "bin/busybox" if known.packages else Path(_need("busybox"))
    return Kernel(modules.name, root, root / "vmlinux", architecture, files, busybox)


def fetch(series: str) -> Kernel:
    """Downloads and unpacks a kernel; its folder appears when it is complete. Raises Unavailable."""
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix=f".{series}.") as work:
        root = Path(work, "root")
        root.mkdir()
        try:
            kernel, *others = _download(SERIES[series], Path(work))
            _unpack(kernel, root)
            _extract_vmlinux(root)
            for other in others:
                _run("dpkg", "-x", str(other), str(root / "files"))
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", None) or error
            raise Unavailable(f"kernel {series}: {str(said).strip()}") from error
        shutil.rmtree(cache() / series, ignore_errors=True)
        root.rename(cache() / series)
    return fetched(series)


def _download(series: Series, work: Path) -> list[Path]:
    """The packages: the suite's newest kernel first."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    source = f"deb [arch={series.architecture} signed-by={_KEYS}] {_MIRROR} {series.suite} main\n"
    (work / "sources.list").write_text(source)
    (work / "apt.conf").write_text(_APT.format(folder=work, architecture=series.architecture))
    (work / "status").touch()
    for folder in ("lists", "cache", "."):  # apt gives up root's rights to download
        (work / folder).chmod(0o755)

    def apt(*words: str) -> str:
        return _run(*words, env=os.environ | {"APT_CONFIG": str(work / "apt.conf")}, cwd=work)

    apt("apt-get", "-q", "update")
    depends = apt("apt-cache", "depends", f"linux-image-{series.architecture}").split()
    kernel = next(word for word in depends if word.startswith("linux-image-") and word[12].isdigit())
    apt("apt-get", "-q", "download", kernel, *series.packages)
    return sorted(work.glob("*.deb"), key=lambda path: not path.name.startswith("linux-image-"))


def _unpack(archive: Path, root: Path) -> None:
    with subprocess.Popen(["dpkg", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as tar:
        command: list[str | Path] = [
            "tar",
            "-x",
            "-C",
            root,
            "--wildcards",
            *_PARTS,
        ]  # not each kernel has each part: no error
        subprocess.run(command, check=False, stdin=tar.stdout, stderr=subprocess.DEVNULL)
    (modules,) = (root / "lib/modules").iterdir()
    _run(_need("depmod"), "-b", str(root), modules.name)


def _extract_vmlinux(root: Path) -> None:
    """Takes the kernel out of its self-extracting image, where that is PC's (it takes 2.5 s at each boot)."""
    (image,) = (root / "boot").iterdir()
    data = image.read_bytes()
    if not data.startswith(b"MZ"):
        image.rename(root / "vmlinux")
        return
    if (start := data.find(b"\xfd7zXZ\0")) >= 0:
        kernel = lzma.LZMADecompressor().decompress(data[start:])
    else:  # zstd ends with an error for what stands behind
        command = [_need("zstd"), "-dcq"]
        packed = data[data.find(b"\x28\xb5\x2f\xfd") :]
        kernel = subprocess.run(command, input=packed, capture_output=True, check=False).stdout
    if not kernel.startswith(b"\x7fELF"):
        raise Unavailable(f"no kernel found in {image}")
    (root / "vmlinux").write_bytes(kernel)
    image.unlink()


def which(program: str) -> str | None:
    """Where a program is, for users without root's PATH too."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _need(program: str) -> str:
    found = which(program)
    if found is None:
        raise Unavailable(f"no {program}: apt-get install {_PROGRAMS[program]}")
    return found


def _run(*command: str, **options: object) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    return str(done.stdout)


def main() -> int:
    """Fetches what is missing; says what cannot be had: no error, for the tests skip and say it too."""
    for series in SERIES:
        try:
            print(f"kernel {(fetched_or_fetch(series)).release}", file=sys.stderr)
        except Unavailable as error:
            print(error, file=sys.stderr)
    return 0


def fetched_or_fetch(series: str) -> Kernel:
    """The kernel from the cache, or from Debian. Raises Unavailable."""
    try:
        return fetched(series)
    except Unavailable:
        return fetch(series)


if __name__ == "__main__":
    sys.exit(main())

"""What a test machine starts with: busybox, the modules to reach the host's files, and two scripts.

The first script mounts the host's root, read-only, under a file system in memory that takes the writes; the
second one is the agent that runs commands in it (see tests.vm.machine for the other end).
"""

import lzma
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.vm.kernels import Kernel, which

__all__ = ["initramfs"]

_INIT = r"""#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for module in $($b cat /modules.order); do $b insmod /modules/$module; done
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /lower || $b poweroff -f
$b mount -t tmpfs -o mode=755,size=80% tmpfs /upper
$b mkdir /upper/files /upper/work
layers=lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work
$b mount -t overlay -o $layers overlay /newroot || $b poweroff -f
$b mkdir -p /newroot/.vm
$b cp /agent $b /newroot/.vm/
for folder in proc sys dev; do $b mkdir -p /newroot/$folder; $b mount --move /$folder /newroot/$folder; done
exec $b switch_root /newroot /.vm/agent
"""

# virtio ports by number: 1 control (a command in, its exit code out), 2 standard output, 3 standard error.
# /bin/sh is the host's, if it is there: busybox's own would run its applets instead of the host's ip, ping...
# A machine of another architecture has files of its own, and the host's under /host.
_AGENT = r"""#!/.vm/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
b=/.vm/busybox
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts -o mode=600,ptmxmode=666 devpts /dev/pts; $b mount -t tmpfs shm /dev/shm
$b mount -t tmpfs run /run; $b mkdir -p /run/lock /run/netns
$b mount -t bpf bpf /sys/fs/bpf; $b mount -t tracefs tracing /sys/kernel/tracing
$b mount -t debugfs debug /sys/kernel/debug; $b mount -t cgroup2 cgroup /sys/fs/cgroup
release=$($b uname -r); $b mkdir -p /lib/modules/$release
share="$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose"
$share modules /lib/modules/$release
$b mkdir /host; $share host /host || $b rmdir /host
$b ip link set lo up; $b hostname vm
shell=/bin/sh; [ -x $shell ] || shell="$b sh"
echo 1 >/proc/sys/kernel/printk
exec 3<>$(echo /dev/vport*p1) 4>$(echo /dev/vport*p2) 5>$(echo /dev/vport*p3)
echo ready >&3
while read -r command <&3; do
  echo "$command" | $b base64 -d >/.vm/command
  $shell /.vm/command </dev/null >&4 2>&5 3<&- 4>&- 5>&-
  echo $? >&3
done
$b poweroff -f
"""


def initramfs(kernel: Kernel) -> bytes:
    """The archive that a kernel takes as its first file system."""
    files = {"bin/busybox": kernel.busybox.read_bytes(), "init": _INIT.encode(), "agent": _AGENT.encode()}
    order = []
    for path in _module_files(kernel):
        data = path.read_bytes()
        order.append(path.name.removesuffix(".xz"))
        files[f"modules/{order[-1]}"] = lzma.decompress(data) if path.suffix == ".xz" else data
    files["modules.order"] = "\n".join(order).encode()
    folders = ("bin", "modules", "proc", "sys", "dev", "lower", "upper", "newroot")
    return b"".join(_archive(folders, files))


def _module_files(kernel: Kernel) -> list[Path]:
    """The modules and those that they need, in the order of loading."""
    modprobe = which("modprobe")
    assert modprobe
    command = [modprobe, "-d", str(kernel.root), "-S", kernel.release, "--show-depends"]
    found: dict[Path, None] = {}
    for module in kernel.architecture.modules:
        said = subprocess.run([*command, module], capture_output=True, text=True, check=True)
        words = [line.split() for line in said.stdout.splitlines()]
        found |= {Path(word[1]): None for word in words if word[0] == "insmod"}  # "builtin" ones are there
    return list(found)


def _archive(folders: tuple[str, ...], files: dict[str, bytes]) -> Iterator[bytes]:
    """A cpio archive in the "new ASCII" form (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, data) for name, data in files.items()]
    yield from (_entry(number, *entry) for number, entry in enumerate(entries, 1))
    yield _entry(0, "dev/console", 0o020600, b"", (5, 1))
    yield _entry(0, "TRAILER!!!", 0, b"")


def _entry(inode: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    path = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)

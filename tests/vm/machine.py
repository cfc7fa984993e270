"""A virtual machine with a kernel of its own and the host's files, in which commands run as root.

    python -m tests.vm.machine [--kernel 6.12] [--timeout S] COMMAND...

QEMU without acceleration: some 3 s to boot, and programs run about 12 times slower than on the host (Python
that imports much is what to avoid). The host's root is there read-only, under a file system in memory: what
is written is gone with the machine. Output and exit code are passed through.
"""

import argparse
import base64
import contextlib
import os
import selectors
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, NoReturn, Self

from tests.vm.initramfs import initramfs
from tests.vm.kernels import SERIES, Kernel, Unavailable, fetched

__all__ = ["Machine", "MachineError", "Result"]

_BOOT_S: Final = 120
_PORTS: Final = ("control", "out", "err")  # numbered from 1, as the agent (tests.vm.initramfs) knows them
_KERNEL_ARGUMENTS: Final = "panic=-1 mitigations=off nokaslr tsc=reliable rcupdate.rcu_expedited=1"


class MachineError(Exception):
    """The machine did not boot, ended by itself, or a command took too long. It is off afterwards."""


class Result(NamedTuple):
    """What a command left: its exit code, standard output and standard error."""

    code: int
    out: bytes
    err: str


class Machine:
    """Boots on entering; off on leaving. One command at a time."""

    def __init__(self, kernel: Kernel, *, memory_mib: int = 640) -> None:
        self.kernel = kernel
        self.memory_mib = memory_mib
        self.prefix = "" if kernel.files == Path("/") else "/host"  # where the host's files are

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as closing:
            self._folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="vm.")))
            (self._folder / "initrd").write_bytes(initramfs(self.kernel))
            pairs = {port: socket.socketpair() for port in _PORTS}
            ours = {port: closing.enter_context(pair[0]) for port, pair in pairs.items()}
            theirs = {port: pair[1] for port, pair in pairs.items()}
            self._control, self._out, self._err = (ours[port] for port in _PORTS)
            self._qemu = self._start(theirs)
            closing.callback(self._end)
            for each in theirs.values():
                each.close()
            if (said := self._command_line(time.monotonic() + _BOOT_S, "boot")) != "ready":
                raise MachineError(f"the machine said {said!r} when it was ready")
            self._closing = closing.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def run(
        self,
        *command: str,
        timeout_s: float = 60,
        environment: Mapping[str, str] | None = None,
        echo: bool = False,
    ) -> Result:
        """Runs a command in our working directory; `echo`: passes its output on as it comes.

        Raises MachineError after `timeout_s`.
        """
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items())
        script = f"cd {shlex.quote(self.prefix + os.getcwd())} && {variables} exec {shlex.join(command)}\n"  # noqa: PTH109
        self._control.sendall(base64.b64encode(script.encode()) + b"\n")
        written = {self._out: bytearray(), self._err: bytearray()}
        sinks = {self._out: sys.stdout.buffer, self._err: sys.stderr.buffer} if echo else {}
        deadline = time.monotonic() + timeout_s
        code: str | None = None
        with selectors.DefaultSelector() as selector:
            for each in (self._control, self._out, self._err):
                selector.register(each, selectors.EVENT_READ)
            while code is None or selector.select(0):  # what was written before the code is there by then
                ready = [key.fileobj for key, _ in selector.select(max(0, deadline - time.monotonic()))]
                if not ready:
                    self._fail(f"{shlex.join(command)[:200]}: still running after {timeout_s} s")
                for port in ready:
                    if port is self._control:
                        code = self._command_line(deadline, shlex.join(command))
                        continue
                    assert isinstance(port, socket.socket)
                    data = port.recv(1 << 16)
                    written[port] += data
                    if port in sinks:
                        sinks[port].write(data)
                        sinks[port].flush()
        return Result(int(code), bytes(written[self._out]), written[self._err].decode(errors="replace"))

    @property
    def pid(self) -> int:
        """The process of the machine."""
        return self._qemu.pid

    def _start(self, ports: Mapping[str, socket.socket]) -> subprocess.Popen[bytes]:
        kernel, architecture, bus = self.kernel, self.kernel.architecture, self.kernel.architecture.bus
        shares = {"root": kernel.files, "modules": kernel.root / "lib/modules" / kernel.release}
        if self.prefix:
            shares["host"] = Path("/")
        command = [
            architecture.program, "-accel", "tcg,thread=multi", "-cpu", "max", "-m", str(self.memory_mib),
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-chardev", f"file,id=console,path={self._folder}/console", *architecture.machine,
            "-device", f"virtio-serial-{bus}", "-kernel", str(kernel.vmlinux),
            "-initrd", f"{self._folder}/initrd",
            "-append", f"console={architecture.console} {_KERNEL_ARGUMENTS}",
        ]  # fmt: skip
        for number, (name, ours) in enumerate(ports.items(), 1):
            command += ["-chardev", f"socket,id={name},fd={ours.fileno()}"]
            command += ["-device", f"virtserialport,chardev={name},name={name},nr={number}"]
        for tag, path in shares.items():
            device = f"fsdev={tag},mount_tag={tag}"
            command += [
                "-fsdev",
                f"local,id={tag},path={path},security_model=none,readonly=on,multidevs=remap",
            ]
            command += ["-device", f"virtio-9p-{bus},{device}"]
        with open(self._folder / "qemu", "wb") as said:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                pass_fds=[each.fileno() for each in ports.values()],
            )

    def _command_line(self, deadline: float, doing: str) -> str:
        """A line from the agent."""
        line = bytearray()
        while not line.endswith(b"\n"):
            self._control.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._control.recv(1)
            except TimeoutError:
                self._fail(f"{doing}: nothing heard in time")
            if not data:
                self._fail(f"{doing}: the machine ended")
            line += data
        return line.decode().strip()

    def _fail(self, what: str) -> NoReturn:
        self._end()
        said = (self._folder / "qemu").read_text(errors="replace")[-1000:]
        console = self._folder / "console"
        said += console.read_text(errors="replace")[-2000:] if console.exists() else ""
        raise MachineError(f"kernel {self.kernel.release}: {what}\n{said}")

    def _end(self) -> None:
        self._qemu.kill()
        self._qemu.wait()


def main() -> int:
    """Runs a command as root in a fresh machine; 125 if the machine failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm.machine", description="Run a command in a VM.")
    parser.add_argument("--kernel", choices=SERIES, default="6.1")
    parser.add_argument("--timeout", type=float, default=300, metavar="S")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[arguments.command[:1] == ["--"] :]
    try:
        with Machine(fetched(arguments.kernel)) as machine:
            return machine.run(*command, timeout_s=arguments.timeout, echo=True).code
    except (MachineError, Unavailable) as error:
        print(error, file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())

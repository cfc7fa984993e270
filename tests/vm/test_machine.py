"""The runner: output and exit code are the command's, the host's files stay as they are, time is limited."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import kernels
from tests.vm.kernels import SERIES, Unavailable, fetched
from tests.vm.machine import Machine, MachineError, main


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    try:
        kernel = fetched("6.1")
    except Unavailable as error:
        pytest.skip(str(error))
    with Machine(kernel) as ours:
        yield ours


def test_output_and_exit_code_are_the_command_s(machine: Machine) -> None:
    ran = machine.run("sh", "-c", "echo said; echo complained >&2; exit 7")
    assert ran == (7, b"said\n", "complained\n")
    assert machine.run("uname", "-r").out.decode().strip() == machine.kernel.release


def test_words_and_the_environment_arrive_as_they_are(machine: Machine) -> None:
    words = ["a b", "$HOME", "'", 'multi\nline "quoted"', "*"]
    ran = machine.run("printf", "%s|", *words, environment={"NAME": "x y'z"})
    assert ran.out.decode() == "|".join([*words, ""])
    assert machine.run("printenv", "NAME", environment={"NAME": "x y'z"}).out == b"x y'z\n"


def test_much_output_is_complete(machine: Machine) -> None:
    ran = machine.run("sh", "-c", "head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2")
    assert (len(ran.out), len(ran.err)) == (3_000_000, 100_000)


def test_the_host_s_files_are_there_and_stay_as_they_are(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("as it was")
    ran = machine.run("sh", "-c", f"cat {file}; echo changed >{file}; cat {file}; touch {tmp_path}/new")
    assert ran == (0, b"as it waschanged\n", "")
    assert file.read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_command_that_takes_too_long_ends_the_machine(machine: Machine) -> None:
    with Machine(machine.kernel) as other:
        began = time.monotonic()
        with pytest.raises(MachineError, match=r"sleep 60: still running after 0\.5 s"):
            other.run("sleep", "60", timeout_s=0.5)
        assert time.monotonic() - began < 10
        assert not Path(f"/proc/{other.pid}").exists()
    assert machine.run("true").code == 0


def test_a_machine_without_kernel_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MESHLENS_VM_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["machine", "true"])
    assert main() == 125
    said = capsys.readouterr().err
    assert "tools/setup test fetches it" in said or "apt-get install" in said
    monkeypatch.setattr(kernels, "which", lambda program: None if "qemu" in program else program)
    with pytest.raises(Unavailable, match="no virtual machine: apt-get install qemu-system-x86"):
        fetched(next(iter(SERIES)))

"""Programs are made in a child process, whose errors arrive as if it were ours."""

import os
import subprocess
import sys

import pytest

from meshlens.errors import MeshlensError, UsageError
from meshlens.filters.compiler import compile_list
from meshlens.filters.lists import parse_list
from meshlens.probes.count import plan
from meshlens.probes.count.plan import ATTACH_MODES, AttachMode, hook_of, plan_counters, plan_list
from meshlens.probes.count.program import count_program

LIST = parse_list("all;len >= 0\nmine;ether src $MAC\n%helper;arp\n")
MAC = "02:00:00:00:00:01"


def test_the_child_makes_the_same_programs_as_this_process() -> None:
    here = plan_counters(compile_list(LIST.with_mac(MAC)))
    assert plan_list(LIST, mac=MAC) == here
    assert here.program("in") == count_program(compile_list(LIST.with_mac(MAC)), "tc", "in")


def test_only_the_directions_asked_for_are_made() -> None:
    assert set(plan_list(LIST, directions=["out"], mac=MAC).programs) == {"out"}


def test_helpers_are_counted_on_request() -> None:
    assert plan_list(LIST, mac=MAC).layout.filters == ("all", "mine")
    assert plan_list(LIST, mac=MAC, helpers=True).layout.filters == ("all", "mine", "%helper")


@pytest.mark.parametrize("mode", ATTACH_MODES)
def test_what_goes_out_is_never_counted_at_xdp(mode: AttachMode) -> None:
    assert hook_of(mode, "out") == ("socket" if mode == "socket" else "tc")
    assert hook_of(mode, "in") == {"auto": "tc", "xdp-generic": "xdp"}.get(mode, mode)


def test_a_filter_that_cannot_be_compiled_is_told_as_the_usage_error_it_is() -> None:
    with pytest.raises(UsageError, match=r"bad.filters:1: filter 'x': libpcap: "):
        plan_list(parse_list("x;arp or or ip", source="bad.filters"))


def test_the_parent_never_imports_the_compiler() -> None:
    program = """
import sys
from meshlens.cli.count import command
from meshlens.filters.lists import parse_list
from meshlens.probes.count.plan import plan_list
plan_list(parse_list("all;len >= 0"))
heavy = ("cypcap", "meshlens.decision", "meshlens.filters.compiler", "rich", "pyroute2")
print(*sorted(name for name in sys.modules if name.startswith(heavy)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_a_child_that_dies_is_an_error_not_a_wait_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        os._exit(9)

    monkeypatch.setattr(plan, "plan_counters", die)
    with pytest.raises(MeshlensError, match="the filter compiler ended without an answer"):
        plan_list(LIST, mac=MAC)


def test_a_bug_in_the_child_is_shown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(plan, "plan_counters", stumble)
    with pytest.raises(MeshlensError, match="without an answer"):
        plan_list(LIST, mac=MAC)
    assert "ZeroDivisionError: a bug" in capfd.readouterr().err

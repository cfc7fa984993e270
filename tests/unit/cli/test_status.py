"""What `meshlens status` prints of what it is told."""

import json
import time
from dataclasses import replace

import pytest

from meshlens.cli import status
from meshlens.cli.main import run
from meshlens.probes.status import AttachedProgram

OURS = AttachedProgram(
    interface="mesh0",
    hook="tcx",
    direction="in",
    position=1,
    program_id=7,
    tag="00112233aabbccdd",
    name="meshlens_count",
    instructions=11851,
    memory_bytes=200_000,
    run_count=4,
    run_time_ns=130,
    ours=True,
    pin=None,
    state="attached",
    link_id=12,
)
PROGRAMS = [
    OURS,
    replace(OURS, hook="xdp-native", pin="mesh", run_count=0, run_time_ns=0),
    replace(OURS, interface="gone0", position=0, pin="mesh", state="interface gone"),
    replace(OURS, interface=None, hook="socket", direction=None, position=0),
    replace(OURS, name="", ours=False, program_id=123456, link_id=0),
    replace(OURS, hook="clsact", link_id=0, priority=3, handle=0x6D6C0001),
]


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: OURS.loaded_ns + 7_200_000_000_000)
    monkeypatch.setattr(status, "attached_programs", lambda names: PROGRAMS)


def test_the_table_is_aligned_and_says_who(attached: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 0
    assert capsys.readouterr().out == (
        """\
INTERFACE  HOOK        DIR  #  PLACE         PROGRAM             ID  TAG               INSNS  KIB  \
AGE  RUNS  NS/RUN  BY
mesh0      tcx         in   1  link 12       meshlens_count       7  00112233aabbccdd  11851  196   \
2h     4      32  meshlens
mesh0      xdp-native  in   1  link 12       meshlens_count       7  00112233aabbccdd  11851  196   \
2h     -       -  meshlens, pinned as mesh
gone0      tcx         in   -  link 12       meshlens_count       7  00112233aabbccdd  11851  196   \
2h     4      32  meshlens, pinned as mesh (interface gone)
-          socket      -    -  link 12       meshlens_count       7  00112233aabbccdd  11851  196   \
2h     4      32  meshlens
mesh0      tcx         in   1  -             -               123456  00112233aabbccdd  11851  196   \
2h     4      32  another
mesh0      clsact      in   1  3:0x6d6c0001  meshlens_count       7  00112233aabbccdd  11851  196   \
2h     4      32  meshlens
"""
    )


def test_json_has_an_object_a_program_with_nothing_rounded(
    attached: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--json"]) == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["ns_per_run"] for each in objects] == [32.5, None, 32.5, 32.5, 32.5, 32.5]
    assert [each["memory_bytes"] for each in objects] == [200_000] * 6
    assert objects[3]["interface"] is None


def test_without_any_program_the_table_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "attached_programs", lambda names: [])
    assert run(["status"]) == 0
    assert capsys.readouterr().out == "nothing is attached\n"
    assert run(["status", "--json"]) == 0
    assert capsys.readouterr().out == ""

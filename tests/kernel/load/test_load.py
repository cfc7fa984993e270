"""`meshlens load` and `unload`: what is attached stays, what is somebody else's stays, nothing else does."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshlens.ebpf import Program, ProgramType, attach_clsact, attach_tcx, attach_xdp, attached
from meshlens.ebpf.query import Attachment
from tests.kernel.ebpf.counting import FRAME, counter, hits
from tests.kernel.pins.conftest import Lab, arp_list, lab

__all__ = ["arp_list", "lab"]

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("bpftool"), reason="needs bpftool")]

OBJECTS = Path(__file__).parents[2] / "objects"
COUNTER = str(OBJECTS / "counter.o")


@pytest.fixture
def foreign_xdp() -> Iterator[Program]:
    with counter(ProgramType.XDP, "foreign").load() as program:
        yield program


@pytest.fixture
def foreign_tc() -> Iterator[Program]:
    with counter(ProgramType.SCHED_CLS, "foreign").load() as program:
        yield program


def places(lab: Lab) -> list[Attachment]:
    return lab.near.run(lambda: attached(lab.near.ifindex))


def hooks(lab: Lab) -> list[tuple[str, str, str]]:
    return [(each.hook, each.side, each.mode) for each in places(lab)]


def load(lab: Lab, *words: str) -> dict[str, Any]:
    (loaded,) = lab.json("load", *words, "-i", "veth0")
    return loaded


def left(lab: Lab) -> list[str]:
    """What is on the bpffs, below where programs are pinned."""
    root = Path(f"/proc/{lab.holder}/root/sys/fs/bpf/meshlens-loaded")
    return sorted(str(path.relative_to(root)) for path in root.rglob("*")) if root.exists() else []


def bpftool(lab: Lab, *words: str) -> Any:
    command = lab.command()[:-3]
    done = subprocess.run([*command, "bpftool", "-j", *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("words", "hook", "pin"),
    [
        ((COUNTER, "--program", "count_xdp"), ("xdp", "ingress", "native"), "veth0@xdp"),
        ((COUNTER, "--program", "xdp", "--mode", "generic"), ("xdp", "ingress", "generic"), "veth0@xdp"),
        ((COUNTER, "--section", "tcx/ingress"), ("tcx", "ingress", ""), "veth0@tcx-in"),
        ((COUNTER, "--program", "drop_out", "--hook", "tcx-out"), ("tcx", "egress", ""), "veth0@tcx-out"),
        (
            (COUNTER, "--program", "drop_out", "--hook", "clsact-in"),
            ("clsact", "ingress", ""),
            "veth0@clsact-in",
        ),
        (("pass",), ("xdp", "ingress", "native"), "veth0@xdp"),
        (("pass", "--hook", "clsact-out", "--pin", "mine"), ("clsact", "egress", ""), "mine"),
    ],
)
def test_a_program_stays_after_the_command_and_goes_when_its_name_is_unloaded(
    lab: Lab, words: tuple[str, ...], hook: tuple[str, str, str], pin: str
) -> None:
    loaded = load(lab, *words)
    assert hooks(lab) == [hook]
    assert (loaded["pin"], loaded["program_id"]) == (pin, places(lab)[0].program_id)
    (shown,) = [each for each in lab.status() if each["program_id"] == loaded["program_id"]]
    assert (shown["pin"], shown["state"]) == (pin, "attached")
    assert lab.ok("unload", "--pin", pin) == f"program {loaded['program_id']} is off\n"
    assert (hooks(lab), left(lab)) == ([], [])


def test_the_program_runs_and_its_maps_are_pinned_for_everybody(lab: Lab) -> None:
    load(lab, COUNTER, "--program", "count_xdp", "--pin", "counting")
    lab.far.send(FRAME, FRAME, FRAME)
    assert left(lab) == ["counting"] + [
        f"counting/{name}" for name in (":bss", ":data", ":rodata", "lengths", "link", "sums")
    ]
    dumped = bpftool(lab, "map", "dump", "pinned", "/sys/fs/bpf/meshlens-loaded/counting/lengths")
    assert [(each["key"], each["value"][0]) for each in dumped] == [
        (["0x3c", "0x00", "0x00", "0x00"], "0x03")
    ]


def test_drop_drops_and_unload_lets_frames_come_again(lab: Lab, foreign_tc: Program) -> None:
    with lab.near.run(lambda: attach_tcx(foreign_tc, lab.near.ifindex, "ingress")):
        identifier = load(lab, "drop")["program_id"]
        lab.far.send(FRAME)
        assert hits(foreign_tc) == 0
        lab.ok("unload", "-i", "veth0", "--id", str(identifier))
        lab.far.send(FRAME)
        assert hits(foreign_tc) == 1


def test_somebody_elses_xdp_program_stays_unless_it_is_named(lab: Lab, foreign_xdp: Program) -> None:
    identifier = foreign_xdp.info().id
    with lab.near.run(lambda: attach_xdp(foreign_xdp, lab.near.ifindex, "native")):
        done = lab.run("load", "pass", "-i", "veth0")
        assert done.code == 1
        assert done.err == (
            f"meshlens: veth0 has an XDP program already; there is {identifier} (foreign, xdp native). "
            f"It stays; to take its place: --replace {identifier}\n"
        )
        done = lab.run("load", "pass", "-i", "veth0", "--replace", str(identifier + 1))
        assert f"no program {identifier + 1} to replace on veth0 (xdp); there is {identifier}" in done.err
        assert [each.program_id for each in places(lab)] == [identifier]
        assert left(lab) == []


@pytest.mark.parametrize("how", ["link", "netlink"])
def test_the_xdp_program_that_is_named_gives_its_place(lab: Lab, foreign_xdp: Program, how: str) -> None:
    identifier, near = foreign_xdp.info().id, lab.near
    link = near.run(lambda: attach_xdp(foreign_xdp, near.ifindex, "native")) if how == "link" else None
    if link is None:
        near.shell("bpftool", "net", "attach", "xdpdrv", "id", str(identifier), "dev", "veth0")
    assert [(each.program_id, each.link_id != 0) for each in places(lab)] == [(identifier, how == "link")]
    ours = load(lab, "pass", "--replace", str(identifier))["program_id"]
    if link is not None:
        link.close()
    assert [(each.program_id, each.mode) for each in places(lab)] == [(ours, "native")]
    again = load(lab, "pass", "--replace", str(ours))
    assert [each.program_id for each in places(lab)] == [again["program_id"]]
    assert left(lab) == ["veth0@xdp-2", "veth0@xdp-2/link"]
    lab.ok("unload", "--pin", again["pin"])
    assert (hooks(lab), left(lab)) == ([], [])


@pytest.mark.parametrize("hook", ["tcx-in", "clsact-in"])
def test_at_tc_programs_share_the_hook_or_one_gives_its_place(
    lab: Lab, foreign_tc: Program, hook: str
) -> None:
    attach = attach_tcx if hook == "tcx-in" else attach_clsact
    identifier = foreign_tc.info().id
    with lab.near.run(lambda: attach(foreign_tc, lab.near.ifindex, "ingress")) as link:
        ours = load(lab, "pass", "--hook", hook)["program_id"]
        assert in_order(lab, hook) == [identifier, ours]
        other = load(lab, "pass", "--hook", hook, "--replace", str(identifier))
        assert in_order(lab, hook) == [other["program_id"], ours]
        assert other["pin"] == f"veth0@{hook}-2"
        if hook == "tcx-in":
            link.close()
            assert in_order(lab, hook) == [other["program_id"], ours]
        assert len(lab.ok("unload", "-i", "veth0", "--all-ours").splitlines()) == 2
        assert (hooks(lab), left(lab)) == ([], [])


def in_order(lab: Lab, hook: str) -> list[int]:
    """Programs by age: at clsact the last one that came with a priority runs first (cls_bpf_change())."""
    found = [each.program_id for each in places(lab)]
    return found if hook == "tcx-in" else found[::-1]


def test_unload_takes_off_only_what_is_named(lab: Lab, foreign_tc: Program, arp_list: str) -> None:
    identifier = foreign_tc.info().id
    with lab.near.run(lambda: attach_tcx(foreign_tc, lab.near.ifindex, "ingress")):
        load(lab, "pass", "--hook", "tcx-in")
        lab.ok("count", arp_list, "-i", "veth0", "--direction", "in", "--pin", "here")
        assert len(places(lab)) == 3
        lab.ok("unload", "-i", "veth0", "--all-ours")
        counting, theirs = places(lab)
        assert theirs.program_id == identifier
        done = lab.run("unload", "-i", "veth0", "--id", str(counting.program_id))
        assert done.code == 2
        assert "is the pinned counter 'here': 'meshlens detach here' ends it" in done.err
        lab.ok("unload", "-i", "veth0", "--id", str(identifier))
        assert places(lab) == [counting]
        done = lab.run("unload", "-i", "veth0", "--id", str(identifier))
        assert (
            done.code,
            f"no program {identifier} on veth0; there is {counting.program_id}" in done.err,
        ) == (1, True)
        lab.ok("detach", "here")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nix.o",), 2, "no program 'nix.o': give an object file, FILE.py:NAME, or one of ours: pass, drop"),
        ((COUNTER,), 2, "has 3 programs to choose from; say --program, of these: count_xdp (xdp), count_in"),
        ((COUNTER, "--program", "drop_out"), 2, "does not say its side: give --hook tcx-in or tcx-out"),
        ((COUNTER, "--program", "count_xdp", "--hook", "tcx-in"), 2, "is for xdp; it cannot go to tcx-in"),
        (("pass", "--hook", "tcx-in", "--mode", "native"), 2, "mode native is for XDP; tcx-in has no modes"),
        (("pass", "--mode", "offload"), 1, "veth0 takes no programs into its device (offload)"),
        ((str(OBJECTS / "wrong.o"),), 1, "in 'careless': invalid access to packet"),
        (
            (str(OBJECTS / "core.o"), "--program", "hash"),
            1,
            "calls the kernel function bpf_xdp_metadata_rx_hash",
        ),
        ((str(OBJECTS / "counter-big.o"), "--program", "xdp"), 2, "is for a big-endian kernel"),
        (("pass", "--pin", "a/b"), 2, "a name is up to 64 letters"),
    ],
)
def test_what_cannot_be_is_said_in_a_line_and_leaves_nothing(
    lab: Lab, words: tuple[str, ...], code: int, said: str
) -> None:
    done = lab.run("load", *words, "-i", "veth0")
    assert (done.code, done.err.count("\n")) == (code, 1), done
    assert said in done.err
    assert (hooks(lab), left(lab)) == ([], [])


def test_a_name_is_given_once(lab: Lab) -> None:
    load(lab, "pass", "--pin", "mine")
    done = lab.run("load", "pass", "-i", "veth0", "--hook", "tcx-in", "--pin", "mine")
    assert (done.code, done.err) == (
        2, "meshlens: 'mine' is taken already: 'meshlens unload --pin mine' ends what is there\n",
    )  # fmt: skip
    done = lab.run("unload", "--pin", "other")
    assert (done.code, done.err) == (1, "meshlens: nothing is loaded as 'other'; there is: mine\n")


def test_a_path_on_a_bpffs_is_a_name_as_well(lab: Lab) -> None:
    path = "/sys/fs/bpf/mine"
    assert load(lab, COUNTER, "--program", "count_xdp", "--pin", path)["pin"] == path
    assert (left(lab), hooks(lab)) == ([], [("xdp", "ingress", "native")])
    done = lab.run("load", "pass", "-i", "veth0", "--hook", "tcx-in", "--pin", path)
    assert (done.code, "is taken already" in done.err) == (2, True)
    done = lab.run("load", "pass", "-i", "veth0", "--hook", "tcx-in", "--pin", "/sys/fs/bpf/a.b")
    assert (done.code, "a bpffs takes no dots in names" in done.err) == (2, True)
    lab.ok("unload", "--pin", path)
    assert hooks(lab) == []
    assert not Path(f"/proc/{lab.holder}/root{path}").exists()


def test_what_cannot_be_pinned_is_not_attached_either(lab: Lab) -> None:
    done = lab.run("load", "pass", "-i", "veth0", "--pin", "/tmp/no-bpffs")  # noqa: S108
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no bpffs there" in done.err
    assert (hooks(lab), Path("/tmp/no-bpffs").exists()) == ([], False)  # noqa: S108


def test_an_interface_has_more_names_than_one_for_a_hook(lab: Lab) -> None:
    pins = [load(lab, "pass", "--hook", "tcx-out")["pin"] for _ in range(3)]
    assert pins == ["veth0@tcx-out", "veth0@tcx-out-2", "veth0@tcx-out-3"]
    assert len(lab.ok("unload", "-i", "veth0", "--all-ours").splitlines()) == 3
    assert lab.ok("unload", "-i", "veth0", "--all-ours") == "nothing of ours is on veth0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to unload: --pin NAME, -i IFACE --id ID, or -i IFACE --all-ours"),
        (("--id", "7"), "say where: -i IFACE"),
        (("--pin", "a", "-i", "veth0"), "--pin says it all: leave --interface out"),
        (("-i", "nix0", "--id", "7"), "no interface 'nix0'; there are lo, veth0"),
    ],
)
def test_unload_wants_to_know_what_and_where(lab: Lab, words: tuple[str, ...], said: str) -> None:
    done = lab.run("unload", *words)
    assert (done.code, done.err) == (2, f"meshlens: {said}\n")


def test_a_specification_in_python_is_loaded_by_its_name(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(
        "from meshlens.ebpf import *\na = Asm()\na.ret(2)\nPROBE = ProgramSpec('mine', ProgramType.XDP, a)\n"
    )
    loaded = load(lab, f"{tmp_path}/probe.py:PROBE")
    assert bpftool(lab, "prog", "show", "id", str(loaded["program_id"]))["name"] == "mine"
    done = lab.run("load", f"{tmp_path}/probe.py:OTHER", "-i", "veth0")
    assert (done.code, "has no ProgramSpec 'OTHER'; it has: PROBE" in done.err) == (2, True)


def test_an_interface_that_goes_leaves_a_name_that_can_be_unloaded(lab: Lab) -> None:
    load(lab, "pass", "--pin", "mine")
    lab.far.shell("ip", "link", "del", "veth0")
    assert [(each["pin"], each["state"]) for each in lab.status()] == [("mine", "detached")]
    lab.ok("unload", "--pin", "mine")
    assert left(lab) == []

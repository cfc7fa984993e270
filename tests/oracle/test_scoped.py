"""Filters with scopes: kernel = interpreter = an oracle that decapsulates in plain Python."""

import random
from collections.abc import Iterable, Iterator

import pytest

from meshlens.filters.compiler import CompiledList, compile_list
from meshlens.filters.pcap import compile_cbpf
from tests.oracle.conftest import Compare
from tests.oracle.corpus import Sample, captured, clients, damaged, mesh_mixes
from tests.oracle.expressions import sections
from tests.oracle.judges import HOOKS, Verdicts, as_list, join, kernel_is_allowed
from tests.oracle.mesh_frames import mesh_frames, short_frames, tagged_frames, wrapped
from tests.oracle.real_lists import real_lists
from tests.oracle.scopes import CARRIERS, NAMES, Oracle, is_plain
from tests.oracle.steer import steered

#: Each stands behind every type of both versions, behind tags and not: what is asked inside.
INSIDE = [
    "arp",
    "ip",
    "not ip",
    "ip6 and udp",
    "tcp",
    "udp port 53",
    "ether broadcast",
    "len > 100",
    "len = 0",
    "ether[60] = 0",
    "not ether[40:4] = 0",
    "ether[ether[13]] = 0",
    "ip[ip[2:2] - 1] = 0",
    "vlan and ip",
]

#: What scoped.txt asks inside and few frames answer.
RARE = [
    "host 10.0.0.1 and port 53",
    "ether src 02:00:00:00:00:01",
    "vlan 200 and ip",
    "not vlan and arp",
    "tcp port 80",
    "tcp[13] & 2 != 0",
    "tcp[0:2] + tcp[2:2] > 1000",
    "tcp[(tcp[12] >> 2):4] = 0x47455420",
]


def crossed(version: int, tags: str) -> list[str]:
    """Every type of a version with everything that is asked inside."""
    names = [pair.split(":")[0] for pair in NAMES[version].split()]
    return [f"{tags}batadv {version} {name} and {inside}" for name in names for inside in INSIDE]


@pytest.fixture(scope="module")
def programs() -> list[CompiledList]:
    """The expressions of scoped.txt, every type crossed with all that is asked inside, the lists in use."""
    own = [as_list(section) for section in sections("scoped.txt").values()]
    every_type = [as_list(crossed(version, tags)) for version in NAMES for tags in ("", "vlan and ")]
    groups = [own, *([each] for each in every_type), list(real_lists().values())]
    return [join([compile_list(each, helpers=True) for each in group]) for group in groups]


def aimed() -> Iterator[bytes]:
    """Inner frames that lead into the corners of what is asked inside, by us and by the lists in use."""
    rng = random.Random(3)
    plain = {
        each.expression for entries in real_lists().values() for each in entries if is_plain(each.expression)
    }
    for expression in (*INSIDE, *RARE * 30, *sorted(plain)):
        yield from steered(compile_cbpf(expression), rng, 6)


def carried(frames: Iterable[bytes], seed: int) -> Iterator[Sample]:
    """Each frame in some batman-adv packet, some of them behind a tag."""
    rng, carriers = random.Random(seed), sorted(CARRIERS)
    for frame in frames:
        data = wrapped(*rng.choice(carriers), frame, rng, rng.choice((0, 0, 0, 1, 2)))
        yield Sample(data, len(data))


@pytest.fixture(scope="module")
def frames() -> tuple[Sample, ...]:
    """Frames of every type, whole, cut at every length, with noise; captured ones, bare and carried."""
    inner = clients()
    few = [frame for frame in inner if frame[12:14] in {b"\x08\0", b"\x08\x06", b"\x86\xdd"}][:6]
    jumbo = [bytes(12) + b"\x08\0E" + bytes(size) for size in (32_760, 40_000, 66_000)]
    made = (
        *mesh_mixes(),
        *mesh_frames(inner, seed=1),
        *tagged_frames([*few, *jumbo], seed=2),
        *carried(aimed(), seed=3),
    )
    some = captured()[::25]
    bare = (sample.data for sample in some)
    short = short_frames(few[:4], seed=4)
    return tuple(dict.fromkeys((*made, *short, *some, *carried(bare, seed=5), *damaged(made[::2], seed=6))))


@pytest.fixture(scope="module")
def verdicts(programs: list[CompiledList], frames: tuple[Sample, ...], compare: Compare) -> Verdicts:
    total = Verdicts()
    for compiled in programs:
        oracle = Oracle([each.expression for each in compiled.filters])
        total += compare(compiled, frames, oracle.answer)
    return total


def test_the_interpreter_says_what_the_oracle_says(verdicts: Verdicts) -> None:
    assert verdicts.complaint("interpreter") == ""


@pytest.mark.kernel
def test_the_kernel_counts_what_the_interpreter_says(verdicts: Verdicts) -> None:
    if not kernel_is_allowed():
        pytest.skip("programs may not be loaded")
    assert verdicts.complaint(*HOOKS) == ""


def test_every_expression_matches_some_frame(verdicts: Verdicts) -> None:
    """Else its comparison would say little."""
    own = sections("scoped.txt")
    never = set(own.pop("never"))
    assert {each for section in own.values() for each in section} <= verdicts.matched
    assert never.isdisjoint(verdicts.matched)

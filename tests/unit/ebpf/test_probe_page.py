"""The page on writing a probe shows the example, its listing and a refusal as they really are."""

from pathlib import Path

from meshlens.ebpf import R0, R1, R2, Asm, Code, MapSpec, ProgramSpec, ProgramType, VerifierError, Xdp

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "write-your-own-probe.md").read_text()
EXAMPLE = (ROOT / "examples" / "ttl_histogram.py").read_text()


def test_the_example_on_the_page_is_the_one_that_the_tests_run() -> None:
    assert f"```python\n{EXAMPLE}```" in PAGE


def test_the_example_of_tracing_on_the_page_is_the_one_that_the_tests_run() -> None:
    assert f"```python\n{(ROOT / 'examples' / 'retransmissions.py').read_text()}```" in PAGE


def test_the_listing_on_the_page_is_the_examples() -> None:
    names: dict[str, object] = {}
    exec(EXAMPLE.split("program = ", maxsplit=1)[0], names)  # noqa: S102 - our own file, its part without a kernel
    a, frames = names["a"], names["frames"]
    assert isinstance(a, Asm)
    assert isinstance(frames, MapSpec)
    spec = ProgramSpec("ttl", ProgramType.SCHED_CLS, a, maps={"frames": frames})
    first_block = spec.disassemble().split("; IPv6")[0]
    assert f"```\n{first_block}```" in PAGE


def test_the_refusal_on_the_page_is_what_such_a_mistake_gives() -> None:
    log = """0: R1=ctx() R10=fp0
0: (61) r2 = *(u32 *)(r1 +0)          ; R1=ctx() R2=pkt(r=0)
1: (71) r0 = *(u8 *)(r2 +12)
invalid access to packet, off=12 size=1, R2(id=0,off=12,r=0)
R2 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""
    error = VerifierError("types", refused_code(), log)
    assert f"```\n{error}\n{error.report}\n```" in PAGE


def refused_code() -> Code:
    a = Asm()
    a.block("read the type")
    a.field(R2, R1, Xdp.data)
    a.load(R0, R2, 12, 1)
    a.exit()
    return a.assemble()

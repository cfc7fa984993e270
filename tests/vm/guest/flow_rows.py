"""Rows of flows, as the program fills them in this kernel, against the definition."""

from meshlens.packet.mesh import overhead_mix, payload_mix
from tests.kernel.classify.flow.rows import at_times, by_kernel, defined, emptied, loaded, whole
from tests.vm.guest.links import answer


def main() -> None:
    mixes = (payload_mix(100), overhead_mix(60), payload_mix(30, vlans=[7, 8], version=14))
    with loaded() as program:
        frames = whole(program, at_times(frame.data for mix in mixes for frame in mix))
        rows, expected = by_kernel(emptied(program), frames), defined(frames)
        right = sum(rows.get(name) == known for name, known in expected.items())
        answer({
            "flows": len(expected),
            "rows": len(rows),
            "right": right,
            "verified": program.info().verified_insns,
        })  # fmt: skip


if __name__ == "__main__":
    main()

"""The rows of stations that join a network, in another kernel and by the definition."""

from tests.joining import CAPTURES, definition, frames_of, hostile, kernel_rows, loaded
from tests.vm.guest.links import answer


def main() -> None:
    given = [frames_of(path) for path in CAPTURES] + [list(hostile(8, seed)) for seed in range(20)]
    with loaded() as program:
        rows = [(kernel_rows(program, frames), definition(frames)) for frames in given]
        answer({
            "stations": sum(len(ours) for _, ours in rows),
            "different": [place for place, (theirs, ours) in enumerate(rows) if theirs != ours],
            "verified": program.info().verified_insns,
        })  # fmt: skip


if __name__ == "__main__":
    main()

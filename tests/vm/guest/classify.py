"""A forest of the size that many device models take: whether it loads, what it takes, and its verdicts."""

from meshlens.classify.kernel.load import load_model
from tests.kernel.classify.made import any_size, made_model, made_rows
from tests.kernel.classify.toy import put_row, run, toy_program
from tests.vm.guest.links import answer

FEATURES = 120


def main() -> None:
    model = made_model(1, 16, 166, FEATURES, 171, any_size)
    right = 0
    with toy_program(FEATURES).load() as program, load_model(model, range(FEATURES), program.maps) as loaded:
        rows = made_rows(2, 20, FEATURES, any_size)
        for row in rows:
            put_row(program, row)
            head, verdict = run(program), model.classify(row)
            right += (head.class_index, head.votes) == (verdict.label, verdict.votes)
        answer({
            "rows": len(rows),
            "right": right,
            "nodes": sum(map(len, model.trees)),
            "verified": [each.info().verified_insns for each in loaded.programs],
        })  # fmt: skip


if __name__ == "__main__":
    main()

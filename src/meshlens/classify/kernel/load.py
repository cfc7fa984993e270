"""Load a model's programs: as many as it takes, which is found out by asking the kernel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from meshlens.classify.kernel.entry import MAX_PROGRAMS, MODEL
from meshlens.classify.kernel.forest import forest_graphs
from meshlens.classify.kernel.program import SUMS, Stage, check_model, model_program, sums_map
from meshlens.classify.kernel.watching import BOUNDS, bounds_map, bounds_values
from meshlens.classify.model import Model
from meshlens.decision.graph import Node, topological
from meshlens.ebpf import BpfError, Map, Program, VerifierError
from meshlens.errors import UsageError

__all__ = ["LoadedModel", "load_model"]

#: What the kernel says of a program that is too much for it at once (kernel/bpf/verifier.c).
_TOO_LARGE: Final = ("too large", "too complex", "too many", "sequence of", "1000000 fit")


@dataclass
class LoadedModel:
    """A model's programs in the kernel, in the order in which they run, until `close`."""

    model: Model
    stages: list[Stage]
    programs: list[Program]
    own_maps: dict[str, Map]

    @property
    def nodes(self) -> int:
        """The nodes of all graphs together."""
        return sum(len(topological(root)) for stage in self.stages for root in stage.trees)

    def close(self) -> None:
        """Give the programs back; where the map MODEL holds them, they stay as long as that does."""
        for program in self.programs:
            program.close()
        for each in self.own_maps.values():
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load_model(model: Model, positions: Sequence[int], maps: Mapping[str, Map]) -> LoadedModel:
    """Load a model for the task whose maps these are (see entry.sample_maps), and put it in its place there.

    `positions` says where the model's features stand in the task's row. All trees are one program, but where
    the kernel refuses that as too large, each half is, and so on. Raises UsageError for a model that does not
    fit, and what loading raises.
    """
    check_model(model)
    loaded = LoadedModel(model, [], [], {})
    try:
        loaded.own_maps[SUMS] = sums_map(len(model.classes)).create()
        if model.gains:
            loaded.own_maps[BOUNDS] = bounds_map(model).create()
            loaded.own_maps[BOUNDS].update(0, bounds_values(model))
        _load_all(loaded, positions, {**maps, **loaded.own_maps})
    except BaseException:
        loaded.close()
        raise
    # The last one first: who is called finds all that follow.
    for stage, program in reversed(list(zip(loaded.stages, loaded.programs, strict=True))):
        maps[MODEL].update(stage.place, program.fileno())
    return loaded


def _load_all(loaded: LoadedModel, positions: Sequence[int], maps: Mapping[str, Map]) -> None:
    first, waiting = 0, [forest_graphs(loaded.model, positions)]
    specs = {name: each.spec for name, each in maps.items()}
    while waiting:
        trees = waiting.pop(0)
        stage = Stage(len(loaded.stages), first, trees, last=not waiting, positions=positions)
        if stage.place == MAX_PROGRAMS:
            raise UsageError(
                f"the model is too large: {MAX_PROGRAMS} programs, one after another, are not enough"
            )
        try:
            program = model_program(stage, loaded.model, specs).load(maps)
        except (VerifierError, BpfError) as error:
            if len(trees) < 2 or not any(words in str(error) for words in _TOO_LARGE):
                raise
            waiting[:0] = _halves(trees)
            continue
        loaded.stages.append(stage)
        loaded.programs.append(program)
        first += len(trees)


def _halves(trees: list[Node]) -> tuple[list[Node], list[Node]]:
    """Two parts with about as many nodes."""
    sizes = [len(topological(root)) for root in trees]
    middle, so_far = 0, 0
    while middle < len(trees) - 1 and (not middle or 2 * (so_far + sizes[middle]) <= sum(sizes)):
        so_far += sizes[middle]
        middle += 1
    return trees[:middle], trees[middle:]

"""What a model takes in the kernel, before it is attached anywhere."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from meshlens.classify.kernel.entry import MAX_PROGRAMS, sample_maps
from meshlens.classify.kernel.forest import forest_graphs
from meshlens.classify.kernel.load import load_model
from meshlens.classify.kernel.program import Stage, check_model, model_program
from meshlens.classify.kernel.sampler import sampler
from meshlens.classify.model import Model
from meshlens.classify.tasks import task
from meshlens.decision.graph import Node, Switch, Votes, topological
from meshlens.ebpf import ProgramSpec
from meshlens.errors import PermissionDenied

__all__ = ["ModelExplanation", "explain_model", "model_code"]


@dataclass(frozen=True)
class ModelExplanation:
    """A model's trees, graphs and programs; sizes in nodes, instructions and bytes.

    `nodes` are those of the trees, `graph_nodes` what is left of them where tests are joined and equal parts
    shared. `most_tests` and `most_sums`: what a row can take at most. `programs` are the instructions of
    each, of `most_programs`; `verified` those that the verifier went through for it, `machine_bytes` all as
    machine code, `memory_bytes` with sums, and maps of one interface with room for one sample. The last three
    have no value where this kernel may not be asked.
    """

    task: str
    label: str
    classes: int
    features: int
    trees: int
    nodes: int
    graph_nodes: int
    most_tests: int
    most_sums: int
    programs: tuple[int, ...]
    most_programs: int
    verified: tuple[int, ...] = ()
    machine_bytes: int | None = None
    memory_bytes: int | None = None
    sample_bytes: int = 0

    def to_json(self) -> dict[str, object]:
        """The fields, for json.dumps()."""
        return asdict(self)

    def to_text(self) -> str:
        """A page for a person."""
        lines = [
            f"task                    {self.task}, column {self.label}",
            f"classes                 {self.classes}",
            f"features                {self.features}",
            f"trees                   {self.trees} with {self.nodes} nodes",
            f"decision graphs         {self.graph_nodes} nodes",
            f"a decision takes        {self.most_tests} tests and {self.most_sums} sums at most",
            f"programs                {len(self.programs)} of {self.most_programs}, one after another",
            f"instructions            {_numbers(self.programs)}",
        ]
        if self.verified:
            lines += [
                f"verifier went through   {_numbers(self.verified)} of 1000000 for a program",
                f"machine code            {self.machine_bytes} bytes",
                f"memory                  {self.memory_bytes} bytes, and {self.sample_bytes} a sample",
            ]
        else:
            lines.append("verifier                not asked: that needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON")
        return "\n".join(lines) + "\n"


def explain_model(model: Model) -> ModelExplanation:
    """Look at a model's programs; where it is permitted, this kernel is asked what it makes of them.

    Raises UsageError for a model that does not fit its task or the kernel.
    """
    of = task(model.task)
    positions = of.positions(model.features)
    graphs = forest_graphs(model, positions)
    specs = sample_maps(sampler(model.task).key_bytes, len(of.features), 1)
    explanation = ModelExplanation(
        task=model.task,
        label=model.label,
        classes=len(model.classes),
        features=len(model.features),
        trees=len(model.trees),
        nodes=sum(map(len, model.trees)),
        graph_nodes=sum(len(topological(root)) for root in graphs),
        most_tests=sum(_most(root, _is_test) for root in graphs),
        most_sums=sum(_most(root, _weights) for root in graphs),
        programs=tuple(len(each.insns) for each in model_code(model)),
        most_programs=MAX_PROGRAMS,
        sample_bytes=sum(specs["samples"][2:4]),
    )
    try:
        with ExitStack() as stack:
            maps = {name: stack.enter_context(spec.create()) for name, spec in specs.items()}
            loaded = stack.enter_context(load_model(model, positions, maps))
            infos = [program.info() for program in loaded.programs]
            others = [each.info().memlock_bytes for each in (*maps.values(), *loaded.own_maps.values())]
            sizes = tuple(info.xlated_bytes // 8 for info in infos)
            machine_bytes = sum(info.jited_bytes for info in infos)
            memory_bytes = sum(info.memlock_bytes for info in infos) + machine_bytes + sum(others)
            known = {"machine_bytes": machine_bytes, "memory_bytes": memory_bytes}
            verified = tuple(info.verified_insns for info in infos)
            return ModelExplanation(
                **{**asdict(explanation), "programs": sizes, "verified": verified, **known}
            )
    except PermissionDenied:
        return explanation


def model_code(model: Model) -> Iterator[ProgramSpec]:
    """The model's programs, as if one were enough: what is loaded is this, or its trees in several parts."""
    of = task(model.task)
    check_model(model)
    specs = sample_maps(sampler(model.task).key_bytes, len(of.features), 1)
    positions = of.positions(model.features)
    stage = Stage(0, 0, forest_graphs(model, positions), last=True, positions=positions)
    yield model_program(stage, model, specs)


def _numbers(values: tuple[int, ...]) -> str:
    return " + ".join(map(str, values))


def _is_test(node: Node) -> int:
    return isinstance(node, Switch)


def _weights(node: Node) -> int:
    return len(node.weights) if isinstance(node, Votes) else 0


def _most(root: Node, cost: Callable[[Node], int]) -> int:
    """The largest sum of costs on any path."""
    most = dict[Node, int]()
    for node in reversed(topological(root)):
        after = max((most[each] for each in node.targets), default=0) if isinstance(node, Switch) else 0
        most[node] = cost(node) + after
    return most[root]

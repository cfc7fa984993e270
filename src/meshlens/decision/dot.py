"""A decision graph as a drawing for graphviz."""

from collections.abc import Iterator, Sequence

from meshlens.decision.expr import MAX_VALUE, Room
from meshlens.decision.graph import Enter, Leaf, Mark, Node, Switch, Votes, topological
from meshlens.decision.merge import DecisionGraph

__all__ = ["to_dot"]


def to_dot(graphs: Sequence[DecisionGraph], names: Sequence[str]) -> str:
    """The graphs in graphviz' language; `names` are those of the filters, by position."""
    lines = [
        "digraph meshlens {",
        '  node [shape=box, fontname="monospace", fontsize=10];',
        "  edge [fontsize=9];",
    ]
    for number, graph in enumerate(graphs):
        lines += [f"  subgraph cluster_{number} {{", f'    label="graph {number}";']
        lines += (f"    {line}" for line in _graph_lines(graph, names, f"g{number}"))
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _graph_lines(graph: DecisionGraph, names: Sequence[str], prefix: str) -> Iterator[str]:
    parts = [part for part in (graph.outer, graph.inner) if part is not None]
    ids = {node: f"{prefix}n{i}" for i, node in enumerate(n for part in parts for n in topological(part))}
    for node, identifier in ids.items():
        yield f"{identifier} [label={_quoted(_label(node, graph, names))}{_style(node)}];"
        for after, text in _edges(node, graph):
            yield f"{identifier} -> {ids[after]} [label={_quoted(text)}];"


def _label(node: Node, graph: DecisionGraph, names: Sequence[str]) -> str:
    match node:
        case Switch(Room(), (size,)):
            return f"{node.expr} >= {size}"
        case Switch(expr):
            return str(expr)
        case Enter(offset, row):
            return f"inner frame at {offset}\nrow {row}"
        case Mark(slots, once):
            return "count " + _matching(graph, [*slots, *once], names)
        case Leaf(slot, inner):
            # The same leaf of the inner part counts for other filters in every row.
            rows = range(graph.rows) if inner else [None]
            reached = [slot if row is None else graph.row_slot(row) + slot for row in rows]
            return "\n".join(dict.fromkeys(_matching(graph, [each], names) for each in reached))
        case Votes(weights):
            return ", ".join(f"{weight} for {label}" for label, weight in weights) or "-"


def _matching(graph: DecisionGraph, slots: Sequence[int], names: Sequence[str]) -> str:
    positions = sorted({position for slot in slots for position in graph.matches[slot]})
    return ", ".join(names[position] for position in positions) or "-"


def _style(node: Node) -> str:
    return ", style=rounded" if isinstance(node, Leaf | Mark) else ""


def _edges(node: Node, graph: DecisionGraph) -> Iterator[tuple[Node, str]]:
    match node:
        case Switch(Room(), _, (short, enough)):
            yield short, "no"
            yield enough, "yes"
        case Switch(_, bounds, targets):
            texts: dict[Node, list[str]] = {}
            for first, last, target in zip(
                (0, *bounds), (*(b - 1 for b in bounds), MAX_VALUE), targets, strict=True
            ):
                texts.setdefault(target, []).append(_interval(first, last))
            default = max(texts, key=lambda target: len(texts[target]))
            for target, intervals in texts.items():
                yield target, "else" if target is default and len(intervals) > 1 else "\n".join(intervals)
        case Mark(_, _, then):
            yield then, ""
        case Enter():
            assert graph.inner is not None
            yield graph.inner, ""


def _interval(first: int, last: int) -> str:
    if first == last:
        return f"{first:#x}"
    if last == MAX_VALUE:
        return f">= {first:#x}"
    return f"<= {last:#x}" if first == 0 else f"{first:#x} to {last:#x}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

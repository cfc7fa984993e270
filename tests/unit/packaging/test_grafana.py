"""Every query of the Grafana dashboard finds what it asks for on the page for Prometheus."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshlens.outputs.metrics import MetricsPage
from tests.readings import readings

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = json.loads((ROOT / "packaging" / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
VARIABLES = [each["query"]["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
#: What Prometheus itself adds to every sample.
ADDED = {"instance", "job"}
SELECTOR = re.compile(r"\b((?:meshlens|process)_\w+)\b(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels of each metric on a page made of made-up readings."""
    page = MetricsPage("1.0")
    state = readings(12)
    for each in state:
        page.note(each)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page.render(state[-1]).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("query", [*QUERIES, *VARIABLES])
def test_a_query_names_metrics_and_labels_that_exist(query: str, labels: dict[str, set[str]]) -> None:
    selectors = SELECTOR.findall(query)
    assert selectors
    for metric, matchers in selectors:
        assert metric in labels, metric
        assert set(re.findall(r"(\w+)!?=~?", matchers)) <= labels[metric] | ADDED
    there = set.union(*(labels[metric] for metric, _ in selectors)) | ADDED
    for listed in re.findall(r"\b(?:by|without|on|group_left) \(([^)]*)\)", query):
        assert {name.strip() for name in listed.split(",")} <= there


def test_a_metric_that_does_not_exist_would_be_found(labels: dict[str, set[str]]) -> None:
    with pytest.raises(AssertionError, match="meshlens_made_up_total"):
        test_a_query_names_metrics_and_labels_that_exist("rate(meshlens_made_up_total[5m])", labels)


def test_counters_are_only_asked_for_their_growth_and_gauges_never() -> None:
    for query in QUERIES:
        for metric, _ in SELECTOR.findall(query):
            grows = bool(re.search(rf"(?:rate|increase)\({metric}\b", query))
            assert grows == metric.endswith(("_total", "_bucket")), query


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_legend_names_labels_that_its_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        kept = ",".join(re.findall(r"\b(?:by|on|group_left) \(([^)]*)\)", target["expr"]))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= {
            each.strip() for each in kept.split(",")
        }


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        fields = {
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert not fields & taken, panel["title"]
        assert max(x for x, _ in fields) < 24
        taken |= fields
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))


def test_the_dashboard_is_the_one_that_the_tool_describes() -> None:
    assert tool().dashboard() == DASHBOARD


def test_every_query_goes_to_the_data_source_that_is_chosen() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert DASHBOARD["templating"]["list"][0]["name"] == "datasource"
    assert all(target["datasource"] == chosen for panel in PANELS for target in panel["targets"])


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "grafana_dashboard", ROOT / "tools" / "grafana_dashboard.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

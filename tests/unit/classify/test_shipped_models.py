"""Models that come with meshlens: each belongs to its task, has a card, and knows what it learnt from."""

from pathlib import Path

import pytest

from meshlens.classify.shipped import find_model, shipped_models
from meshlens.classify.tasks import task
from meshlens.classify.wifi_station.sample import TRUTH, read
from tests.joining import CAPTURES

ROOT = Path(__file__).parents[3]


def joining(path: Path) -> tuple[int, ...]:
    """The row of the station that associates."""
    ((_, sample),) = TRUTH.pair(list(read(str(path))), [{"file": path.name}])
    assert sample
    return sample.values


@pytest.mark.parametrize("name", shipped_models())
def test_a_model_fits_its_task_and_its_card_is_of_the_same_data(name: str) -> None:
    model = find_model(name)
    assert task(model.task).positions(model.features)
    card = (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8")
    assert model.about["data"] in card
    assert f"{model.about['metrics']['f1_macro']:.3f}" in card
    assert model.about["licence"].startswith("Apache-2.0")
    assert "(/" not in model.to_json()  # no path of whoever made it


def test_a_model_without_the_oui_does_not_look_at_it() -> None:
    assert "oui" not in find_model("wifi-model").features
    assert "oui" in find_model("wifi-model-oui").features


@pytest.mark.parametrize("name", ["wifi-model", "wifi-model-oui"])
def test_recorded_devices_get_their_names(name: str) -> None:
    model = find_model(name)
    places = task(model.task).positions(model.features)
    named = {}
    for path in CAPTURES:
        verdict = model.classify([joining(path)[place] for place in places])
        named[path.stem] = model.classes[verdict.label] if verdict.label is not None else "unknown"
    assert named == {
        "chromecast-v2": "Chromecast v2",
        "galaxy-s6-5ghz": "Samsung Galaxy S6",
        "iphone-5s": "iPhone 5s",
        "kindle-fire-2011": 'Amazon Kindle Fire 7" (2011 edition)',
    }


def test_recorded_devices_get_their_kinds() -> None:
    model = find_model("wifi-kind")
    places = task(model.task).positions(model.features)
    kinds = set()
    for path in CAPTURES:
        verdict = model.classify([joining(path)[place] for place in places])
        kinds.add(model.classes[verdict.label or 0])
    assert kinds == {"handheld", "tv"}

#!/usr/bin/env python3
"""Train the models that come with meshlens, and write their cards: `make models DATA=.../wifi_taxonomy`.

The same data, seed and version of scikit-learn give the same files. The recipe is fixed: one that did well in
all the ways of dividing the data that `make evaluate` knows, so that it is not the luckiest of one of them.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from meshlens.classify.dataset import Dataset, read_dataset
from meshlens.classify.forest import Recipe
from meshlens.classify.model import Model
from meshlens.classify.selection import TREES
from meshlens.classify.tasks import task
from meshlens.classify.training import Training, train

ROOT: Final = Path(__file__).resolve().parent.parent
MODELS: Final = ROOT / "src" / "meshlens" / "data" / "models"
CARDS: Final = ROOT / "docs" / "models"
CARD: Final = ROOT / "tools" / "model_card.md"

RECIPE: Final = Recipe("extra-trees", TREES, features=0.5, balanced=True, entropy=True)
LICENCE: Final = (
    "Apache-2.0. Trained on captures of https://github.com/NetworkDeviceTaxonomy/wifi_taxonomy "
    "(testdata/pcaps, commit ef24579394fc3e2e2a95637d04de477f6fd30079), Copyright Google Inc., Apache-2.0."
)


@dataclass(frozen=True, slots=True)
class Planned:
    """A model to be made: its name, what it tells, what it learns from."""

    name: str
    label: str
    group: str
    without: tuple[str, ...]
    tells: str
    use: str
    limit: str


_UNKNOWN: Final = (
    "The other classes come from a single unit: no figure here says how well another unit of them is "
    "found. That a model is unknown is told by few votes, which is right in most cases, not in all."
)
_KINDS: Final = (
    "Kinds were given to models by hand, by us, not by the authors of the captures. Phones and tablets have "
    "the same radios and systems, and are one kind here. Most other kinds come in few models, and are found "
    "accordingly."
)

PLANNED: Final = (
    Planned(
        "wifi-model",
        "label_tax",
        "unit_group",
        ("oui",),
        "Which model of device a station is, without a look at its MAC address.",
        "stations whose address may be random, like phones and laptops.",
        _UNKNOWN,
    ),
    Planned(
        "wifi-model-oui",
        "label_tax",
        "unit_group",
        (),
        "Which model of device a station is; the vendor's half of its address counts.",
        "stations with an address of their own, like televisions and things.",
        _UNKNOWN,
    ),
    Planned(
        "wifi-kind",
        "coarse_type",
        "model",
        ("oui",),
        "What kind of device a station is: handheld, tv, iot, console or laptop.",
        "devices whose model nobody has captured yet: it is tested with models that it has not seen.",
        _KINDS,
    ),
)


def main(arguments: list[str]) -> int:
    """Make the models from the folder that is named."""
    if len(arguments) != 1:
        print(
            "usage: tools/models.py DIR, a folder with wifi_taxonomy's captures and labels.csv",
            file=sys.stderr,
        )
        return 2
    dataset = read_dataset(task("wifi-station"), arguments[0])
    MODELS.mkdir(parents=True, exist_ok=True)
    CARDS.mkdir(parents=True, exist_ok=True)
    for planned in PLANNED:
        training = make(planned, dataset)
        text = training.model.to_json()
        (MODELS / f"{planned.name}.json").write_text(text, encoding="ascii")
        (CARDS / f"{planned.name}.md").write_text(card(planned, training.model, len(text)), encoding="utf-8")
        metrics = training.model.about["metrics"]
        print(
            planned.name,
            len(text) // 1024,
            "KiB",
            {name: metrics[name] for name in ("f1_macro", "unknown_auroc")},
        )
    return 0


def make(planned: Planned, dataset: Dataset) -> Training:
    """Train a model; where and under which terms its data is goes into its file."""
    table = dataset.table(planned.label, planned.group).without(planned.without)
    about = {"data": dataset.digest, "group": planned.group, "without": list(planned.without)}
    training = train(table, task="wifi-station", label=planned.label, about=about, recipes=(RECIPE,))
    training.model.about["licence"] = LICENCE
    return training


def card(planned: Planned, model: Model, size: int) -> str:
    """What a user has to know about a model."""
    about, metrics = model.about, model.about["metrics"]
    worst = sorted(metrics["f1_by_class"].items(), key=lambda pair: pair[1])[:6]
    command = [
        "meshlens classify train --task wifi-station --data wifi_taxonomy",
        f"--label {planned.label} --group {planned.group}",
        *(f"--without {name}" for name in planned.without),
        f"-o {planned.name}.json",
    ]
    figures = {name: f"{value:.3f}" for name, value in metrics.items() if isinstance(value, float)}
    return Template(CARD.read_text(encoding="utf-8")).substitute(
        figures,
        name=planned.name,
        tells=planned.tells,
        use=planned.use,
        limit=planned.limit,
        group=planned.group,
        without=", ".join(planned.without) or "nothing",
        classes=len(model.classes),
        features=len(model.features),
        size=size // 1024,
        scikit=about["scikit-learn"],
        tested_classes=metrics["classes"],
        tested_rows=metrics["rows"],
        poor=", ".join(f"{name} {f1:.2f}" for name, f1 in worst),
        command=" ".join(command),
        **{name: about[name] for name in ("recipe", "nodes", "rows", "groups", "data", "licence", "seed")},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

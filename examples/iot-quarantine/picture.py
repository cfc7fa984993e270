"""The figure: the call's delay without and with meshlens, and how soon each device was known."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from run import Outcome

__all__ = ["draw"]


def draw(path: str, outcome: "Outcome") -> None:
    """Draw it into a PNG or SVG file."""
    try:
        from matplotlib import use

        use("Agg")
        from matplotlib import pyplot as plt
    except ImportError:
        sys.exit("the figure needs matplotlib: pip install matplotlib")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1.15, 1))
    _delays(left, outcome)
    _devices(right, outcome)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _delays(axes: Any, outcome: "Outcome") -> None:
    for latencies, name, colour in (
        (outcome.without, "without", "#c44e52"),
        (outcome.with_meshlens, "with meshlens", "#2b7a78"),
    ):
        there = [(when, rtt) for when, rtt in latencies if rtt is not None]
        axes.plot(*zip(*there, strict=True), label=name, color=colour, linewidth=1)
    axes.set_yscale("log")
    axes.set_xlabel("seconds of upload")
    axes.set_ylabel("delay of the call, ms")
    axes.set_title("A call beside devices that upload too much")
    axes.legend(loc="center right")
    axes.grid(alpha=0.3)


def _devices(axes: Any, outcome: "Outcome") -> None:
    devices = sorted(outcome.devices, key=lambda each: -(each.seconds or 1e9))
    for place, device in enumerate(devices):
        if device.seconds is None:
            axes.text(0.1, place, f"taken for {device.named}", va="center", fontsize=8, color="#c44e52")
            continue
        axes.barh(place, device.seconds, color="#2b7a78")
        axes.text(device.seconds, place, f" {device.packets} packets", va="center", fontsize=8)
    axes.set_yticks(range(len(devices)), [device.truth for device in devices], fontsize=8)
    axes.set_xlabel("seconds from its first packet until it is named rightly, for good")
    axes.set_title("Time to verdict, in the kernel")
    axes.margins(x=0.2)

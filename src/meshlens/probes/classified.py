"""What is known of a sample that a model looked at, as it goes to outputs."""

from dataclasses import dataclass

__all__ = ["ClassCount", "Classified", "Reason"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A feature that decided: its value in the sample, and its share (0 to 1) of the tests that led there."""

    feature: str
    value: int
    share: float


@dataclass(frozen=True, slots=True)
class Classified:
    """A station or flow, and what a model says it is.

    `interface` is that or the capture file; `name` a MAC address or the ends of a flow. `verdict` is a class,
    None where the model knows none that fits. `confidence` is that of the class with the most votes, from 0
    to 1; `reasons` are the features that decided for it. `first_ns` is the time of the first packet, since
    the epoch; `packets` are as many as the task looked at; `runs` is how often the model decided.
    """

    interface: str
    task: str
    name: str
    verdict: str | None
    confidence: float
    reasons: tuple[Reason, ...]
    first_ns: int
    packets: int
    runs: int


@dataclass(frozen=True, slots=True)
class ClassCount:
    """Packets and bytes of the samples of one class on one interface, and how many samples there are now.

    `verdict` None is unknown; packets that came before the first verdict are of the class "".
    """

    interface: str
    task: str
    verdict: str | None
    samples: int
    packets: int
    bytes: int

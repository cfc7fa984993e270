"""Stations or flows named by a model: on interfaces, in the kernel; in capture files, here."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, overload

from meshlens.classify.features import Sample
from meshlens.classify.kernel.actions import Action, parse_actions
from meshlens.classify.kernel.entry import OUTCOMES, PLACES, UNKNOWN
from meshlens.classify.kernel.files import FileVerdicts
from meshlens.classify.kernel.meter import MISSED, ModelMeter, Seen, samples_by_place
from meshlens.classify.kernel.program import check_model
from meshlens.classify.kernel.sampler import Sampler, sampler
from meshlens.classify.model import Model
from meshlens.classify.reasons import Explainer
from meshlens.classify.shipped import find_model
from meshlens.classify.tasks import task
from meshlens.errors import NotSupported, UsageError
from meshlens.probes.classified import ClassCount, Classified
from meshlens.probes.following import Follower
from meshlens.probes.interfaces import Interface, link_type_of
from meshlens.probes.session import AttachedProgram, Session

__all__ = ["FileVerdicts", "VerdictSession", "verdicts"]

Source = str | os.PathLike[str]

_MAX_SAMPLES: Final = 4096
_ETHERNET: Final = 1


@overload
def verdicts(
    model: Model | Source,
    interfaces: str | Sequence[str] = ...,
    *,
    actions: Sequence[str] = ...,
    max_samples: int = ...,
    idle_s: float = ...,
) -> "VerdictSession": ...


@overload
def verdicts(model: Model | Source, *, read: Source | Sequence[Source]) -> FileVerdicts: ...


def verdicts(
    model: Model | Source,
    interfaces: str | Sequence[str] = (),
    *,
    read: Source | Sequence[Source] = (),
    actions: Sequence[str] = (),
    max_samples: int = _MAX_SAMPLES,
    idle_s: float = 600,
) -> "VerdictSession | FileVerdicts":
    """What a model says of the stations or flows on `interfaces` (names and globs; none: all that are up).

        with meshlens.verdicts("devices.json", "wlan0", actions=["Camera=mark:7"]) as session:
            session.wait(60)
            for each in session.verdicts():
                print(each.name, each.verdict, each.confidence, each.reasons)

        meshlens.verdicts("devices.json", read="monday.pcap").verdicts()

    `model` is a Model, its file, or the name of one that comes with meshlens. It runs in the kernel, on the
    first packets of each station or flow; those that come after cost a look-up. `actions` give the skbs of a
    class, or of "unknown", a mark or a priority: "CLASS=mark:7", "CLASS=priority:6". Nothing else is ever
    done to a packet. Capture files `read` are classified here, to the same verdicts.

    A station or flow that is silent for `idle_s` seconds is let go, and is new when it comes back.
    `max_samples` is the room in the kernel for each interface; a packet that finds none is counted in
    `missed`.

    Raises UsageError for a model that cannot be read or does not fit, and for actions of a class that it does
    not have. Entering the session raises UsageError for an interface that is not there, PermissionDenied
    without CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, NotSupported for an interface that the model's task cannot
    read, and where the kernel lacks what it takes. Reading files raises CaptureError.
    """
    found = model if isinstance(model, Model) else find_model(model)
    of = task(found.task)
    of.positions(found.features)
    files = [read] if isinstance(read, str | os.PathLike) else list(read)
    names = [interfaces] if isinstance(interfaces, str) else list(interfaces)
    if files:
        if names or actions:
            raise UsageError("capture files have no interfaces and take no actions: give `read` alone")
        return FileVerdicts(found, of, files)
    if not idle_s > 0 or max_samples < 1:
        raise UsageError("idle_s and max_samples have to be more than 0")
    check_model(found)
    return VerdictSession(found, names, parse_actions(actions, found), max_samples, idle_s)


class VerdictSession(Session):
    """A model on interfaces from `with` on; `verdicts()` tells what it says, also after the end.

    `counts()` are packets by class. `missed` are packets that are of no sample, by the reason; `elsewhere`
    those that the model's task has nothing to say about.
    """

    probe = "classify"

    def __init__(
        self,
        model: Model,
        interfaces: Sequence[str],
        actions: Mapping[int | None, Action],
        max_samples: int,
        idle_s: float,
    ) -> None:
        self.model = model
        self._explainer = Explainer(model, task(model.task))
        self._meters = _Meters(interfaces, model, sampler(model.task), actions, max_samples, idle_s)
        super().__init__(self._meters)

    def verdicts(self) -> list[Classified]:
        """What there is a verdict of, the latest first."""
        with self._lock:
            self._refresh()
            named = (
                self._classified(interface, each)
                for interface, meter in self._meters.all()
                for each in meter.seen
            )
            return sorted(named, key=lambda each: -each.first_ns)

    def samples(self) -> list[Sample]:
        """The stations or flows that there is a verdict of, as rows of the task; `file` is the interface."""
        with self._lock:
            self._refresh()
            name = self._meters.sampler.name
            return [
                Sample(
                    interface.name, name(each.key, each.head), each.head.first_ns, each.row, each.head.packets
                )
                for interface, meter in self._meters.all()
                for each in meter.seen
            ]

    def counts(self) -> list[ClassCount]:
        """Packets by interface and class, as of the last `verdicts()`; classes without are left out."""
        with self._lock:
            return [
                ClassCount(interface.name, self.model.task, self._name(place), samples, packets, octets)
                for interface, meter in self._meters.all()
                for place, samples, packets, octets in _by_place(meter)
            ]

    @property
    def waiting(self) -> int:
        """Stations or flows without a verdict yet, as of the last `verdicts()`."""
        with self._lock:
            return sum(meter.waiting for _, meter in self._meters.all())

    @property
    def missed(self) -> dict[str, int]:
        """Packets that are of no sample though they should be, by the reason, as of the last `verdicts()`."""
        with self._lock:
            return {reason: self._meters.tallied(reason) for reason in MISSED}

    @property
    def elsewhere(self) -> int:
        """Packets that are of no station or flow that the task knows, as of the last `verdicts()`."""
        with self._lock:
            return self._meters.tallied("elsewhere")

    def _refresh(self) -> None:
        if self._watch:
            for _, meter in self._meters:
                meter.read()

    def _classified(self, interface: Interface, seen: Seen) -> Classified:
        head = seen.head
        return self._explainer.classified(
            interface.name,
            self._meters.sampler.name(seen.key, head),
            seen.row,
            head.class_index,
            head.votes,
            first_ns=head.first_ns,
            packets=head.packets,
            runs=head.runs,
        )

    def _name(self, place: int) -> str | None:
        """The class at a place of the counts."""
        if place == UNKNOWN & (PLACES - 1):
            return None
        return self.model.classes[place - 1] if place else ""

    def _programs(self) -> Iterator[AttachedProgram]:
        for interface, meter in self._meters:
            yield from ((interface.name, *each) for each in meter.programs)


def _by_place(meter: ModelMeter) -> Iterator[tuple[int, int, int, int]]:
    """(place, samples, packets, bytes) of each class that has any."""
    samples = samples_by_place(meter.seen, meter.waiting)
    for place in sorted(samples.keys() | meter.counts.keys()):
        yield (place, samples.get(place, 0), *meter.counts.get(place, (0, 0)))


class _Meters(Follower[ModelMeter]):
    """A meter for each interface, and those of interfaces that are gone, as they were last."""

    doing = "classified"

    def __init__(
        self,
        names: Sequence[str],
        model: Model,
        sampler: Sampler,
        actions: Mapping[int | None, Action],
        max_samples: int,
        idle_s: float,
    ) -> None:
        super().__init__(names)
        self.model, self.sampler, self.actions = model, sampler, actions
        self.max_samples, self.idle_s = max_samples, idle_s
        self._gone: dict[str, tuple[Interface, ModelMeter]] = {}
        self._tallied = Counter[str]()

    def begin(self, interface: Interface) -> ModelMeter:
        if not self.readable(interface):
            needs = (
                "Ethernet frames" if _ETHERNET in self.sampler.link_types else "802.11 frames (monitor mode)"
            )
            hardware = f"ARPHRD {interface.hardware}, linux/if_arp.h"
            raise NotSupported(
                f"{interface.name} does not carry {needs}, which {self.model.task} needs ({hardware})"
            )
        return ModelMeter(interface, self.sampler, self.model, self.actions, self.max_samples, self.idle_s)

    def end(self, interface: Interface, held: ModelMeter) -> None:
        held.finish()
        self._gone[interface.name] = interface, held
        self._tallied.update(held.tally)

    def readable(self, interface: Interface) -> bool:
        return link_type_of(interface) in self.sampler.link_types

    def all(self) -> list[tuple[Interface, ModelMeter]]:
        """Those that are held, and of each name that is not the last one that was."""
        held = list(self)
        names = {interface.name for interface, _ in held}
        return held + [each for name, each in self._gone.items() if name not in names]

    def tallied(self, outcome: str) -> int:
        """Packets by what became of them."""
        assert outcome in OUTCOMES
        return self._tallied[outcome] + sum(meter.tally[outcome] for _, meter in self)

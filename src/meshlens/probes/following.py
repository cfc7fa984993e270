"""Attached wherever it is wanted: follows the interfaces as they come, change their names, go and return."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final, Generic, Protocol, TypeVar

from meshlens.errors import MeshlensError, PermissionDenied, UsageError
from meshlens.probes.interfaces import Interface, link_type_of, list_interfaces, matches

__all__ = ["Followed", "Following"]

_GLOB: Final = frozenset("*?[")

log = logging.getLogger(__name__)


class Followed(Protocol):
    """What is attached to one interface, and knows it."""

    interface: Interface


T = TypeVar("T", bound=Followed)


class Following(ABC, Generic[T]):
    """Keeps one T attached to each interface that is wanted; a subclass says how.

    `names` are names and globs of interfaces, which are attached to up or not, so that their first frame is
    seen; none: all that are up. `doing` is what the log says is not done where it cannot be.
    """

    doing = "counted"

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.followed: dict[int, T] = {}
        self._refused: dict[int, Interface] = {}

    @abstractmethod
    def attach(self, interface: Interface) -> T:
        """Begin with an interface. Raises MeshlensError, and leaves nothing attached then."""

    @abstractmethod
    def detach(self, followed: T) -> None:
        """End with an interface, which is gone or not wanted any more."""

    def changed(self, followed: T, before: Interface) -> None:
        """An interface is no more what it was `before`: in its name, its address, or up and down."""

    def readable(self, interface: Interface) -> bool:
        """Whether the frames of an interface are any that can be read."""
        return link_type_of(interface) is not None

    def start(self) -> None:
        """Attach to all that is wanted and there.

        Raises UsageError, also for a name that is not there, and PermissionDenied; the error of an interface
        that was named, or of the first one if none could be attached to. Others are only logged.
        """
        interfaces = list_interfaces()
        present = {each.name for each in interfaces}
        for name in self.names:
            if not _GLOB & set(name) and name not in present:
                raise UsageError(f"no interface {name!r}; there are {', '.join(sorted(present))}")
        errors = []
        for interface in filter(self._wanted, interfaces):
            try:
                self.followed[interface.index] = self.attach(interface)
            except (PermissionDenied, UsageError):
                raise
            except MeshlensError as error:
                if interface.name in self.names:
                    raise
                errors.append(error)
                self._refuse(interface, error)
        if errors and not self.followed:
            raise errors[0]

    def follow(self) -> None:
        """Attach to what came, let go of what went, tell the others what changed."""
        interfaces = {each.index: each for each in list_interfaces()}
        for index, followed in list(self.followed.items()):
            now = interfaces.get(index)
            if now is None or not self._named(now):
                self._end(index)
            elif now != followed.interface:
                before, followed.interface = followed.interface, now
                self.changed(followed, before)
        self._refused = {each: was for each, was in self._refused.items() if interfaces.get(each) == was}
        for interface in filter(self._wanted, interfaces.values()):
            if interface.index not in self.followed and interface.index not in self._refused:
                try:
                    self.followed[interface.index] = self.attach(interface)
                except MeshlensError as error:
                    self._refuse(interface, error)

    def stop(self) -> None:
        """Detach everywhere."""
        for index in list(self.followed):
            self._end(index)

    def _end(self, index: int) -> None:
        self.detach(self.followed.pop(index))

    def _named(self, interface: Interface) -> bool:
        return not self.names or matches(interface.name, self.names)

    def _wanted(self, interface: Interface) -> bool:
        if not self.readable(interface):
            return interface.name in self.names  # and refused with the reason
        return self._named(interface) and (interface.up or bool(self.names))

    def _refuse(self, interface: Interface, error: MeshlensError) -> None:
        """Not to be tried again until the interface changes. One that is gone again needs no word."""
        self._refused[interface.index] = interface
        if interface in list_interfaces():
            log.warning("%s is not %s: %s", interface.name, self.doing, error)

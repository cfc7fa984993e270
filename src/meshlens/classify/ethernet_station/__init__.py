"""Classify stations by what they send: the task "ethernet-station".

A sample is a station, by its MAC address: what its first packets are (see `features.WINDOW`), as anybody can
count them who carries its frames, encrypted or not.
"""

from typing import Final

from meshlens.classify.ethernet_station.features import FEATURES
from meshlens.classify.ethernet_station.sample import read
from meshlens.classify.tasks import Task

__all__ = ["TASK"]

TASK: Final = Task("ethernet-station", "station", FEATURES, read)

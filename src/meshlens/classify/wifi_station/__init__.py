"""Classify stations by how they join a network: the task "wifi-station".

A sample is a station, by its MAC address: the information elements of its probe requests and of its
association requests, and how it sent them. They tell what its radio and its driver can do, and are sent
before anything is encrypted; see docs/classify-wifi.md.
"""

from typing import Final

from meshlens.classify.tasks import Task
from meshlens.classify.wifi_station.features import FEATURES
from meshlens.classify.wifi_station.sample import TRUTH, read

__all__ = ["TASK"]

TASK: Final = Task("wifi-station", "station", FEATURES, read, TRUTH)

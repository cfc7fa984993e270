"""Kinds of traffic: a sample is a flow, judged by its first packets."""

from meshlens.classify.flow.features import FEATURES
from meshlens.classify.flow.sample import read
from meshlens.classify.tasks import Task

__all__ = ["TASK"]

TASK = Task("flow", "flow", FEATURES, read)

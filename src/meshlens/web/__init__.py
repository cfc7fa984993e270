"""The HTTP side of `meshlens serve`: a read-only JSON API, live events, and the dashboard (extra `[web]`)."""

from meshlens.web.hub import History, HistoryKind, Hub, Series

__all__ = ["History", "HistoryKind", "Hub", "Series"]

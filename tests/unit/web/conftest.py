"""A site to ask, over HTTP as everybody does."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any

import pytest

from meshlens.web.app import create_app
from tests.readings import reading
from tests.web_site import FakeHub, serving


@dataclass
class Answer:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    hub: FakeHub
    port: int

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Header names are written with underscores."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=names)
        response = connection.getresponse()
        answer = Answer(response.status, response.msg, response.read())
        connection.close()
        return answer


TOKEN = "open-sesame-4711"  # noqa: S105  (of a site that lives for a test)


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """Readings 40 and, ten seconds later, 50 have come, so that there are rates."""
    hub = FakeHub(reading(40))
    with serving(create_app(hub, hosts=["gateway.example"]), hub) as port:
        hub.push(reading(50))
        ready = Site(hub, port)
        while not ready.get("/api/v1/recent").json:
            time.sleep(0.01)
        yield ready


@pytest.fixture(scope="package")
def closed_site() -> Iterator[Site]:
    """One that wants a token."""
    hub = FakeHub(reading(40))
    with serving(create_app(hub, token=TOKEN), hub) as port:
        yield Site(hub, port)

"""What holds for all tests: signals, time, and when one is skipped: no root, no permission, no feature."""

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from meshlens.errors import NotSupported, PermissionDenied

# A runner in the background may have been started with SIGINT ignored, which every child would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("meshlens", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meshlens")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-help", action="store_true", help="write tests/unit/cli/help/*.txt anew")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A test of the kernel is skipped, not failed, where the kernel or its policy does not let us."""
    try:
        return (yield)
    except NotSupported as error:
        pytest.skip(f"not supported here: {error}")
    except PermissionDenied as error:
        if item.get_closest_marker("kernel") and os.geteuid() != 0:
            pytest.skip(f"not allowed here: {error}")
        raise

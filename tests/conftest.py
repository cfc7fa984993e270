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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where tests run side by side (`make test`), those of one group stay one behind the other.

    Tests of the kernel look at what is attached in it and load it; each virtual machine is booted once, and
    what oracles say of real lists and captures is worked out once. Others share nothing outside their file.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]  # xdist says nothing about its types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            folder = file.split("/")[1]
            return folder if folder in {"kernel", "oracle", "vm"} else file

    return Groups(config, log)


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

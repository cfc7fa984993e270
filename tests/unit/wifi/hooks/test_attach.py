"""Without mac80211 there is one line that says so."""

import pytest

from meshlens.errors import NotSupported, UsageError
from meshlens.wifi.hooks import attach
from meshlens.wifi.hooks.session import hooked_stations


def test_a_kernel_without_mac80211_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without:
        def __init__(self, *modules: str) -> None:
            if modules:
                raise NotSupported(f"no {modules}")

        def function(self, *names: str) -> None:
            raise NotSupported(f"no {names}")

    monkeypatch.setattr(attach, "KernelTypes", Without)
    with pytest.raises(NotSupported, match=r"no /sys/kernel/btf/mac80211") as told:
        attach.HookedPrograms(8)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("wrong", [{"max_stations": 0}, {"idle_s": -1.0}])
def test_what_cannot_be_is_refused_at_once(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="max_stations"):
        hooked_stations(**wrong)  # type: ignore[arg-type]

"""What doctor says of kernels that we do not have here."""

import json

import pytest

from meshlens.cli import doctor
from meshlens.cli.main import run
from meshlens.ebpf.features import _PROBES, Feature
from meshlens.wifi.features import _PROBES as _WIFI_PROBES
from meshlens.wifi.features import NL80211

TCX_WHY = "needs Linux 6.6"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A kernel that has every feature but those put here, with the reason; and we have all privileges."""
    missing: dict[str, str] = {}
    monkeypatch.setattr(
        doctor,
        "features",
        lambda: [Feature(name, name not in missing, missing.get(name, "")) for name in _PROBES],
    )
    monkeypatch.setattr(doctor, "has_capability", lambda name: True)
    monkeypatch.setattr(doctor, "wifi_features", list)
    return missing


def test_a_kernel_with_everything_gets_no_complaint(
    kernel: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("Every command works, nothing is missing.\n")
    assert "suffers" not in out
    assert all(f"yes   {name}\n" in out for name in _PROBES)


def test_a_missing_comfort_is_told_with_reason_and_victim_and_is_no_failure(
    kernel: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    kernel["attach: TCX"] = TCX_WHY
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"no    attach: TCX\n      {TCX_WHY}\n      suffers: count, capture, flows, " in out
    assert out.endswith(f"Every command works; missing features: 1 of {len(_PROBES) + 1}.\n")


@pytest.mark.parametrize(
    "name", ["program: sched_cls (tc)", "program: socket filter", "map: per-CPU array", "map: hash"]
)
def test_without_what_counting_needs_it_fails(
    name: str, kernel: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    kernel[name] = "refused"
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert f"no    {name}\n      refused\n      suffers: " in out
    assert out.endswith("Some commands do not work here.\n")


def test_without_privileges_the_kernel_is_not_asked_and_none_of_it_is_called_missing(
    kernel: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "has_capability", {"net_admin"}.__contains__)
    assert run(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "run as root, or with CAP_BPF, CAP_PERFMON;" in out
    assert "TCX" not in out


def test_json_is_an_object_a_feature_and_one_with_the_verdict(
    kernel: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    kernel["attach: TCX"] = TCX_WHY
    assert run(["doctor", "--json"]) == 0
    *records, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["feature"] for record in records] == [doctor.PRIVILEGES, *_PROBES]
    [missing] = [record for record in records if not record["supported"]]
    assert (missing["feature"], missing["why"], missing["fatal"]) == ("attach: TCX", TCX_WHY, False)
    assert summary["works"] is True
    assert set(summary["versions"]) == {"meshlens", "Linux", "Python", "libpcap"}


def test_every_effect_belongs_to_a_feature_that_is_tried() -> None:
    assert set(doctor.EFFECTS) <= {doctor.PRIVILEGES, *_PROBES, NL80211, *_WIFI_PROBES}

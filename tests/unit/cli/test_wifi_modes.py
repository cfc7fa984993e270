"""What `meshlens wifi` looks at: the interface decides, options of the other view are refused."""

import pytest

from meshlens.cli import wifi_modes
from meshlens.cli.main import run
from meshlens.cli.wifi_modes import is_monitor
from meshlens.errors import UsageError
from meshlens.probes.interfaces import Interface

ETHERNET, RADIOTAP = 1, 803
WLAN = Interface(3, "wlan0", "02:00:00:00:00:00", ETHERNET, up=True)
MON = Interface(4, "mon0", "02:00:00:00:00:00", RADIOTAP, up=True)
MON_DOWN = Interface(4, "mon0", "02:00:00:00:00:00", RADIOTAP, up=False)
ETH = Interface(2, "eth0", "02:00:00:00:00:02", ETHERNET, up=True)


@pytest.mark.parametrize(
    ("there", "named", "monitor"),
    [
        ([ETH, WLAN, MON], [], True),  # monitor interfaces come first
        ([ETH, WLAN, MON_DOWN], [], False),
        ([ETH, WLAN], [], False),
        ([ETH], [], True),  # one may come
        ([ETH, WLAN, MON], ["wlan0"], False),
        ([ETH, WLAN, MON], ["wlan*"], False),
        ([ETH, WLAN, MON], ["mon0"], True),
        ([ETH, WLAN], ["eth0"], True),  # which says what is wrong with it
    ],
)
def test_the_interface_decides(
    there: list[Interface], named: list[str], monitor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wifi_modes, "list_interfaces", lambda: there)
    monkeypatch.setattr(wifi_modes, "_in_networks", lambda: {"wlan0"} if WLAN in there else set())
    assert is_monitor(named) is monitor


def test_both_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wifi_modes, "list_interfaces", lambda: [WLAN, MON])
    monkeypatch.setattr(wifi_modes, "_in_networks", lambda: {"wlan0"})
    with pytest.raises(UsageError, match="mon0 is a monitor interface, wlan0 is in a network: one kind"):
        is_monitor(["wlan0", "mon0"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--read", "a.pcap", "--by", "rate"], "--by is not for this: it cannot go with --read"),
        (["--events", "--hop", "1"], "--hop is not for this: it cannot go with --events"),
        (["--events", "arp"], "a filter is for monitor interfaces and capture files"),
        (["-i", "wlan0", "--hop", "1"], "--hop is not for this: it cannot go with interfaces that are in a"),
        (["-i", "wlan0", "wlan", "type", "data"], "a filter is for monitor interfaces"),
        (["-i", "mon0", "--no-hooks"], "--no-hooks is for Wi-Fi interfaces that are in a network; it cannot"),
        (["-i", "wlan0", "--json", "--parquet", "x"], "--json prints, --parquet writes a file"),
    ],
)
def test_options_of_the_other_view_are_refused(
    words: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wifi_modes, "list_interfaces", lambda: [WLAN, MON])
    monkeypatch.setattr(wifi_modes, "_in_networks", lambda: {"wlan0"})
    assert run(["wifi", *words]) == 2
    assert complaint in capsys.readouterr().err

"""Access points and a client of simulated radios, for scripts in the machine."""

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.vm.guest.links import shell

__all__ = ["access_points", "apart", "connect", "mac", "send_ethernet", "told", "until"]


@contextlib.contextmanager
def access_points(*names: str, ssid: str = "meshlens", ht: bool = False) -> Iterator[None]:
    """Open access points of one network on channel 1, by hostapd; `hostapd_cli -i` reaches each."""
    files = []
    for name in names:
        files.append(Path(f"/run/{name}.conf"))
        files[-1].write_text(
            f"interface={name}\ndriver=nl80211\nctrl_interface=/run/hostapd\nssid={ssid}\nhw_mode=g\n"
            f"channel=1\nieee80211n={int(ht)}\nwmm_enabled=1\n"
        )
    hostapd = subprocess.Popen(["hostapd", *map(str, files)], stdout=subprocess.DEVNULL)
    try:
        for name in names:
            until(lambda name=name: "state=ENABLED" in told(f"hostapd_cli -i {name} status"))  # type: ignore[misc]
        yield
    finally:
        hostapd.terminate()
        hostapd.wait()


def connect(name: str, bssid: str, ssid: str = "meshlens", mhz: int = 2412) -> None:
    """Connect a client; it is there when this returns."""
    shell(f"ip link set {name} up; iw dev {name} connect -w {ssid} {mhz} {bssid}")


def told(command: str) -> str:
    """What a command prints, also where it fails."""
    return subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, text=True).stdout


def mac(name: str) -> str:
    """An interface's address."""
    return Path(f"/sys/class/net/{name}/address").read_text().strip()


def send_ethernet(name: str, to: str, *sizes: int) -> None:
    """Frames of these payloads' sizes, of an ethertype that nobody answers."""
    destination, source = (bytes.fromhex(each.replace(":", "")) for each in (to, mac(name)))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((name, 0))
        for size in sizes:
            sender.send(destination + source + b"\x88\xb5" + bytes(size))


def apart(name: str) -> None:
    """Take a radio where nobody hears it, and where it hears nobody."""
    radio = Path(f"/sys/class/net/{name}/phy80211/name").read_text().strip()
    Path(f"/sys/kernel/debug/ieee80211/{radio}/hwsim/group").write_text("2")


def until(true: Callable[[], object], seconds: float = 10) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False

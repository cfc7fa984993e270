"""Made-up stations: what each source says of one, and records of all of them."""

from meshlens.wifi.hooks.record import HookedStation, RateAck, RateHeard, Signal
from meshlens.wifi.minstrel.record import MinstrelRate, MinstrelTable
from meshlens.wifi.netlink.interfaces import WifiInterface
from meshlens.wifi.netlink.stations import StationInfo
from meshlens.wifi.netlink.survey import ChannelSurvey
from meshlens.wifi.rates import Rate

MAC, BSSID = "02:00:00:00:01:00", "02:00:00:00:00:00"
AP = WifiInterface(
    name="wlan0", index=3, mac=BSSID, kind="ap", radio=0, ssid="mesh", frequency_mhz=2412, width_mhz=20
)
INFO = StationInfo(
    interface="wlan0", mac=MAC, connected_s=100, tx_packets=1000, tx_bytes=500_000, tx_retries=200,
    tx_failed=10, rx_packets=800, rx_bytes=400_000, signal_dbm=-60, signal_mean_dbm=-62,
    tx_mbps=54.0, tx_duration_us=0,
)  # fmt: skip
SURVEY = ChannelSurvey(
    interface="wlan0", frequency_mhz=2412, in_use=True, noise_dbm=-95, time_ms=1000, busy_ms=300
)
SLOW, FAST = Rate("legacy", 6.0), Rate("legacy", 54.0)
SIGNAL = Signal(20, -58, -66, -55, -60.5, {-68: 5, -60: 15})
HOOKED = HookedStation(
    interface="wlan0", mac=MAC, bssid=BSSID, last_ns=0, tx_frames=40, tx_acked=36, tx_failed=2,
    tx_no_ack_wanted=2, tx_filtered=0, tx_untold=0, tx_reported=40, tx_attempts=60, tx_retries=20,
    rates=(RateAck(FAST, 50, 35, 33, 50 * 1000), RateAck(SLOW, 10, 5, 3, 10 * 1000)),
    ampdus=None, ampdu_frames=None, ampdu_acked=None, airtime_ns=None, airtime_frames=0, airtime_source=None,
    latency_us={16: 30, 32: 10}, latency_mean_us=25.0, ack_signal=None, rx_frames=20, rx_data_frames=20,
    rx_bytes=20_000, rx_retries=3, rx_duplicates=1, rx_fcs_failed=None, rx_plcp_failed=None, signal=SIGNAL,
    chain_signals=(), rx_rates=(RateHeard(FAST, 20, 20_000, 3),),
)  # fmt: skip
TABLE = MinstrelTable(
    "wlan0", MAC,
    (MinstrelRate(263, FAST, 50, 33, 5, 3, 10, 6, 0.7, 20.1, 25.0, 250.0, 5, 5, "AP"),),
    40, 4, 1.0, 100, 50, 20_100,
)  # fmt: skip

"""Who takes the air: each station's share of the time on the channel, for both directions.

    python examples/airtime_shares.py wlan0 10

A slow or far station takes more of it than its bytes would tell. The driver's own numbers are taken where it
reports any, else they are worked out from rates and lengths; frames of others on the channel are in neither.
"""

import sys

import meshlens


def main(interface: str, seconds: float) -> None:
    """Watch the stations of an interface for so long; the busiest first."""
    with meshlens.wifi_stations(interface) as session:
        before = {each.mac: airtime_us(each) for each in session.stations()}
        session.wait(seconds)
        stations = session.stations()
    taken = {each.mac: airtime_us(each) - before.get(each.mac, 0) for each in stations}
    for each in sorted(stations, key=lambda station: -taken[station.mac]):
        source = each.sources.get("tx_airtime_us", "not told")
        loss = "-" if each.loss_ratio is None else f"{each.loss_ratio:.1%}"
        share = taken[each.mac] / seconds / 1e6
        print(f"{each.mac}  {share:6.2%}  lost {loss:>5}  {each.tx_rate}  ({source})")


def airtime_us(station: meshlens.WifiStation) -> int:
    """What was sent to it, and by it."""
    return (station.tx_airtime_us or 0) + (station.rx_airtime_us or 0)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

"""Where there is nothing to ask, it is said; nothing is left behind."""

from pathlib import Path

import pytest

from meshlens.errors import NotSupported, UsageError
from meshlens.wifi.minstrel.session import minstrel_tables


@pytest.mark.skipif(Path("/sys/kernel/btf/mac80211").exists(), reason="mac80211 is loaded")
def test_without_mac80211_there_are_no_tables() -> None:
    with pytest.raises(NotSupported, match="no rate control by mac80211: "), minstrel_tables():
        pass


def test_room_for_no_station_is_refused() -> None:
    with pytest.raises(UsageError, match="max_stations has to be more than 0"):
        minstrel_tables(max_stations=0)

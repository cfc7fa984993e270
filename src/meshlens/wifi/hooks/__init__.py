"""What a host's own radios send and hear, by station, read where mac80211 is told of it."""

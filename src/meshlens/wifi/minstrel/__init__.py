"""Minstrel-HT, the rate control of mac80211: its own table of each station, read from the kernel.

It is what debugfs shows as `rc_stats`, on kernels without debugfs for mac80211 too. Where the driver or its
firmware chooses the rates, there is no such table.
"""

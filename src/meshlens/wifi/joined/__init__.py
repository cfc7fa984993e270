"""Stations of Wi-Fi interfaces: all that is known of one, and the source of each number."""

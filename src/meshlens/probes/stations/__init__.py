"""Stations: MAC addresses on interfaces, what they send and receive, and what tells their kind."""

"""Interfaces: all that passes through them, by ethertype, destination and size."""

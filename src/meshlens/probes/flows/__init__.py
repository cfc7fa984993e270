"""Flows: what two ends sent each other, added up in the kernel."""

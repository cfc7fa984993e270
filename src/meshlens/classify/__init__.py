"""Classify: fingerprints of stations and flows as numbers, and models that name them, also in the kernel."""

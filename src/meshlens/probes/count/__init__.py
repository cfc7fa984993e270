"""Counting by filter lists, with a process or without."""

"""History: what was counted, by time, in one SQLite file; see docs/history.md.

SQLite and not DuckDB: it is part of Python (DuckDB's wheel is 20 MB and not made for routers), a daemon holds
it in 2 MiB, its write-ahead log survives a kill at any moment and lets others read meanwhile, while DuckDB
lets nobody else in as long as one process writes.
"""

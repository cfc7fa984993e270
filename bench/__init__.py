"""The figures of docs/performance.md: one file a claim, measured side by side in one run."""

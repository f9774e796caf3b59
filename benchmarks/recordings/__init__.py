"""The figures of recordings: `python -m benchmarks.recordings`."""

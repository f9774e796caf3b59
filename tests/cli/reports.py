"""Reports as the public functions return them, as far as the command line looks at them."""

GIB = 2**30

ARRAY = {
    "path": "flux",
    "shape": [50_000, 1200],
    "dtype": "float32",
    "chunks_before": [5000, 1],
    "shards_before": None,
    "chunks": [1, 1200],
    "shards": [1000, 1200],
}
RECHUNKED = {
    "source": "a.zarr",
    "target": "b.zarr",
    "arrays": [ARRAY | {"route": "direct", "passes": 1, "digest": "ab12"}],
    "seconds": 8.0,
    "max_mem": GIB,
    "processes": 1,
    "peak_mem": GIB // 2,
    "source_bytes": 4 * GIB,
    "source_chunks": 100,
    "source_chunks_read": 150,
    "bytes_read": 3 * GIB,
    "bytes_written": 5 * GIB,
    "target_bytes": 2 * GIB,
    "keys_written": 50,
    "keys_empty": 7,
    "blocks": 1200,
    "resumed_blocks": 20,
    "verify": "full",
    "verified": True,
    "digest": "ab12",
    "notes": ["flux: fill_value null became 0.0"],
}
PLANNED = {
    "source": "a.zarr",
    "target": None,
    "max_mem": GIB,
    "processes": 2,
    "projected_mem": GIB // 4,
    "scratch_bytes": 3 * GIB,
    "bytes_read": 3 * GIB,
    "bytes_written": 2 * GIB,
    "keys_written": 50,
    "reread": 1.25,
    "blocks": 12,
    "estimated_seconds": None,
    "stages": [{"name": "read into scratch", "blocks": 8, "bytes": GIB}, {"name": "write", "blocks": 4, "bytes": GIB}],
    "arrays": [
        ARRAY
        | {
            "codecs": ["zstd"],
            "route": "direct",
            "passes": [
                {"kind": "read", "tile": [5000, 100], "block": [5000, 100], "blocks": 8, "projected_mem": GIB // 4},
                {"kind": "write", "tile": [1000, 1200], "block": [1000, 1200], "blocks": 4, "projected_mem": GIB // 8},
            ],
            "reread": 1.25,
            "keys": 50,
            "scratch_bytes": 3 * GIB,
        }
    ],
    "notes": [],
}


class Report:
    """A report that is its JSON."""

    def __init__(self, data, **attributes):
        self.data = data
        self.__dict__ |= attributes

    def to_json(self):
        return self.data

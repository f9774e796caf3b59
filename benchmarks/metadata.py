"""The metadata documents of sources and targets, written out so that every contender starts from the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.sizes import ArrayCase, Layout, Shape, Size

ZSTD: dict[str, Any] = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
"""The default of zarr-python; level 0 is the library's own default, 3."""
BYTES: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
CRC32C: dict[str, Any] = {"name": "crc32c"}
DTYPES = {"f4": "float32", "f8": "float64"}


def _array(case: ArrayCase, chunks: Shape, codecs: list[dict[str, Any]], *, separator: str) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(case.shape),
        "data_type": DTYPES[case.dtype],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}},
        "fill_value": "NaN",
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(case.dims),
    }


def source_v3(case: ArrayCase) -> dict[str, Any]:
    """`zarr.json` of a source array: zarr-python's defaults."""
    return _array(case, case.source_chunks, [BYTES, ZSTD], separator="/")


def source_v2(case: ArrayCase) -> dict[str, Any]:
    """`.zarray` of the same array: the same encoded chunks serve both formats."""
    return {
        "zarr_format": 2,
        "shape": list(case.shape),
        "chunks": list(case.source_chunks),
        "dtype": f"<{case.dtype}",
        "order": "C",
        "compressor": {"id": "zstd", "level": 0},
        "filters": None,
        "fill_value": "NaN",
        "dimension_separator": ".",
    }


def target(case: ArrayCase, layout: Layout, *, separator: str) -> dict[str, Any]:
    """`zarr.json` of a target array; in shards each inner chunk and the index carry a crc32c."""
    if layout == "files":
        return _array(case, case.chunks, [BYTES, ZSTD], separator=separator)
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(case.chunks),
            "codecs": [BYTES, ZSTD, CRC32C],
            "index_codecs": [BYTES, CRC32C],
            "index_location": "end",
        },
    }
    return _array(case, case.shards, [sharding], separator=separator)


def write_targets(size: Size, root: str, *, layout: Layout, separator: str = ".") -> None:
    """Write the metadata of every target array (and of their group) below `root`, which must not exist."""
    Path(root).mkdir(parents=True)
    if size.is_group:
        _write(Path(root) / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})
    for case in size.arrays:
        folder = Path(root) / case.path
        folder.mkdir(exist_ok=True)
        _write(folder / "zarr.json", target(case, layout, separator=separator))


def write_sources(size: Size, v3: Path, v2: Path) -> None:
    """Write the metadata of the source in both formats."""
    v3.mkdir(parents=True)
    v2.mkdir(parents=True)
    if size.is_group:
        _write(v3 / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})
        _write(v2 / ".zgroup", {"zarr_format": 2})
    for case in size.arrays:
        (v3 / case.path).mkdir(exist_ok=True)
        (v2 / case.path).mkdir(exist_ok=True)
        _write(v3 / case.path / "zarr.json", source_v3(case))
        _write(v2 / case.path / ".zarray", source_v2(case))
        _write(v2 / case.path / ".zattrs", {"_ARRAY_DIMENSIONS": list(case.dims)})


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document))

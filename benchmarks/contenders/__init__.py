"""Who takes part: names, options, what each needs and which layouts it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.sizes import Layout, Size

Role = Literal["ours", "floor", "peer"]


@dataclass(frozen=True)
class Contender:
    """One row of the tables."""

    name: str
    """How it is chosen and shown."""
    module: str
    """Module of this package whose `run` is called."""
    describes: str
    """What it does, for `--list`."""
    needs: tuple[str, ...]
    """Modules that its environment must have."""
    role: Role = "peer"
    """Whether it counts as this project, the floor or somebody else."""
    options: dict[str, Any] = field(default_factory=dict)
    """What its module is told."""
    environment: Literal["main", "rechunker"] = "main"
    """Virtual environment that it runs in."""
    only_layouts: tuple[Layout, ...] = ()
    """Layouts that it writes in every size; empty for those of the size."""
    only_sizes: tuple[str, ...] = ()
    """Sizes that it takes part in; empty for all."""
    optional: bool = False
    """Whether it runs only when named."""
    counts: bool = False
    """Whether an extra, untimed run can count its source reads."""

    def layouts(self, size: Size) -> tuple[Layout, ...]:
        """Layouts that it writes in a size."""
        if self.only_sizes and size.name not in self.only_sizes:
            return ()
        return self.only_layouts or size.layouts


def _ours(name: str, describes: str, **options: Any) -> Contender:
    return Contender(name, "zarrmill_rechunk", describes, ("zarrmill",), role="ours", options=options)


_PEERS_SIZES = ("S", "M", "L", "G")

CONTENDERS: tuple[Contender, ...] = (
    _ours("zarrmill", "verify none, no sync: what the peers do", verify="none", sync=False),
    Contender("floor", "floor", "plain library calls on all cores", ("numcodecs", "google_crc32c"), role="floor"),
    _ours("zarrmill-sync", "verify none, default sync", verify="none", sync=True),
    _ours("zarrmill-full", "verify full, no sync", verify="full", sync=False),
    _ours("zarrmill-full-sync", "verify full, default sync: the defaults", verify="full", sync=True),
    Contender(
        "zarrmill-dask",
        "zarrmill_dask",
        "as zarrmill, on a warm dask cluster of one process per core, with the limit of a size in each",
        ("zarrmill", "distributed"),
        role="ours",
        options={"verify": "none", "sync": False},
        only_sizes=_PEERS_SIZES,
    ),
    Contender(
        "zarrmill-512",
        "zarrmill_rechunk",
        "as zarrmill, with the limit of L: for the growth of the time",
        ("zarrmill",),
        role="ours",
        options={"verify": "none", "sync": False, "max_mem": 512 << 20},
        only_layouts=("shards",),
        only_sizes=("M", "M4"),
    ),
    Contender("tensorstore", "tensorstore_copy", "block by block", ("tensorstore",), only_sizes=_PEERS_SIZES),
    Contender(
        "rechunker",
        "rechunker_v2",
        "Zarr v2, unsharded, in its own environment",
        ("rechunker",),
        environment="rechunker",
        only_layouts=("files",),
        only_sizes=_PEERS_SIZES,
        counts=True,
    ),
    Contender(
        "zarrs",
        "zarr_loop",
        "zarr-python with the zarrs codec pipeline, block by block",
        ("zarrs",),
        options={"pipeline": "zarrs.ZarrsCodecPipeline"},
        only_sizes=_PEERS_SIZES,
    ),
    Contender(
        "dask",
        "dask_threads",
        "threads, tasks as large as a stored key",
        ("dask",),
        only_sizes=_PEERS_SIZES,
        counts=True,
    ),
    Contender(
        "dask-slash",
        "dask_threads",
        "threads, one file per chunk, with the default chunk keys (two directories per file)",
        ("dask",),
        options={"separator": "/"},
        only_layouts=("files",),
        only_sizes=("S", "M"),
        optional=True,
    ),
    Contender("zarr-python", "zarr_loop", "block by block", ("zarr",), only_sizes=_PEERS_SIZES, counts=True),
    Contender(
        "dask-p2p",
        "dask_threads",
        "distributed, peer-to-peer rechunking, one process per core",
        ("distributed",),
        options={"p2p": True},
        only_sizes=_PEERS_SIZES,
        optional=True,
    ),
)


def chosen(names: list[str] | None, floor_only: bool) -> list[Contender]:
    """The contenders that a command line asks for; `KeyError` for a name that is none."""
    if floor_only:
        return [contender for contender in CONTENDERS if contender.role == "floor"]
    if names is None:
        return [contender for contender in CONTENDERS if not contender.optional]
    known = {contender.name: contender for contender in CONTENDERS}
    return [known[name] for name in names]

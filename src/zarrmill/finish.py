"""The end of a rechunk: completeness and digests checked, the draft published, the report made."""

from __future__ import annotations

from collections.abc import Mapping

from zarrmill.changes import Print, find_reprinted, look_at, untold_changes
from zarrmill.digests import store_digest
from zarrmill.errors import PublishError, SourceChangedError, VerifyError
from zarrmill.execute.account import ArrayAccount, accounts
from zarrmill.execute.intermediates import Intermediates
from zarrmill.execute.keys import add_terms
from zarrmill.execute.request_meter import RunMeter
from zarrmill.key_states import States
from zarrmill.keyspace.model import Requests, join
from zarrmill.made_from import RECORD, MadeFrom
from zarrmill.plan.array_plan import ArrayPlan
from zarrmill.plan.rechunk import RechunkPlan
from zarrmill.prepare import Prepared, array_digest
from zarrmill.progress import Progress, StepStarted
from zarrmill.publish import stored_terms
from zarrmill.report import ArrayReport, RechunkReport, RunRequests
from zarrmill.resume import lost_blocks
from zarrmill.target import RunJournal, Target
from zarrmill.update import Update


def check_unchanged(prepared: Prepared, claimed_ns: int) -> dict[str, States | None]:
    """Raise SourceChangedError when a file of the source is younger than the claim of a draft; return all states."""
    states: dict[str, States | None] = {}
    for path, array in prepared.stored.items():
        look = look_at(array, claimed_ns)
        _raise_changed(look.changed)
        states[path] = look.states
    return states


def check_prints(prepared: Prepared, prints: Mapping[str, Print]) -> None:
    """Raise SourceChangedError when the listing of an array in a store differs from the one at the start."""
    _raise_changed(find_reprinted(prepared.stored, prints))


def _raise_changed(changed: str | None) -> None:
    if changed is not None:
        raise SourceChangedError(
            f"{changed} was changed after this run began, so the target may mix old and new values. "
            f"Run again with --no-resume when nobody writes to the source."
        )


def states_of(
    files: Mapping[str, States | None], prints: Mapping[str, Print], update: Update | None
) -> dict[str, States | None]:
    """Return the states of the keys that each array is made from, None where nothing tells them."""
    if update is not None:
        return {path: change.now.states for path, change in update.changes.items()}
    return {path: prints[path].states if path in prints else states for path, states in files.items()}


class Finish:
    """The end of one run."""

    def __init__(
        self,
        plan: RechunkPlan,
        prepared: Prepared,
        target: Target,
        journal: RunJournal,
        *,
        update: Update | None = None,
    ) -> None:
        self._plan = plan
        self._prepared = prepared
        self._target = target
        self._journal = journal
        self._accounts = accounts(journal)
        self._digests: dict[str, str] = {}
        self._update = update
        self._states: dict[str, States | None] = {}

    def _account(self, array: ArrayPlan) -> ArrayAccount:
        return self._accounts.get(array.path, ArrayAccount())

    def check(self, *, claimed_ns: int, prints: Mapping[str, Print], progress: Progress) -> None:
        """Check that every key is there, that what was written is what was read, and that the source has not changed.

        Raises PublishError, VerifyError, SourceChangedError.
        """
        progress(StepStarted("check"))
        states = check_unchanged(self._prepared, claimed_ns)
        check_prints(self._prepared, prints)
        self._states = states_of(states, prints, self._update)
        for array in self._plan.arrays:
            self._check_complete(array)
            if self._plan.verify == "full":
                self._check_digest(array)

    def _check_complete(self, array: ArrayPlan) -> None:
        expected = self._account(array).terms
        # The draft of an update may hold links to what is kept, from a run that was stopped at its end.
        if self._update is None and stored_terms(self._target.listing(array.path), array.path) == expected:
            return
        document, sizes = self._prepared.documents[array.path], self._target.sizes(array.path)
        lost = lost_blocks(array, self._journal, sizes=sizes, document=document)
        if self._update is not None and not lost:
            return
        self._journal.forget(lost)
        raise PublishError(
            f"{array.path or 'array'}: keys of {len(lost)} blocks are no longer in the draft {self._target.place} "
            f"as they were written ({', '.join(lost[:3])}). The same command writes those again."
        )

    def _check_digest(self, array: ArrayPlan) -> None:
        account, digest = self._account(array), array_digest(array)
        read, written = digest.text(account.source_share), digest.text(account.target_share)
        if read != written:
            self._journal.forget([result.block for result in self._journal])
            raise VerifyError(
                f"{array.path or 'array'}: what was written has the digest {written}, what was read {read}. "
                f"The draft is not published; the same command starts again. Check memory and disks."
            )
        self._digests[array.path] = read

    def publish(self, *, sync: bool, scratch: Intermediates, progress: Progress) -> tuple[str, ...]:
        """Make the draft visible; return what could not be removed."""
        progress(StepStarted("publish"))
        documents = {path: text.encode() for path, text in self._plan.documents}
        records = {join(array.path, RECORD): data for array in self._plan.arrays if (data := self._record(array))}
        return self._target.publish(documents, sync=sync, scratch=scratch, records=records)

    def _record(self, array: ArrayPlan) -> bytes | None:
        """Return what an array was made from, None where the states of its keys are not known."""
        states = self._states.get(array.path)
        if states is None:
            return None
        kept = 0 if self._update is None else self._update.kept_terms(array.path)
        terms = add_terms(self._account(array).terms, kept)
        location, source = self._prepared.source.location, array.source
        return MadeFrom(location, source.shape, source.write_chunk, states, terms).to_bytes()

    def report(
        self, *, seconds: float, resumed_blocks: int, leftovers: tuple[str, ...], meter: RunMeter
    ) -> RechunkReport:
        """Return what the run did."""
        plan = self._plan
        total = self._total()
        notes = [*plan.notes, *untold_changes(self._prepared.stored)]
        notes += [f"could not be removed: {path}. Remove it by hand." for path in leftovers]
        return RechunkReport(
            source=plan.source,
            target=plan.target,
            arrays=tuple(self._array_report(array) for array in plan.arrays),
            seconds=seconds,
            max_mem=plan.max_mem,
            processes=plan.processes,
            peak_mem=max((a.peak for a in self._accounts.values()), default=0),
            source_bytes=sum(array.source.nbytes for array in plan.arrays),
            source_chunks=sum(array.source.n_chunks for array in plan.arrays),
            source_chunks_read=total.get("chunks_read", 0),
            bytes_read=total.get("bytes_read", 0),
            bytes_written=total.get("bytes_written", 0),
            target_bytes=total.get("target_bytes", 0),
            keys_written=total.get("keys_written", 0),
            keys_empty=total.get("keys_empty", 0),
            blocks=plan.n_blocks if self._update is None else self._update.n_blocks,
            kept_blocks=0 if self._update is None else self._update.kept_blocks,
            resumed_blocks=resumed_blocks,
            verify=plan.verify,
            digest=store_digest(self._digests) if plan.verify == "full" and self._is_whole else None,
            notes=tuple(notes),
            requests=self._requests(meter),
        )

    @property
    def _is_whole(self) -> bool:
        """Whether the digests are those of whole arrays."""
        return self._update is None or not self._update.kept_blocks

    def _requests(self, meter: RunMeter) -> RunRequests | None:
        made = meter.made(self._journal)
        if not made:
            return None
        total = sum(made.values(), Requests())
        return RunRequests(total, made.get("source"), made.get("target"), meter.earlier)

    def _total(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for account in self._accounts.values():
            for key, count in account.counts.items():
                total[key] = total.get(key, 0) + count
        return total

    def _array_report(self, array: ArrayPlan) -> ArrayReport:
        source, target = array.source, array.target
        route = "zarr" if "zarr" in (array.read_route, array.write_route) else array.read_route
        return ArrayReport(
            array.path,
            source.shape,
            source.dtype,
            source.chunks,
            source.shards,
            target.chunks,
            target.shards,
            route,
            len(array.passes),
            self._digests.get(array.path) if self._is_whole else None,
        )

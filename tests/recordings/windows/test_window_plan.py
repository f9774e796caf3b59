"""Windows planned from timestamps: each is within half an EEG frame of the truth, and nothing wrong is valid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.recordings.windows.signals import FRAME, START, Frames, make_frames, with_hole, without
from zarrmill.recordings.windows.reasons import Reason
from zarrmill.recordings.windows.settings import WindowSettings
from zarrmill.recordings.windows.window_plan import WindowPlan, plan_windows

HALF = FRAME / 2


def check_eeg(plan: WindowPlan, frames: Frames) -> NDArray[np.bool_]:
    """Assert that every valid window holds consecutive frames whose true times are its own, and return which are."""
    valid = plan.eeg.reasons == Reason.VALID
    chosen = plan.eeg.frames[valid]
    assert (chosen >= 0).all()
    places = plan.times[valid, None] + plan.eeg_period_ms * np.arange(plan.frames_per_window)
    assert np.abs(frames.truth[chosen] - places).max() < HALF
    # Frames of one window follow each other in truth, whatever was written down.
    assert np.abs(np.diff(frames.truth[chosen], axis=1) - plan.eeg_period_ms).max() < 1.0
    return np.asarray(valid)


def check_reasons(plan: WindowPlan) -> None:
    """Assert that windows begin one period after the other and that there is a reason for every one not valid."""
    assert np.abs(np.diff(plan.times) - plan.period_ms).max() < HALF
    known = {int(reason) for reason in Reason}
    assert set(plan.eeg.reasons.tolist()) <= known
    assert set(plan.fnirs.reasons.tolist()) <= known


def test_without_faults_every_whole_window_is_valid() -> None:
    """Ten minutes of frames give windows of seven, at their true times, all valid."""
    frames = make_frames(20_000)

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    check_reasons(plan)
    assert plan.frames_per_window == 7
    assert valid[:2857].all()
    assert plan.times[0] == START


def test_a_hole_of_ten_seconds_shifts_nothing() -> None:
    """After a hole of 10.5 s windows are where they were in truth, and those in it are not valid."""
    frames = with_hole(make_frames(10_000, jitter=3.0), at=3_333, milliseconds=10_500.0)

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    check_reasons(plan)
    hole = (plan.times + plan.period_ms > frames.truth[3_332] + HALF) & (plan.times < frames.truth[3_333])
    assert not valid[hole].any()
    assert (plan.eeg.reasons[hole] == Reason.GAP).sum() >= 48
    assert valid[~hole][:-1].all()


def test_a_hole_after_which_the_device_began_anew_shifts_nothing() -> None:
    """A hole that is no whole number of frames moves the frames after it, and their windows' times follow."""
    frames = with_hole(make_frames(10_000, jitter=1.0), at=5_000, milliseconds=10_511.0)

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    assert valid.mean() > 0.95
    assert np.abs(plan.eeg.real_times[valid] - plan.times[valid]).max() < 3.0


def test_the_true_period_is_measured() -> None:
    """Windows of 210.6 ms stay with the frames for as long as the recording is, here over 40 minutes."""
    period = 210.6 / 7
    frames = make_frames(80_000, period=period, jitter=2.0)

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    assert plan.period_ms == pytest.approx(210.6, abs=1e-4)
    assert valid[:-1].all()
    assert plan.times[-2] == pytest.approx(frames.truth[plan.eeg.frames[-2, 0]], abs=1.0)


def test_frames_lost_at_the_start_shift_nothing() -> None:
    """48 frames that are missing soon after the start leave all later windows where they were."""
    frames = without(make_frames(5_000, jitter=2.0), slice(20, 68))

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    whole = plan.times > START + 70 * FRAME
    assert valid[whole][:-1].all()
    assert np.abs((plan.times - START) / plan.period_ms - np.arange(plan.count)).max() < 0.05


@pytest.mark.parametrize("ppm", [100.0, -100.0, 1000.0], ids=["slow", "fast", "very slow"])
def test_a_clock_that_drifts_is_followed(ppm: float) -> None:
    """A period that changes over the recording by much more than half a frame in all moves no window off its frames."""
    number = np.arange(100_000)
    truth = START + FRAME * number + FRAME * ppm * 1e-6 * number**2 / (2 * len(number))
    frames = Frames(truth, truth + np.random.default_rng(1).uniform(-3, 3, len(truth)))

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    valid = check_eeg(plan, frames)
    assert valid[:-1].all()
    assert np.abs(plan.times[:-1] - truth[plan.eeg.frames[:-1, 0]]).max() < 3.0


def test_a_duplicate_time_makes_its_window_invalid_alone() -> None:
    """A frame that is stored twice is in no valid window, and no other window is touched."""
    frames = make_frames(2_000)
    twice = np.sort(np.concatenate([np.arange(2_000), [703, 1_200]]))
    doubled = Frames(frames.truth[twice], frames.stored[twice])

    plan = plan_windows(eeg=doubled.stored, fnirs=None)

    check_eeg(plan, doubled)
    assert np.flatnonzero(plan.eeg.reasons == Reason.DUPLICATE_TIMES).tolist() == [703 // 7, 1_200 // 7]
    assert (plan.eeg.reasons[:-1] == Reason.VALID).sum() == 283
    assert any("2 EEG frames have the time of another" in note for note in plan.notes)


@pytest.mark.parametrize("step", [2.0, 32.0, 500.0], ids=["2 ms", "a frame", "half a second"])
def test_a_time_that_runs_backwards_is_never_valid(step: float) -> None:
    """A frame whose time is before that of the one before it is in no valid window."""
    frames = make_frames(2_000)
    stored = frames.stored.copy()
    stored[1_001] = stored[1_000] - step
    faulty = Frames(frames.truth, stored)

    plan = plan_windows(eeg=stored, fnirs=None)

    check_eeg(plan, faulty)
    assert Reason.BACKWARD_TIMES in plan.eeg.reasons
    assert plan.eeg.reasons[1_001 // 7] != Reason.VALID
    assert (plan.eeg.reasons == Reason.VALID).sum() > 280


def test_a_clock_set_back_for_good_leaves_no_wrong_window_valid() -> None:
    """Where two seconds come twice neither reading of them is valid."""
    frames = make_frames(3_000)
    stored = frames.stored.copy()
    stored[1_500:] -= 2_000.0

    plan = plan_windows(eeg=stored, fnirs=None)

    twice = (plan.times > stored[1_500]) & (plan.times + plan.period_ms < stored[1_499])
    assert twice.sum() >= 8
    assert not (plan.eeg.reasons[twice] == Reason.VALID).any()
    assert (plan.eeg.reasons == Reason.VALID).sum() > 400


def test_a_time_far_ahead_costs_one_window() -> None:
    """One frame stamped ten minutes late does not push those after it out."""
    frames = make_frames(3_000)
    stored = frames.stored.copy()
    stored[1_000] += 600_000.0

    plan = plan_windows(eeg=stored, fnirs=None)

    check_eeg(plan, Frames(frames.truth, stored))
    assert plan.count == 429
    assert (plan.eeg.reasons[:428] != Reason.VALID).sum() == 1


def test_times_that_cannot_be_are_left_out() -> None:
    """NaN, infinity and a time in 1970 are told of and make no windows of their own."""
    frames = make_frames(2_000)
    stored = frames.stored.copy()
    stored[[10, 500, 1_500]] = np.nan, np.inf, 0.0

    plan = plan_windows(eeg=stored, fnirs=None)

    check_eeg(plan, Frames(frames.truth, stored))
    assert plan.count == 286
    assert (plan.eeg.reasons == Reason.MISSING_FRAMES).sum() == 4
    assert "3 EEG frames have no time" in plan.notes


def test_jitter_within_half_a_frame_loses_nothing() -> None:
    """Frames up to 12 ms early or late are all found at their places."""
    frames = make_frames(10_000, jitter=12.0)

    plan = plan_windows(eeg=frames.stored, fnirs=None)

    assert check_eeg(plan, frames)[:1_428].mean() > 0.999


def test_a_smaller_tolerance_refuses_what_is_off() -> None:
    """A frame further off than the tolerance makes its window invalid, with that reason."""
    frames = make_frames(2_000)
    stored = frames.stored.copy()
    stored[1_000] += 8.0

    plan = plan_windows(eeg=stored, fnirs=None, settings=WindowSettings(tolerance=0.2))

    assert np.flatnonzero(plan.eeg.reasons[:-1]).tolist() == [1_000 // 7]
    assert plan.eeg.reasons[1_000 // 7] == Reason.OFF_TIME


def test_a_larger_tolerance_takes_the_order_of_frames() -> None:
    """A frame that is nearer to the next place than to its own is put where its order says, when that is tolerated."""
    frames = make_frames(5_000, jitter=4.0)
    stored = frames.stored.copy()
    stored[1_000] = frames.truth[1_000] + 20.0

    usual = plan_windows(eeg=stored, fnirs=None)
    plan = plan_windows(eeg=stored, fnirs=None, settings=WindowSettings(tolerance=2.0))

    check_eeg(plan, frames)
    assert usual.eeg.reasons[142] != Reason.VALID
    assert (plan.eeg.reasons[:714] == Reason.VALID).all()


def test_a_smaller_tolerance_refuses_fnirs_that_is_off() -> None:
    """A frame 80 ms off its place is taken unless a third of a frame is the most; a larger tolerance fills holes."""
    fnirs = make_frames(300, period=210.0, start=START + 105.0)
    fnirs.stored[100] += 80.0
    fnirs = without(fnirs, slice(200, 201))
    plans = {
        tolerance: plan_windows(
            eeg=make_frames(2_100).stored, fnirs=fnirs.stored, settings=WindowSettings(fnirs_tolerance=tolerance)
        )
        for tolerance in (0.3, 0.5, 1.0)
    }

    bad = {tolerance: np.flatnonzero(plan.fnirs.reasons).tolist() for tolerance, plan in plans.items()}
    assert bad == {0.3: [100, 200], 0.5: [200], 1.0: []}


def test_runs_too_short_for_the_filter_are_not_valid() -> None:
    """Half a second between two holes is not valid, unless there is no filter."""
    frames = with_hole(with_hole(make_frames(3_000), at=1_000, milliseconds=3_000.0), at=1_021, milliseconds=3_000.0)

    filtered = plan_windows(eeg=frames.stored, fnirs=None)
    plain = plan_windows(eeg=frames.stored, fnirs=None, settings=WindowSettings(filter=None))

    assert (filtered.eeg.reasons == Reason.SHORT_RUN).sum() == (plain.eeg.reasons == 0).sum() - (
        filtered.eeg.reasons == 0
    ).sum()
    assert (filtered.eeg.reasons == Reason.SHORT_RUN).any()


def test_the_last_frame_is_kept() -> None:
    """The last frame of either device is in the last window."""
    eeg, fnirs = make_frames(700), make_frames(100, period=210.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)

    assert plan.eeg.frames[-1].tolist() == list(range(693, 700))
    assert plan.fnirs.frames[-1] == 99
    assert (plan.eeg.reasons == 0).all()
    assert (plan.fnirs.reasons == 0).all()


def test_the_range_is_the_union() -> None:
    """Windows reach from the first frame of any device to the last; what both cover is a view."""
    eeg = make_frames(700, start=START + 21_000.0)
    fnirs = make_frames(100, period=210.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)

    assert plan.times[0] == pytest.approx(START, abs=1.0)
    assert plan.count == 200
    assert (plan.eeg.reasons[:100] == Reason.OUTSIDE).all()
    assert (plan.fnirs.reasons[100:] == Reason.OUTSIDE).all()
    assert plan.common == (0, 0)


def test_trimming_is_a_view() -> None:
    """The windows that both cover are told by their numbers, and are the only ones when asked for."""
    eeg, fnirs = make_frames(1_400, start=START + 2_100.0), make_frames(200, period=210.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)
    common = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored, settings=WindowSettings(span="common"))

    assert plan.common == (10, 200)
    assert common.count == 190
    assert common.first == 10
    assert common.times.tolist() == plan.times[10:200].tolist()
    assert (common.eeg.reasons == 0).all()


def test_devices_that_never_overlap_are_told_of() -> None:
    """Without a common time both are kept, no window has both, and a note says so."""
    eeg, fnirs = make_frames(700), make_frames(100, period=210.0, start=START + 60_000.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)
    common = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored, settings=WindowSettings(span="common"))

    assert (plan.eeg.reasons == 0).sum() == 100
    assert (plan.fnirs.reasons == 0).sum() == 100
    assert not ((plan.eeg.reasons == 0) & (plan.fnirs.reasons == 0)).any()
    assert any("do not overlap" in note for note in plan.notes)
    assert common.count == 0
    assert any("do not overlap" in note for note in common.notes)


@pytest.mark.parametrize("period", [210.0, 210.6, 292.8, 97.0], ids=str)
def test_without_eeg_every_fnirs_frame_has_a_window(period: float) -> None:
    """fNIRS alone makes windows of its own period where that is about theirs, else of plain time."""
    fnirs = make_frames(500, period=period, jitter=1.0)

    plan = plan_windows(eeg=None, fnirs=fnirs.stored)

    assert not plan.has_eeg
    assert (plan.eeg.reasons == Reason.NO_DEVICE).all()
    assert (plan.fnirs.reasons == 0).all()
    assert plan.times[0] - plan.period_ms / 2 < fnirs.truth[0]
    assert plan.times[-1] + plan.period_ms * 1.5 > fnirs.truth[-1]
    assert period < 200 or {0, 499} <= set(plan.fnirs.frames.tolist())
    assert any("there is no EEG" in note for note in plan.notes)


def test_without_fnirs_its_windows_say_so() -> None:
    """EEG alone leaves fNIRS invalid for want of a device."""
    plan = plan_windows(eeg=make_frames(700).stored, fnirs=None)

    assert (plan.fnirs.reasons == Reason.NO_DEVICE).all()
    assert (plan.fnirs.frames == -1).all()


@pytest.mark.parametrize(
    ("eeg", "fnirs"),
    [(None, None), (np.zeros(0), np.zeros(0)), (np.full(9, np.nan), None)],
    ids=["no device", "no frames", "no times"],
)
def test_without_a_time_there_are_no_windows(
    eeg: NDArray[np.float64] | None, fnirs: NDArray[np.float64] | None
) -> None:
    """A recording without a frame that has a time gives a plan of no windows that says why."""
    plan = plan_windows(eeg=eeg, fnirs=fnirs)

    assert plan.count == 0
    assert "there are no windows: no frame has a time" in plan.notes
    assert plan.to_json()["windows"] == 0


@pytest.mark.parametrize("offset", [0.0, 3.0, 105.0, 205.0], ids=str)
@pytest.mark.parametrize("period", [210.0, 210.6], ids=str)
def test_one_fnirs_frame_per_window_is_found_once(offset: float, period: float) -> None:
    """Frames that come once per window are each in one window, wherever in it they lie, even at its very edge."""
    eeg = make_frames(7_000, period=period / 7, jitter=2.0)
    fnirs = make_frames(1_000, period=period, start=START + offset, jitter=2.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)

    inside = slice(2, 995)
    assert (np.diff(plan.fnirs.frames[inside]) == 1).all()
    assert (plan.fnirs.reasons[inside] == 0).all()
    off = fnirs.truth[plan.fnirs.frames[inside]] - plan.times[inside]
    assert np.abs(off - np.median(off)).max() < HALF


def test_a_missing_fnirs_frame_is_a_gap() -> None:
    """No other frame stands in for one that was lost."""
    eeg = make_frames(7_000)
    fnirs = without(make_frames(1_000, period=210.0), slice(400, 403))

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)

    assert np.flatnonzero(plan.fnirs.reasons).tolist() == [400, 401, 402]
    assert (plan.fnirs.reasons[400:403] == Reason.GAP).all()
    assert np.isnan(plan.fnirs.real_times[400:403]).all()


def test_fnirs_slower_than_windows_is_measured() -> None:
    """9.76 EEG frames per fNIRS frame are told of, and each window has the frame nearest to its middle."""
    eeg, fnirs = make_frames(9_760, jitter=2.0), make_frames(1_000, period=292.8, jitter=2.0)

    plan = plan_windows(eeg=eeg.stored, fnirs=fnirs.stored)

    assert plan.frames_per_fnirs == pytest.approx(9.76, abs=0.001)
    assert any("9.76 EEG frames per fNIRS frame, not 7" in note for note in plan.notes)
    valid = plan.fnirs.reasons == 0
    assert valid.mean() > 0.998
    off = fnirs.truth[plan.fnirs.frames[valid]] - (plan.times[valid] + plan.period_ms / 2)
    assert np.abs(off).max() < 292.8 / 2 + HALF


def test_a_fnirs_time_that_runs_backwards_is_never_valid() -> None:
    """Of two fNIRS frames whose times contradict each other neither is in a valid window."""
    eeg, fnirs = make_frames(7_000), make_frames(1_000, period=210.0)
    stored = fnirs.stored.copy()
    stored[500] = stored[499] - 2.0

    plan = plan_windows(eeg=eeg.stored, fnirs=stored)

    assert (plan.fnirs.reasons[499:501] != 0).all()
    assert (plan.fnirs.reasons[:499] == 0).all()
    assert (plan.fnirs.reasons[501:] == 0).all()


def test_frames_of_a_window_follow_from_its_length() -> None:
    """Twice the length holds twice the frames, and a number that is given counts."""
    times = make_frames(1_400).stored

    assert plan_windows(eeg=times, fnirs=None, settings=WindowSettings(window_ms=420)).frames_per_window == 14
    assert plan_windows(eeg=times, fnirs=None, settings=WindowSettings(frames_per_window=5)).frames_per_window == 5


def test_the_summary_counts_every_window_once() -> None:
    """The counts by reason add up to the windows, for either device."""
    frames = with_hole(make_frames(3_000), at=1_000, milliseconds=2_000.0)

    summary = plan_windows(eeg=frames.stored, fnirs=make_frames(200, period=210.0).stored).to_json()

    assert sum(summary["eeg"].values()) == sum(summary["fnirs"].values()) == summary["windows"]


@pytest.mark.parametrize("span", ["union", "common"])
def test_devices_of_other_years_make_no_windows(span: Any) -> None:
    """Times in seconds are fifty years away: that is told, and no 8e9 windows lie between them."""
    eeg, fnirs = make_frames(700).stored, make_frames(100, period=210.0).stored / 1000

    plan = plan_windows(eeg=eeg, fnirs=fnirs, settings=WindowSettings(span=span))

    assert plan.count == 0
    assert any("days apart: the times of one of them are wrong" in note for note in plan.notes)

"""Why a window is not valid: one small number per window and modality, stored with what each number means."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reasons = NDArray[np.int8]
"""A Reason per window."""


class Reason(IntEnum):
    """Why one modality of a window is not valid; numbers are stored, so that they only ever grow."""

    VALID = 0
    NO_DEVICE = 1
    OUTSIDE = 2
    GAP = 3
    MISSING_FRAMES = 4
    OFF_TIME = 5
    DUPLICATE_TIMES = 6
    BACKWARD_TIMES = 7
    SHORT_RUN = 8
    NOT_FINITE = 9

    @property
    def text(self) -> str:
        """What it means, for people."""
        return TEXTS[self]


TEXTS = {
    Reason.VALID: "valid",
    Reason.NO_DEVICE: "the recording has no such device",
    Reason.OUTSIDE: "before the device's first frame or after its last",
    Reason.GAP: "no frame at all: the device was silent",
    Reason.MISSING_FRAMES: "some frames but not all",
    Reason.OFF_TIME: "a frame further from its place than the tolerance",
    Reason.DUPLICATE_TIMES: "two frames of one time: which is right is not known",
    Reason.BACKWARD_TIMES: "a frame whose time runs backwards falls here",
    Reason.SHORT_RUN: "in a run too short for the filter",
    Reason.NOT_FINITE: "no channel with finite values throughout, in a run long enough for the filter",
}


def flag_attributes() -> dict[str, Any]:
    """Return the attributes that tell readers what the numbers mean (CF conventions).

    >>> flag_attributes()["flag_meanings"].split()[3]
    'gap'
    """
    return {
        "flag_values": [int(reason) for reason in Reason],
        "flag_meanings": " ".join(reason.name.lower() for reason in Reason),
    }


def count_reasons(reasons: Reasons) -> dict[str, int]:
    """Return how many windows there are of each reason, those alone that occur.

    >>> count_reasons(np.array([0, 0, 3], dtype=np.int8))
    {'valid': 2, 'gap': 1}
    """
    found = np.bincount(reasons, minlength=len(Reason)).tolist()
    return {reason.name.lower(): found[reason] for reason in Reason if found[reason]}

"""Every way in which a curated file can be damaged, by name: each turns a whole file into one that has just this fault.

The files to damage are those of ``write_curated`` with its usual numbers of tasks, elements and segments, and damages
of signals need EEG in the present layout. Several damages of one file are fine where they are of different datasets.

>>> DAMAGES["bad_json"].problems
(('bad_json', 'events/element_sent/data', 1),)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from zarrmill.testing.damage_model import Damage
from zarrmill.testing.damaged_files import FILE_DAMAGES
from zarrmill.testing.damaged_input import INPUT_DAMAGES
from zarrmill.testing.damaged_meaning import MEANING_DAMAGES
from zarrmill.testing.damaged_signals import SIGNAL_DAMAGES

__all__ = ["DAMAGES", "Damage"]

DAMAGES: Mapping[str, Damage] = MappingProxyType({**INPUT_DAMAGES, **MEANING_DAMAGES, **SIGNAL_DAMAGES, **FILE_DAMAGES})
"""All damages by name."""

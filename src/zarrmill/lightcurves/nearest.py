"""What somebody may have meant who named something unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from zarrmill.errors import UnknownNameError

MOST = 3
"""Names that are offered."""
MOST_LISTED = 10
"""Names that are listed where none is near."""


def find_nearest(name: object, known: Iterable[object]) -> tuple[object, ...]:
    """Return the known names closest to an unknown one: numbers by distance, text by likeness whatever its case.

    >>> find_nearest("Flux_g", ["flux_r", "flux_g", "time"]), find_nearest(12, [1, 10, 15, 99])
    (('flux_g', 'flux_r'), (10, 15, 1))
    """
    names = list(dict.fromkeys(known))
    if isinstance(name, int):
        number = name
        numbers = [n for n in names if isinstance(n, int)]
        return tuple(sorted(numbers, key=lambda n: (abs(n - number), n))[:MOST])
    by_text = {str(n).lower(): n for n in reversed(names)}
    return tuple(by_text[text] for text in difflib.get_close_matches(str(name).lower(), by_text, n=MOST))


def unknown_name(name: object, known: Sequence[object], *, what: str, where: str) -> UnknownNameError:
    """Return the error for an unknown name; ``what`` it should be the name of and ``where`` it was looked for.

    >>> print(unknown_name("flx", ["flux", "time"], what="column", where="night.fits"))
    night.fits: there is no column 'flx'. Did you mean 'flux'?
    """
    near = find_nearest(name, known)
    if near:
        remedy = f"Did you mean {_join(near, 'or')}?"
    elif len(known) > MOST_LISTED:
        remedy = f"There are {', '.join(map(repr, known[:MOST_LISTED]))} and more."
    else:
        remedy = f"There are {_join(known, 'and')}." if known else "There is none at all."
    return UnknownNameError(f"{where}: there is no {what} {name!r}. {remedy}")


def _join(names: Sequence[object], word: str) -> str:
    *most, last = map(repr, names)
    return f"{', '.join(most)} {word} {last}" if most else last

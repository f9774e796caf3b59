"""A digest of array values that does not depend on how the array is chunked.

Every value is one or more unsigned words; every index of every axis has an odd 64-bit weight. The digest is the sum
over all words of the word times the product of its axis weights, modulo 2**64, in two lanes with different weights;
shape and dtype enter its text. A sum may be taken in any order and in any parts, so each block, chunk, process or host
adds its own `Share`.

It guards against faults (values lost, moved, swapped, stale or flipped), not against forgery: two arrays
with one digest can be made on purpose. Bits count: -0.0 differs from 0.0, and one NaN from another.

Words. An 8-byte word is folded first, ``v ^= v >> 32``: odd weights leave the top bit of a word alone, so without the
fold an even number of sign flips would pass unseen. Two neighbours of 4 bytes on the last axis, an even and the next
odd index, are one word, the even one low, each folded before by ``v ^= v >> 16``; its weight is that of half the index.
Smaller words are zero-extended. A complex value is two words, a fixed-size record (``S``, ``U``, ``V``, structured
without its padding) is words of 8, 4 or 1 bytes, the largest that divide it, little-endian; both on an extra last axis.
A string of any length is one word, the 64-bit blake2b of its UTF-8 bytes. A 0-d array counts as one of length 1.

The weights are those of `zarrmill.digest_weights`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
import operator
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zarrmill.digest_weights import MASK, RUNS, Lanes, Span, Weights, multiply_weights, sum_indices, sum_pairs, weigh

Indices = tuple[int, ...]
Slices = tuple[slice, ...]
Words = NDArray[Any]  # unsigned integers of 1, 2, 4 or 8 bytes, in either byte order

_FOLD, _HALF_FOLD = np.uint64(32), np.uint32(16)
_PIECE = 32_768  # words, 256 KiB: a piece stays in a second-level cache, and numpy's cost per call is spread
_PIECES = 8  # as many share one look-up of weights
_MIN_ROW = 64  # shorter ones cost einsum more for the row than for its words; all rows of a box have 96 KiB of weights
_MAX_ROW = 4_096  # longer ones have more than 64 KiB of weights
_CONVERTED = 65_536  # bytes converted at a time where values cannot be viewed as words


@dataclass(frozen=True, slots=True)
class Share:
    """What some part of an array adds to the digest of the whole; shares of disjoint parts add up in any order.

    >>> Share.from_json((Share(2**64 - 1, 1) + Share(3, 4)).to_json())
    Share(first=2, second=5)
    """

    first: int
    """Lane 0, in [0, 2**64)."""
    second: int
    """Lane 1, in [0, 2**64)."""

    @classmethod
    def zero(cls) -> Share:
        """Return the share of no values, the start of a sum."""
        return cls(0, 0)

    def __add__(self, other: Share) -> Share:
        return Share((self.first + other.first) & MASK, (self.second + other.second) & MASK)

    def to_json(self) -> str:
        """Return 32 hexadecimal digits, lane 0 first."""
        return f"{self.first:016x}{self.second:016x}"

    @classmethod
    def from_json(cls, text: str) -> Share:
        """Return the share that `to_json` wrote; any other text is a ``ValueError``."""
        if len(text) != 32 or not set(text) <= set("0123456789abcdef"):
            raise ValueError(f"a digest share is 32 hexadecimal digits, not {text!r}")
        return cls(int(text[:16], 16), int(text[16:], 16))


@dataclass(frozen=True, slots=True)
class ArrayDigest:
    """The digest of one array: takes the shares of regions and turns their sum into text.

    It is two plain values, cheap to make and to pickle, and any number of threads may use one at once. Scratch memory
    (448 KiB per thread) and cached weights (at most 6 MiB per process) belong to the module and serve every array.

    >>> values = np.arange(6.0).reshape(2, 3)
    >>> digest = ArrayDigest((2, 3), "f8")
    >>> total = digest.share(values[:, :2], (0, 0)) + digest.share(values[:, 2:], (0, 2))
    >>> total == digest.share(values, (0, 0)), digest.text(total)
    (True, 'zm1:e642242122dd75b3a156aa2de4c928a8')
    >>> digest.fill_share(np.float64(7), (1, 0), (2, 3)) == digest.share(np.full((1, 3), 7.0), (1, 0))
    True
    """

    shape: Indices
    """Shape of the whole array."""
    dtype: str
    """Name of the logical dtype, such as ``f8`` or ``string``; a leading byte-order mark is dropped."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(map(int, self.shape)))
        object.__setattr__(self, "dtype", self.dtype.lstrip("<>=|"))

    def share(self, values: NDArray[Any], origin: Indices) -> Share:
        """Return the share of the region of ``values`` whose first index is ``origin``.

        Any size, strides and byte order serve, and nothing is written to ``values``. Adjoining chunks are best taken
        as one region: a call costs 15 to 20 us, a value 2 to 3 ns. A region that is not inside the array is a
        ``ValueError``; values without fixed bits (objects but str and bytes, long doubles) are a ``TypeError``.
        """
        values = np.asarray(values)
        self._check_region(origin, values.shape)
        return Share(*_sum_values(values, origin))

    def fill_share(self, fill: NDArray[Any] | np.generic, start: Indices, stop: Indices) -> Share:
        """Return the share of a region in which every value is ``fill``, in microseconds whatever its size.

        ``fill`` is a 0-d array of the array's dtype, or a scalar that keeps it: ``np.str_`` and ``np.bytes_``, which
        lose their width, and Python's own are a ``TypeError``. Else it raises what `share` raises.
        """
        if not hasattr(fill, "dtype") or isinstance(fill, np.character):
            raise TypeError(f"the fill value must be a 0-d array of the array's dtype, not {type(fill).__name__}")
        self._check_region(start, tuple(map(operator.sub, stop, start)))
        # At index 0 every weight is 1, so that the share of a lone value there is its bare bits.
        first, second = _sum_values(np.asarray(fill).reshape((1,) * len(start)), (0,) * len(start))
        for axis, (low, high) in enumerate(zip(start, stop, strict=True)):
            paired = axis == len(start) - 1 and _is_paired(np.asarray(fill).dtype)
            weights = (sum_pairs(axis, low, high) if paired else sum_indices(axis, low, high)).tolist()
            first, second = first * weights[0] & MASK, second * weights[1] & MASK
        return Share(first, second)

    def text(self, total: Share) -> str:
        """Return the digest of an array whose shares add up to ``total``: ``zm1:`` and 32 hexadecimal digits."""
        claim = f"{self.dtype} ({','.join(map(str, self.shape))}) {total.to_json()}"
        return "zm1:" + hashlib.blake2b(claim.encode(), digest_size=16).hexdigest()

    def _check_region(self, start: Indices, lengths: Indices) -> None:
        fits = len(start) == len(lengths) == len(self.shape)
        for index, length, limit in zip(start, lengths, self.shape, strict=False):
            fits = fits and 0 <= index <= index + length <= limit
        if not fits:
            raise ValueError(f"a region of {lengths} from {start} is not inside an array of shape {self.shape}")


@functools.lru_cache(maxsize=256)
def _read(dtype: np.dtype[Any]) -> tuple[np.dtype[Any] | None, bool, np.dtype[Any] | None]:
    """Return the dtype of words (None: hash as text), whether a value is several, and what to convert it to first."""
    if dtype.kind in "OT":
        return None, False, None
    if dtype.hasobject or dtype.char in "gG":
        raise TypeError(f"values of dtype {dtype} have no fixed bits to digest")
    if not issubclass(dtype.type, np.flexible):
        words = 2 if dtype.kind == "c" else 1
        order = ">" if dtype.str[0] == ">" else "<"
        return np.dtype(f"{order}u{dtype.itemsize // words}"), words > 1, None
    packed = _pack(dtype)
    size = next(size for size in (8, 4, 1) if packed.itemsize % size == 0)
    return np.dtype(f"<u{size}"), True, None if packed == dtype else packed


def _pack(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a record dtype in little-endian order and without padding, whose bytes are not part of the value."""
    if dtype.names:
        return np.dtype([(name, _pack(dtype[name])) for name in dtype.names])
    base, shape = dtype.subdtype or (dtype, None)
    return dtype.newbyteorder("<") if shape is None else np.dtype((_pack(base), shape))


def _hash_text(value: object) -> int:
    # A lone surrogate is no valid text, but its loss is a fault all the same.
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not isinstance(data, bytes):
        raise TypeError(f"a value of type {type(value).__name__} is neither str nor bytes and has no digest")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _is_paired(dtype: np.dtype[Any]) -> bool:
    """Tell whether two neighbours are one word."""
    word, split, _ = _read(dtype)
    return word is not None and word.itemsize == 4 and not split


def _iter_pairs(halves: Words, origin: Indices) -> Iterator[tuple[Words, Indices]]:
    """Yield neighbours of 4 bytes as words: in one view where they lie side by side, else copied some at a time."""
    if origin[-1] % 2 == halves.shape[-1] % 2 == 0 and halves.strides[-1] == 4 and halves.dtype.isnative:
        yield halves.view(np.uint64), (*origin[:-1], origin[-1] // 2)
        return
    for start, box in _iter_boxes(halves.shape, origin, limit=_CONVERTED // 8):
        part = halves[box]
        lead, length = start[-1] % 2, part.shape[-1]
        padded = np.zeros((*part.shape[:-1], lead + length + (lead + length) % 2), np.uint32)
        padded[..., lead : lead + length] = part
        yield padded.view(np.uint64), (*start[:-1], start[-1] // 2)


def _iter_words(values: NDArray[Any], origin: Indices) -> Iterator[tuple[Words, Indices]]:
    """Yield all values as words: in one view where their bytes serve as they are, else converted some at a time."""
    word, split, packed = _read(values.dtype)
    if not values.nbytes:
        return
    if not values.ndim:
        values, origin = values.reshape(1), (0,)
    if split:
        values, origin = values[..., None], (*origin, 0)
    if word is not None and _is_paired(values.dtype):
        yield from _iter_pairs(values.view(word), origin)
        return
    if word is not None and packed is None:
        yield values.view(word), origin
        return
    for start, box in _iter_boxes(values.shape, origin, limit=max(1, _CONVERTED // values.itemsize)):
        part = values[box]
        if word is None:
            yield np.fromiter(map(_hash_text, part.flat), np.uint64, part.size).reshape(part.shape), start
        else:
            yield part.astype(packed).view(word), start


def _sum_values(values: NDArray[Any], origin: Indices) -> Lanes:
    first = second = 0
    halves = _is_paired(values.dtype)
    for words, start in _iter_words(values, origin):
        axes: Indices = tuple(range(words.ndim))
        if not words.flags.c_contiguous:
            # A sum takes its axes in any order, and memory order is the fast one.
            axes = tuple(sorted(axes, key=[-abs(stride) for stride in words.strides].__getitem__))
            words, start = words.transpose(axes), tuple(start[axis] for axis in axes)
        boxes = _iter_boxes(words.shape, start, limit=_PIECE, times=_PIECES) if words.size > _PIECE else [(start, ())]
        for low, box in boxes:
            lanes = _sum_box(words[box], axes, low, halves=halves)
            first, second = first + lanes[0], second + lanes[1]
    return first & MASK, second & MASK


def _iter_boxes(shape: Indices, start: Indices, *, limit: int, times: int = 1) -> Iterator[tuple[Indices, Slices]]:
    """Yield boxes that cover ``shape`` in C order, as the first index, counted from ``start``, and slices.

    A box is at most ``times`` pieces of at most ``limit`` values along the first of its axes that is longer than 1.
    Cuts of an axis that `_plan_form` cuts into runs fall between them.
    """
    inner, axis = 1, len(shape) - 1
    while axis and inner * shape[axis] <= limit:
        inner *= shape[axis]
        axis -= 1
    step = max(1, limit // inner)
    if inner < _MIN_ROW:
        step -= step % next((run for run in RUNS if run <= step), 1)
    step *= times
    cuts = [0, *range(step - start[axis] % step, shape[axis], step), shape[axis]]
    for lead in itertools.product(*map(range, shape[:axis])):
        for low, high in itertools.pairwise(cuts):
            first = (*map(operator.add, start, lead), start[axis] + low, *start[axis + 1 :])
            yield first, (*(slice(i, i + 1) for i in lead), slice(low, high))


class _Form(NamedTuple):
    """How a box becomes rows of words: a run of one axis times all later axes is a row."""

    dims: Indices  # shape of the box without its axes of length 1
    axis: int  # position in dims of the axis that is cut into runs
    run: int  # length of a run; 1 where the whole axis is in one row
    pad: int  # zeros before the first index of that axis, to make its first run whole
    step: int  # length of the piece of the first axis that is loaded at a time
    inner: tuple[Span, ...]  # what the words of a row are multiplied by
    rows: tuple[Span, ...]  # what the rows are multiplied by


@functools.lru_cache(maxsize=512)
def _plan_form(spans: tuple[tuple[int, int, int], ...]) -> _Form:
    """Return the form of a box that spans (axis, start, length), with rows of 64 to 4096 words if it is that large.

    The rows of a long axis are aligned runs, which have the same weights wherever they lie. A run is at most a quarter
    of the axis, so that padding it to whole runs adds less than half.

    >>> _plan_form(((0, 1000, 1500), (2, 0, 8)))[2:]
    (64, 40, 4096, ((0, 1, 0, 64), (2, 1, 0, 8)), ((0, 64, 15, 40),))
    """
    dims = tuple(length for _, _, length in spans)
    size, at = 1, len(dims) - 1
    while at and size * dims[at] < _MIN_ROW:
        size *= dims[at]
        at -= 1
    axis, start, length = spans[at]
    whole, run = (axis, 1, start, start + length), 1
    rows = tuple((a, 1, i, i + n) for a, i, n in spans[:at])
    if size * length > _MAX_ROW:
        run = next(run for run in RUNS if size * run <= _MAX_ROW and 4 * run <= length)
        whole = (axis, 1, 0, run)
        rows = (*rows, (axis, run, start // run, -(-(start + length) // run)))
    step = _PIECE // math.prod(dims[1:])
    inner = (whole, *((a, 1, i, i + n) for a, i, n in spans[at + 1 :]))
    return _Form(dims, at, run, start % run, step if at else step - step % run, inner, rows)


def _sum_box(words: Words, axes: Indices, start: Indices, *, halves: bool) -> Lanes:
    every = list(zip(axes, start, words.shape, strict=True))
    form = _plan_form(tuple([span for span in every if span[2] > 1]) or ((0, 0, 1),))
    words = words.reshape(form.dims)
    weights = multiply_weights(form.inner)
    if form.rows:
        row_weights = multiply_weights(form.rows)
        sums, done = np.empty_like(row_weights), 0
        # Where the first axis itself is cut into runs, only its first piece is padded in front.
        for low in range(0 if form.axis else -form.pad, form.dims[0], form.step):
            part = words[max(low, 0) : low + form.step]
            rows = _load(part, form, form.pad if form.axis else max(-low, 0), halves=halves).reshape(
                -1, weights.shape[1]
            )
            np.einsum("ij,lj->li", rows, weights, out=sums[:, done : done + len(rows)])
            done += len(rows)
        first, second = np.einsum("li,li->l", sums, row_weights).tolist()
    else:
        first, second = weights.dot(
            _load(words, form, 0, halves=halves)
        ).tolist()  # dearer per word than einsum, cheaper per call
    for axis, index, length in every:
        if length == 1:
            weight = weigh(axis, index)
            first, second = first * weight[0] & MASK, second * weight[1] & MASK
    return first, second


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.words = np.empty(_PIECE + _PIECE // 2, np.uint64)
        self.high = np.empty(_PIECE // 4, np.uint64)


_scratch = _Scratch()


def _load(words: Words, form: _Form, pad: int, *, halves: bool) -> Weights:
    """Return the words, folded, in scratch in C order, with zeros around them that make up whole runs."""
    shape, axis, length = words.shape, form.axis, words.shape[form.axis]
    padded = -(-(pad + length) // form.run) * form.run
    room = _scratch.words[: words.size // length * padded]
    target = room.reshape(*shape[:axis], padded, *shape[axis + 1 :])
    if padded > length:
        lead = (slice(None),) * axis
        target[(*lead, slice(pad))] = target[(*lead, slice(pad + length, None))] = 0
        target = target[(*lead, slice(pad, pad + length))]
    if words.itemsize < 8:
        np.copyto(target, words)
    elif words.flags.c_contiguous and words.dtype.isnative:
        _fold(words, target, shifted=target, halves=halves)
    else:
        np.copyto(target, words)
        for low in range(0, room.size, _scratch.high.size):
            part = room[low : low + _scratch.high.size]
            _fold(part, part, shifted=_scratch.high[: part.size], halves=halves)
    return room


def _fold(words: Words, target: Words, *, shifted: Words, halves: bool) -> None:
    """Set words to their high bits on their low ones, each of the two halves of a word by itself where it has two.

    ``shifted`` is room for the high bits: another than that of ``words``.
    """
    if halves:
        words, target, shifted = (part.view(np.uint32) for part in (words, target, shifted))
    np.right_shift(words, _HALF_FOLD if halves else _FOLD, out=shifted)
    np.bitwise_xor(words, shifted, out=target)

"""The weights of a digest: odd 64-bit numbers of the indices of each axis, made from a few small vectors.

The weight of an index is the product of one mixed number for each of its bit fields 0-3, 4-5, 6-9, 10-19, 20-29 and so
on; a field that is 0 has 1. So the weights of a long axis repeat from block to block up to a factor,
``weight(1024 * b + i) == weight(1024 * b) * weight(i)``, and the vectors that serve any array stay in cache.
"""

from __future__ import annotations

import functools
import hashlib
import itertools

import numpy as np
from numpy.typing import NDArray

Lanes = tuple[int, int]
Span = tuple[int, int, int, int]
"""Axis, step, start and stop: the indices step * start to step * stop."""
Weights = NDArray[np.uint64]
"""(2, n): one row per lane."""

MASK = 2**64 - 1
RUNS = (1024, 64, 16)
"""Lengths n with weight(n * j + i) == weight(n * j) * weight(i) for i < n."""
_RADIX = 1024
_FIELDS = ((16, 6), (4, 4), (16, 0))  # of an index below 1024: how many numbers, and from which bit on
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, which spreads neighbouring numbers
# Shifts and factors of two bijections in which each bit acts on all: splitmix64 (Stafford's variant 13), MurmurHash3.
_MIXERS = ((30, 0xBF58476D1CE4E5B9, 27, 0x94D049BB133111EB, 31), (33, 0xFF51AFD7ED558CCD, 33, 0xC4CEB9FE1A85EC53, 33))
_HALF = np.uint64(32)  # bits of half a word


@functools.lru_cache(maxsize=40)
def multiply_weights(spans: tuple[Span, ...]) -> Weights:
    """Return the products of the weights of the spans, the last span running fastest; at most 96 KiB."""
    return functools.reduce(_outer, itertools.starmap(_weights, spans)).copy()


def _outer(slow: Weights, fast: Weights) -> Weights:
    return np.einsum("li,lj->lij", slow, fast).reshape(2, -1)  # type: ignore[no-any-return]


def _weights(axis: int, step: int, start: int, stop: int) -> Weights:
    """Return the weights of the indices ``step * start`` to ``step * stop`` in steps of 1, 16, 64 or 1024**n."""
    level = (step.bit_length() - 1) // 10
    digits = _digit_weights(axis, level)[:, :: step >> 10 * level]
    count = digits.shape[1]
    low, high = start // count, -(-stop // count)
    if high == 1:
        return digits[:, start:stop]
    upper = _weights(axis, _RADIX ** (level + 1), low, high)
    return _outer(upper, digits)[:, start - low * count : stop - low * count]


@functools.lru_cache(maxsize=2048)
def weigh(axis: int, index: int, level: int = 0) -> Lanes:
    """Return the weight of ``index * 1024**level``."""
    high, low = divmod(index, _RADIX)
    first, second = _digit_weights(axis, level)[:, low].tolist()
    upper = weigh(axis, high, level + 1) if high else (1, 1)
    return upper[0] * first & MASK, upper[1] * second & MASK


@functools.lru_cache(maxsize=1024)
def _sum_weights(axis: int, level: int, stop: int) -> Weights:
    """Return the sum of the weights below ``stop`` in steps of ``1024**level``, in a time that hardly grows with it."""
    if not stop:
        return np.zeros(2, np.uint64)
    digits = _digit_weights(axis, level)
    high, low = divmod(stop, _RADIX)
    rest = np.array(weigh(axis, high, level + 1), np.uint64) * digits[:, :low].sum(axis=1)
    return rest + _sum_weights(axis, level + 1, high) * digits.sum(axis=1)  # type: ignore[no-any-return]


def sum_indices(axis: int, start: int, stop: int) -> Weights:
    """Return the sum of the weights of the indices from ``start`` to ``stop``."""
    return _sum_weights(axis, 0, stop) - _sum_weights(axis, 0, start)


def sum_pairs(axis: int, start: int, stop: int) -> Weights:
    """Return the same where two indices share a weight, and a value at the odd one is the upper half of a word."""
    even, odd = sum_indices(axis, (start + 1) // 2, (stop + 1) // 2), sum_indices(axis, start // 2, stop // 2)
    return even + (odd << _HALF)


@functools.lru_cache(maxsize=64)
def _digit_weights(axis: int, level: int) -> Weights:
    """Return the weights of ``digit * 1024**level``: 16 KiB."""
    fields = ((_RADIX, 10 * level),) if level else _FIELDS
    return functools.reduce(_outer, (_mix(f"{axis} {bit}", count) for count, bit in fields))


def _mix(name: str, count: int) -> Weights:
    """Return ``count`` numbers in each lane, the first of them 1."""
    seeds = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=16).digest(), "<u8")
    lanes: Weights = np.arange(count, dtype=np.uint64) * _GOLDEN + seeds[:, None]
    for lane, mixer in zip(lanes, np.array(_MIXERS, np.uint64), strict=True):
        for shift, factor in zip(mixer[::2], (*mixer[1::2], np.uint64(1)), strict=True):
            lane ^= lane >> shift
            lane *= factor
    lanes |= np.uint64(1)
    lanes[:, 0] = 1
    lanes[:, 1] ^= ~lanes.sum(axis=1) & np.uint64(2)  # to 2 modulo 4, so that a fault in all values keeps its bits
    return lanes

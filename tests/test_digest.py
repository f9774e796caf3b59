"""The digest of array values: its definition, what it sees, and what it does not depend on."""

from __future__ import annotations

import doctest
import functools
import hashlib
import importlib
import pickle
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zarrmill.digest import ArrayDigest, Share

Array = NDArray[Any]

MASK = 2**64 - 1
PADDED = np.dtype([("a", "i1"), ("b", "<f8"), ("c", "<u2", (2,))], align=True)
NESTED = np.dtype([("x", ">i4"), ("y", [("z", "S3"), ("t", "<M8[s]")])])
PLAIN_DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "M8[ns]", "m8[D]"]
SPLIT_DTYPES = ["c8", "c16", "S1", "S8", "S12", "U1", "U2", "U5", "V3", "V16", PADDED, NESTED]
DTYPES = [np.dtype(name) for name in PLAIN_DTYPES + SPLIT_DTYPES]
SHAPES = [
    (), (1,), (7,), (1, 1), (3, 1, 7), (5000,), (70_000,), (900, 3), (300, 40), (70, 60, 2), (2, 3, 700, 8),
    (3, 200, 20), (4, 9000), (2, 70, 1000),
]  # fmt: skip


def take_words(values: Array) -> Array:
    """Return the words of values by the definition, on an extra last axis unless each value is one word by nature."""
    if values.dtype.kind in "OT":
        return np.array([hash_text(value) for value in values.flat], np.uint64).reshape(values.shape)
    size = get_word_size(values.dtype)
    words = np.frombuffer(get_bytes(values), f"<u{size}").astype(np.uint64)
    words = words.reshape(*values.shape, -1) if values.dtype.kind in "cSUV" else words.reshape(values.shape)
    if size == 8:
        return words ^ (words >> np.uint64(32))
    return words ^ (words >> np.uint64(16)) if is_paired(values.dtype) else words


def is_paired(dtype: np.dtype[Any]) -> bool:
    """Tell whether two neighbours are the halves of one word."""
    return dtype.itemsize == 4 and dtype.kind in "iuf"


def hash_text(value: str | bytes) -> int:
    """Return the word of a string."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    word = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
    return word ^ word >> 32


def get_bytes(values: Array) -> bytes:
    """Return the bytes of values in little-endian order, those of a record field by field."""
    if values.dtype.names:
        # One-element arrays: a scalar of kind S would lose its trailing zeros.
        ones = values.reshape(-1)[:, None]
        return b"".join(get_bytes(one[name]) for one in ones for name in values.dtype.names)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def get_word_size(dtype: np.dtype[Any]) -> int:
    """Return the bytes of a word of a dtype other than text."""
    size = len(get_bytes(np.zeros(1, dtype)))
    return next(n for n in (8, 4, 1) if size % n == 0) if dtype.kind in "SUV" else size // (1 + (dtype.kind == "c"))


@functools.cache
def mix(lane: int, axis: int, bit: int, count: int) -> list[int]:
    """Return the numbers of one bit field."""
    seed = hashlib.blake2b(f"{axis} {bit}".encode(), digest_size=16).digest()[8 * lane : 8 * lane + 8]
    numbers = []
    for i in range(count):
        x = (i * 0x9E3779B97F4A7C15 + int.from_bytes(seed, "little")) & MASK
        if lane == 0:
            x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & MASK
            x = (x ^ x >> 27) * 0x94D049BB133111EB & MASK
            x ^= x >> 31
        else:
            x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & MASK
            x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & MASK
            x ^= x >> 33
        numbers.append(x | 1)
    numbers[0] = 1
    if sum(numbers) % 4 == 0:
        numbers[1] ^= 2
    return numbers


def get_weight(lane: int, axis: int, indices: Array) -> Array:
    """Return the weight of each of some indices; overflow is meant."""
    weight = np.ones(len(indices), np.uint64)
    longest = int(indices.max(initial=0)).bit_length()
    for bit, count in [(0, 16), (4, 4), (6, 16), *((bit, 1024) for bit in range(10, longest, 10))]:
        weight *= np.array(mix(lane, axis, bit, count), np.uint64)[indices >> bit & count - 1]
    return weight


@functools.lru_cache(maxsize=100)
def get_weights(lane: int, axis: int, start: int, length: int) -> Array:
    """Return the weights of successive indices."""
    return get_weight(lane, axis, np.arange(start, start + length))


def get_pair_weights(lane: int, axis: int, start: int, length: int) -> Array:
    """Return the weights of successive indices of which two share one word."""
    indices = np.arange(start, start + length)
    return get_weight(lane, axis, indices // 2) << (32 * (indices % 2)).astype(np.uint64)


def brute_force(values: Array, origin: tuple[int, ...]) -> Share:
    """Return the share by the definition."""
    if values.ndim == 0:
        values, origin = values.reshape(1), (0,)
    words = take_words(values)
    lanes = []
    for lane in (0, 1):
        product = words
        for axis, (start, length) in enumerate(zip((*origin, 0), words.shape, strict=False)):
            weights = get_weights(lane, axis, start, length)
            if is_paired(values.dtype) and axis == values.ndim - 1:
                weights = get_pair_weights(lane, axis, start, length)
            product = product * weights.reshape(-1, *(1,) * (words.ndim - axis - 1))
        lanes.append(int(product.sum(dtype=np.uint64)))
    return Share(*lanes)


def make_values(dtype: np.dtype[Any], shape: tuple[int, ...], *, seed: int = 0) -> Array:
    """Return values whose bytes are random, so that every bit counts."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind == "U":
        codes = rng.integers(1, 0x10FFFF, (*shape, dtype.itemsize // 4), np.uint32) & np.uint32(0xFF)
        return codes.astype(np.dtype("u4").newbyteorder(dtype.byteorder)).view(dtype)[..., 0]
    return rng.integers(0, 256, (*shape, dtype.itemsize), np.uint8).view(dtype)[..., 0]


def get_share(values: Array, origin: tuple[int, ...] | None = None) -> Share:
    """Return the share of values in an array that is large enough."""
    return ArrayDigest((10**8,) * values.ndim, "x").share(values, origin or (0,) * values.ndim)


def digest(values: Array) -> str:
    """Return the digest of a whole array."""
    whole = ArrayDigest(values.shape, values.dtype.str)
    return whole.text(whole.share(values, (0,) * values.ndim))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_share_is_the_sum_of_weighted_words(dtype):
    """Values of every dtype enter by their bits, wherever they lie."""
    values = make_values(dtype, (5, 3, 4))

    assert get_share(values, (1021, 0, 70_000)) == brute_force(values, (1021, 0, 70_000))


@pytest.mark.parametrize("dtype", ["u1", "u4", "f8", "c8", "S9"], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_share_of_every_shape(shape, dtype):
    """Small, long, flat and deep regions give the sum by the definition, aligned or not."""
    values = make_values(np.dtype(dtype), shape)
    for start in (0, 1, 1023):
        origin = tuple(start + axis for axis in range(len(shape)))
        assert get_share(values, origin) == brute_force(values, origin)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_parts_add_up(dtype):
    """The shares of any cut of an array add up to that of the whole."""
    values = make_values(dtype, (40, 30, 3))
    array = ArrayDigest(values.shape, "x")
    parts = [array.share(values[a:b, c:d], (a, c, 0)) for a, b in ((0, 7), (7, 40)) for c, d in ((0, 29), (29, 30))]

    assert sum(parts, Share.zero()) == array.share(values, (0, 0, 0))


def test_order_of_parts_is_free():
    """Shares add up in any order."""
    shares = [Share(2**64 - 1, 5), Share(7, 2**63), Share(1, 2**63)]

    assert sum(shares, Share.zero()) == sum(reversed(shares), Share.zero()) == Share(7, 5)


FILL_SHAPES = {"small": (3, 2, 1), "long": (5000, 1, 2), "across digits": (1, 1100, 3), "empty": (0, 4, 2)}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", FILL_SHAPES.values(), ids=FILL_SHAPES)
def test_fill_is_the_share_of_a_filled_region(shape, dtype):
    """A region of one value needs no array of it."""
    fill = make_values(dtype, (1,), seed=3)[0:1].reshape(())
    start = (1000, 15, 64)
    stop = tuple(np.add(start, shape).tolist())

    expected = get_share(np.full(shape, fill, dtype), start)
    assert ArrayDigest((10_000,) * 3, "x").fill_share(fill, start, stop) == expected


def test_fill_of_a_vast_region_is_cheap():
    """The time of a fill does not depend on the size of the region."""
    array, half = ArrayDigest((2**50, 2**40), "f4"), 2**49 + 12345
    fill = np.float32(1.5)
    parts = array.fill_share(fill, (0, 0), (half, 2**40)) + array.fill_share(fill, (half, 0), (2**50, 2**40))

    assert parts == array.fill_share(fill, (0, 0), (2**50, 2**40))


def test_far_values():
    """Indices may be as large as axes get."""
    array, start = ArrayDigest((2**62, 3), "i8"), (2**62 - 5000, 0)
    values = np.full((5000, 3), 7)

    assert array.share(values, start) == array.fill_share(np.int64(7), start, (2**62, 3))


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.itemsize > 1 and d.kind not in "SV"] + [PADDED], ids=str)
def test_byte_order_does_not_count(dtype):
    """Big-endian values have the digest of their native twins."""
    values = make_values(dtype.newbyteorder("<"), (50, 7))
    swapped = values.astype(dtype.newbyteorder(">"))

    assert swapped.tobytes() != values.tobytes()
    assert get_share(swapped) == get_share(values)
    assert get_share(swapped[::2]) == get_share(values[::2])
    assert ArrayDigest((3,), ">f8") == ArrayDigest((3,), "<f8") == ArrayDigest((3,), "f8")


def place_inside(values: Array) -> Array:
    room = np.zeros([n + 7 for n in values.shape], values.dtype)
    part = room[tuple(slice(axis, n + axis) for axis, n in enumerate(values.shape))]
    part[...] = values
    return part


VIEWS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "backwards": lambda values: np.ascontiguousarray(values[::-1, :, ::-1])[::-1, :, ::-1],
    "every other": lambda values: np.repeat(np.repeat(values, 2, axis=0), 3, axis=2)[::2, :, ::3],
    "inside a larger one": place_inside,
    "axes turned": lambda values: np.ascontiguousarray(values.transpose(1, 2, 0)).transpose(2, 0, 1),
    "unaligned": lambda values: np.frombuffer(b"\0" + values.tobytes(), values.dtype, offset=1).reshape(values.shape),
    "read-only": lambda values: np.broadcast_to(values, values.shape),
}


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "i1"], ids=str)
@pytest.mark.parametrize("shape", [(40, 300, 2), (600, 3, 40), (3, 4, 5)], ids=str)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_memory_layout_does_not_count(view, shape, dtype):
    """Only values and indices enter, not strides, and the input stays as it is."""
    values = make_values(np.dtype(dtype), shape)
    moved = view(values)

    assert get_share(moved, (5, 6, 7)) == get_share(values, (5, 6, 7))
    assert moved.tobytes() == values.tobytes() == make_values(np.dtype(dtype), shape).tobytes()


def test_broadcast_values():
    """A view that repeats one value is as good as an array of it."""
    assert get_share(np.broadcast_to(np.float32(2), (300, 400))) == get_share(np.full((300, 400), 2, "f4"))


SHAPE = (64, 96)
"""A product of powers of two, the worst case: every even number of equal differences loses bits."""


def negate_all(values: Array) -> Array:
    return -values


def flip_two_signs(values: Array) -> Array:
    values[5, 7] *= -1
    values[40, 90] *= -1
    return values


def flip_signs_of_a_rectangle(values: Array) -> Array:
    values[:16, :64] *= -1
    return values


def swap_rows(values: Array) -> Array:
    values[[3, 60]] = values[[60, 3]]
    return values


def swap_columns(values: Array) -> Array:
    values[:, [0, 64]] = values[:, [64, 0]]
    return values


def swap_chunks(values: Array) -> Array:
    values[:32, :32], values[32:, 64:] = values[32:, 64:].copy(), values[:32, :32].copy()
    return values


def shift(values: Array) -> Array:
    return np.roll(values, 1, axis=1)


def transpose_a_chunk(values: Array) -> Array:
    values[:32, :32] = values[:32, :32].T.copy()
    return values


def lose_a_chunk(values: Array) -> Array:
    values[32:, 32:64] = 0
    return values


def touch_the_first(values: Array) -> Array:
    values.view(f"u{values.itemsize}")[0, 0] ^= 1
    return values


FAULTS = [
    negate_all, flip_two_signs, flip_signs_of_a_rectangle, swap_rows, swap_columns, swap_chunks, shift,
    transpose_a_chunk, lose_a_chunk, touch_the_first,
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "i2", "i1"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_shows_in_both_lanes(fault, dtype):
    """Whatever goes wrong in storage changes each lane by itself."""
    values = np.random.default_rng(1).integers(1, 100, SHAPE).astype(dtype)
    before, after = get_share(values), get_share(fault(values.copy()))

    assert before.first != after.first
    assert before.second != after.second


@pytest.mark.parametrize("dtype", ["f8", "f4", "c8", "c16", "f2"])
@pytest.mark.parametrize("shape", [(2,), (1024,), (64, 64), (16, 16, 16, 16), (32, 1024, 64)], ids=str)
def test_negation_of_a_constant(shape, dtype):
    """All signs at once, an even number of equal differences at each level of the sum, do not cancel."""
    array, stop = ArrayDigest(shape, dtype), shape
    plus, minus = (array.fill_share(np.dtype(dtype).type(x), (0,) * len(shape), stop) for x in (1, -1))

    assert plus.first != minus.first
    assert plus.second != minus.second


@pytest.mark.parametrize("dtype", ["i8", "u8", "f8", "i4", "f4", "M8[s]"])
def test_permutations_of_two_values(dtype):
    """Zeros and twos, which differ in one bit, have a digest for each order."""
    rng = np.random.default_rng(2)
    values = np.array([0, 2] * 8).astype(dtype)
    orders = {tuple(rng.permutation(16).tolist()) for _ in range(300)}
    arrays = {values[list(order)].tobytes(): values[list(order)] for order in orders}

    assert len({digest(array) for array in arrays.values()}) == len(arrays) > 250


def test_moved_missing_times():
    """NaT, whose only bit is the top one, is seen where it is."""
    times = np.zeros(64, "M8[ns]")
    seen = set()
    for i, j in [(0, 1), (2, 3), (0, 63), (16, 32), (5, 40)]:
        moved = times.copy()
        moved[[i, j]] = "NaT"
        seen.add(digest(moved))

    assert len(seen | {digest(times)}) == 6


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_payloads_of_nan(dtype):
    """NaNs count by their bits, in place and in order."""
    values = np.zeros(8, dtype)
    values[[1, 6]] = np.nan
    bits = values.view(f"u{values.itemsize}")
    marked, moved = bits.copy(), bits.copy()
    marked[1] |= 1
    moved[6] |= 1

    assert len({digest(array.view(dtype)) for array in (bits, marked, moved)}) == 3


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "c16"])
def test_signs_of_zero(dtype):
    """-0.0 is not 0.0, not even twice."""
    values = np.zeros(4, dtype)
    one, two = values.copy(), values.copy()
    one[1] = -0.0
    two[1:3] = -0.0

    assert len({digest(array) for array in (values, one, two)}) == 3


def test_shape_and_dtype_enter():
    """The same bits in another shape or of another dtype have another digest."""
    values = np.arange(12, dtype="i4")
    arrays = [values.reshape(shape) for shape in ((12,), (12, 1), (3, 4), (4, 3))]
    arrays += [values.astype("u4"), values.view("f4")]

    assert len({digest(array) for array in arrays}) == len(arrays)
    assert len({digest(np.zeros(shape)) for shape in [(), (1,), (0,), (0, 3), (3, 0), (2,)]}) == 6


def test_digest_text_is_stable():
    """Digests outlive a release: these were written down once."""
    values = np.arange(5000).reshape(50, 100) * 1234567

    assert digest(values) == "zm1:1f2ac999892f4f3e87e4cb28dc8fa8a7"
    assert digest(values.astype("f4")) == "zm1:94d90c80b86e4994ba7bf14ed4c06ab4"
    assert digest(values.astype("S12")) == "zm1:3cca411ff12205492939f30c8ee572dd"
    texts = np.array(["a", "", "ü"], object)
    assert ArrayDigest((3,), "string").text(get_share(texts)) == "zm1:a4587312b29701136b8ea98cd8547d6d"


TEXTS = ["", "a", "grün", "x" * 1000, "\U0001f52d", "a"]


@pytest.mark.parametrize("dtype", [object, np.dtypes.StringDType()], ids=["objects", "StringDType"])
def test_strings_of_any_length(dtype):
    """Strings enter by the hash of their UTF-8 bytes, whatever holds them."""
    values = np.array(TEXTS, dtype).reshape(2, 3)

    assert get_share(values, (3, 1)) == brute_force(values, (3, 1))
    assert get_share(values[:, ::-1]) == get_share(values[:, ::-1].copy()) != get_share(values)
    assert get_share(values) == get_share(np.array([t.encode() for t in TEXTS], object).reshape(2, 3))


def test_many_strings():
    """More strings than are hashed at a time, and a fill."""
    values = np.array([str(i) for i in range(30_000)], object).reshape(3, 10_000)
    filled, fill = np.full((3, 5), "fill", object), np.array("fill", object)

    assert get_share(values, (1, 2)) == brute_force(values, (1, 2))
    assert ArrayDigest((9, 9), "string").fill_share(fill, (1, 2), (4, 7)) == get_share(filled, (1, 2))


def test_scalar_string():
    """A 0-d string is a string."""
    assert get_share(np.array("a", object)) == get_share(np.array(["a"], np.dtypes.StringDType()))


def test_lone_surrogates():
    """What is no valid Unicode is digested all the same."""
    assert get_share(np.array(["\ud800"], object)) != get_share(np.array(["\udc00"], object))


@pytest.mark.parametrize("shape", [(5,), (300, 50)], ids=str)
def test_padding_of_records_does_not_count(shape):
    """Bytes between the fields are not part of a record."""
    values = make_values(PADDED, shape)
    other = np.full(shape, 0, PADDED)
    other.view("u1")[...] = 255
    for name in PADDED.names or ():
        other[name] = values[name]

    assert other.tobytes() != values.tobytes()
    assert get_share(other) == get_share(values) == brute_force(values, (0,) * len(shape))


def test_values_of_no_bytes():
    """Records without bytes and arrays without values add nothing."""
    assert get_share(np.zeros(3, "V0")) == get_share(np.zeros((3, 0), "f8")) == Share.zero()
    assert get_share(np.zeros(0, object)) == Share.zero()


@pytest.mark.parametrize("value", [None, 1, 1.5, ["a"]], ids=str)
def test_other_objects_are_refused(value):
    """An object that is no text has no bits."""
    values = np.empty(2, object)
    values[:] = ["a", value]
    with pytest.raises(TypeError, match="neither str nor bytes"):
        get_share(values)


@pytest.mark.parametrize("dtype", ["g", "G", [("a", object)]], ids=str)
def test_dtypes_without_fixed_bits_are_refused(dtype):
    """Long doubles have bytes that mean nothing, records of objects hold addresses."""
    with pytest.raises(TypeError, match="no fixed bits"):
        get_share(np.zeros(2, dtype))


OUTSIDE = {
    "too far": ((2, 3), (0, 2)), "negative": ((2, 2), (-1, 0)), "fewer axes": ((2,), (0,)),
    "more axes": ((1, 1, 1), (0, 0, 0)), "origin of fewer axes": ((1, 1), (0,)),
    "origin of more axes": ((1, 1), (0, 0, 0)),
}  # fmt: skip


@pytest.mark.parametrize(("shape", "origin"), OUTSIDE.values(), ids=OUTSIDE)
def test_region_outside_the_array(shape, origin):
    """A region that sticks out is a mistake of the caller, never a digest."""
    with pytest.raises(ValueError, match="not inside an array of shape"):
        ArrayDigest((4, 4), "f8").share(np.zeros(shape), origin)


def test_fill_outside_the_array():
    """So is a filled region that sticks out, or whose ends are swapped."""
    array = ArrayDigest((4, 4), "f8")
    for start, stop in [((0, 0), (4, 5)), ((-1, 0), (4, 4)), ((3, 0), (2, 4)), ((0,), (4,)), ((0, 0), (4,))]:
        with pytest.raises(ValueError, match="not inside an array of shape"):
            array.fill_share(np.float64(0), start, stop)


@pytest.mark.parametrize("fill", [0, 0.0, "", b"", None, np.str_("a"), np.bytes_(b"a")], ids=repr)
def test_fill_without_a_dtype(fill):
    """A fill value that does not say how wide it is would give a wrong digest in silence."""
    with pytest.raises(TypeError, match="0-d array of the array's dtype"):
        ArrayDigest((4,), "f4").fill_share(fill, (0,), (4,))


def test_fill_of_many_values():
    """One fill value at a time."""
    with pytest.raises(ValueError, match="reshape"):
        ArrayDigest((4,), "f4").fill_share(np.zeros(2, "f4"), (0,), (4,))


def test_share_as_json():
    """A share survives its text."""
    for share in (Share.zero(), Share(2**64 - 1, 1), get_share(np.arange(5))):
        assert Share.from_json(share.to_json()) == share
        assert len(share.to_json()) == 32


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "g" * 32, "A" * 32, " " * 32, "+" + "0" * 31], ids=repr)
def test_other_text_is_no_share(text):
    """What `to_json` does not write is refused."""
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        Share.from_json(text)


def test_pickles_are_small_and_work():
    """A digest and a share travel to another process as plain values, whatever was computed before."""
    array, values = ArrayDigest((10**6, 300), "f8"), np.random.default_rng(0).random((1000, 300))
    share = array.share(values, (7, 0))
    data = pickle.dumps((array, share))

    assert pickle.loads(data) == (array, share)
    assert pickle.loads(data)[0].share(values, (7, 0)) == share
    assert len(data) < 300


def test_digest_holds_plain_values():
    """Numbers of numpy and lists do not leak into the text."""
    assert ArrayDigest([np.int64(3), 4], "f8") == ArrayDigest((3, 4), "f8")  # type: ignore[arg-type]
    assert ArrayDigest((np.int64(3),), "f8").text(Share.zero()) == ArrayDigest((3,), "f8").text(Share.zero())


def test_threads_share_a_digest():
    """Threads that use one digest at once, on unlike regions, get what one thread gets."""
    array = ArrayDigest((3000, 200, 3), "f8")
    rng = np.random.default_rng(0)
    starts = rng.integers(0, (1500, 100, 1), (60, 3)).tolist()
    regions = [(rng.random((*rng.integers(1, (1500, 100)).tolist(), 3)), tuple(start)) for start in starts]
    alone = [array.share(values, origin) for values, origin in regions]
    ready = threading.Barrier(4)

    def work(i: int) -> list[Share]:
        ready.wait()
        return [array.share(values, origin) for values, origin in regions[i:] + regions[:i]]

    with ThreadPoolExecutor(4) as pool:
        for i, shares in enumerate(pool.map(work, range(4))):
            assert shares == alone[i:] + alone[:i]


LARGE = {
    "contiguous": lambda: np.ones((1500, 1000)),
    "cropped": lambda: np.ones((1500, 1000))[:, :999],
    "turned": lambda: np.ones((1500, 1000), "f4").T,
    "big-endian": lambda: np.ones((1500, 1000), ">f8"),
    "long": lambda: np.ones((1_500_001, 1), "u1"),
    "thin rows": lambda: np.ones((30_000, 65), "f4"),
    "records": lambda: np.ones((100_000, 3), PADDED),
    "text": lambda: np.full((30_000, 2), "text", object),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_memory_is_bounded(make):
    """A thread's first call on a large array takes less than a megabyte, weights included."""
    values, peaks = make(), []

    def work() -> None:
        tracemalloc.start()
        get_share(values, (12_345,) * values.ndim)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    get_share(values, (0,) * values.ndim)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert peaks[0] < 1_000_000


def test_examples_run():
    """The examples in the docstrings give what they say."""
    # The package has a function of this name, so the module is not its attribute.
    module = importlib.import_module("zarrmill.digest")

    assert doctest.testmod(module).attempted > 5
    assert doctest.testmod(module).failed == 0

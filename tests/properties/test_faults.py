"""``verify="full"`` finds what goes wrong between the source and the target; then nothing becomes visible."""

from __future__ import annotations

import numpy as np
import pytest

import zarrmill
from tests.properties.cases import Source
from tests.properties.checks import check_same_values
from zarrmill.errors import BlockFailedError, PublishError, VerifyError
from zarrmill.execute import readers, shard_writer, tiles
from zarrmill.execute import run as loop
from zarrmill.execute.chunk_writer import ChunkWriter
from zarrmill.execute.encoder import Encoder
from zarrmill.execute.shard_writer import OpenShard

SOURCE = Source((40, 30), (40, 1), None, "f8", "zstd", "zero", missing=0.0)
LAYOUTS = {"chunks": {"chunks": (4, 15), "shards": None}, "shards": {"chunks": (4, 15), "shards": (8, 30)}}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(loop, "RETRY_SECONDS", 0.0)


def flip_a_bit(monkeypatch):
    """One bit of a value changes on its way to the encoder."""
    real = Encoder.encode

    def encode(self, window, coords):
        for piece in window._tile.pieces.values():
            piece.reshape(-1).view("u1")[3] = 0xA5
        return real(self, window, coords)

    monkeypatch.setattr(Encoder, "encode", encode)


def swap_chunks(monkeypatch):
    """Two chunks are stored under each other's coordinates."""
    real, swapped = Encoder.encode, {(2, 0): (2, 1), (2, 1): (2, 0)}
    monkeypatch.setattr(
        Encoder, "encode", lambda self, window, coords: real(self, window, [swapped.get(c, c) for c in coords])
    )


def misplace_a_chunk(monkeypatch):
    """The values of a source chunk go to the place of its neighbour."""
    monkeypatch.setattr(readers, "run_axis", lambda grid, nbytes: None)
    real = tiles.Window.scatter

    def scatter(self, coord, values):
        return real(self, (*coord[:-1], coord[-1] - 1) if coord[-1] == 3 else coord, values)

    monkeypatch.setattr(tiles.Window, "scatter", scatter)


def misplace_a_run(monkeypatch):
    """The values of neighbouring chunks, moved as one, are set in another order."""
    real = tiles.TileBuffer.put
    monkeypatch.setattr(tiles.TileBuffer, "put", lambda self, region, values: real(self, region, values[:, ::-1]))


def forget_a_chunk(monkeypatch):
    """A source chunk is read but not put into the tile, which still holds what was there before."""
    monkeypatch.setattr(readers, "run_axis", lambda grid, nbytes: None)
    real = tiles.Window.scatter
    monkeypatch.setattr(
        tiles.Window, "scatter", lambda self, coord, values: None if coord[-1] == 3 else real(self, coord, values)
    )


def forget_a_run(monkeypatch):
    """Chunks are read but not put into the tile."""
    real = tiles.TileBuffer.put

    def put(self, region, values):
        return None if region.start[-1] == 0 else real(self, region, values)

    monkeypatch.setattr(tiles.TileBuffer, "put", put)


def drop_a_chunk(monkeypatch):
    """A chunk with values is taken for an empty one."""
    real = Encoder.encode

    def encode(self, window, coords):
        made = zip(coords, real(self, window, coords), strict=True)
        return [None if coord == (2, 1) else data for coord, data in made]

    monkeypatch.setattr(Encoder, "encode", encode)


def negate_zero(monkeypatch):
    """A zero loses its sign, or gets one."""
    real = Encoder.encode

    def encode(self, window, coords):
        for piece in window._tile.pieces.values():
            words = piece.reshape(-1).view("u8")
            words[(words << np.uint64(1)) == 0] ^= np.uint64(2**63)
        return real(self, window, coords)

    monkeypatch.setattr(Encoder, "encode", encode)


FAULTS = [
    flip_a_bit, swap_chunks, misplace_a_chunk, misplace_a_run, forget_a_chunk, forget_a_run, drop_a_chunk, negate_zero,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_faults_on_the_way_are_found(tmp_path, layout, fault, monkeypatch):
    """Whatever gets between what was read and what was written, the run fails and there is no target."""
    expected = SOURCE.make(tmp_path / "s")
    with monkeypatch.context() as broken:
        fault(broken)
        with pytest.raises((BlockFailedError, VerifyError)) as caught:
            zarrmill.rechunk(tmp_path / "s", tmp_path / "t", sync=False, **LAYOUTS[layout])

    cause = caught.value.__cause__ or caught.value
    assert isinstance(cause, VerifyError)
    assert not (tmp_path / "t").exists()
    zarrmill.rechunk(tmp_path / "s", tmp_path / "t", sync=False, **LAYOUTS[layout])
    check_same_values(tmp_path / "t", expected)


def lose_a_file(monkeypatch):
    """A key that was written and checked is gone before the target is made visible."""
    from zarrmill.finish import Finish

    real = Finish.check

    def check(self, **options):
        keys = sorted(p for p in self._target._draft.data.rglob("*") if p.is_file())
        keys[1].unlink()
        return real(self, **options)

    monkeypatch.setattr(Finish, "check", check)


def cut_a_file(monkeypatch):
    """A key that was written and checked is shorter before the target is made visible."""
    from zarrmill.finish import Finish

    real = Finish.check

    def check(self, **options):
        key = sorted(p for p in self._target._draft.data.rglob("*") if p.is_file())[1]
        key.write_bytes(key.read_bytes()[:-1])
        return real(self, **options)

    monkeypatch.setattr(Finish, "check", check)


def add_a_file(monkeypatch):
    """A key that nobody wrote lies between the others."""
    from zarrmill.finish import Finish

    real = Finish.check

    def check(self, **options):
        key = sorted(p for p in self._target._draft.data.rglob("*") if p.is_file())[1]
        key.with_name("9.9").write_bytes(b"x")
        return real(self, **options)

    monkeypatch.setattr(Finish, "check", check)


@pytest.mark.parametrize("verify", ["full", "written", "none"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("fault", [lose_a_file, cut_a_file, add_a_file], ids=lambda fault: fault.__name__)
def test_keys_that_are_not_as_they_were_written_are_found(tmp_path, layout, fault, verify, monkeypatch):
    """However little is verified, a target whose keys are not those that were written never becomes visible."""
    expected = SOURCE.make(tmp_path / "s")
    options = {"sync": False, "verify": verify, **LAYOUTS[layout]}
    with monkeypatch.context() as broken:
        fault(broken)
        with pytest.raises(PublishError):
            zarrmill.rechunk(tmp_path / "s", tmp_path / "t", **options)

    assert not (tmp_path / "t").exists()
    if fault is add_a_file:
        options["resume"] = False
    zarrmill.rechunk(tmp_path / "s", tmp_path / "t", **options)
    check_same_values(tmp_path / "t", expected)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_key_that_is_counted_but_not_written_is_found(tmp_path, layout, monkeypatch):
    """A writer that says it has stored a key and has not is found, before or at publication."""
    SOURCE.make(tmp_path / "s")
    if layout == "chunks":
        real = ChunkWriter._write_some

        def write(self, coords, produce):
            written = real(self, coords, produce)
            if (2, 1) in coords:
                self._sinks.remove(self._keys.key((2, 1)))
            return written

        monkeypatch.setattr(ChunkWriter, "_write_some", write)
    else:
        real_close = OpenShard.close

        def close(self, written, name):
            real_close(self, written, name)
            self._sinks.remove(self.key)

        monkeypatch.setattr(OpenShard, "close", close)

    with pytest.raises((BlockFailedError, PublishError)):
        zarrmill.rechunk(tmp_path / "s", tmp_path / "t", sync=False, **LAYOUTS[layout])
    assert not (tmp_path / "t").exists()


def test_wrong_offsets_in_a_shard_are_found(tmp_path, monkeypatch):
    """An index that points to a neighbour's bytes is found by reading back through the index."""
    SOURCE.make(tmp_path / "s")
    real = shard_writer.numbers
    monkeypatch.setattr(shard_writer, "numbers", lambda coords, per_shard: real(coords, per_shard) ^ 1)

    with pytest.raises(BlockFailedError, match="digest"):
        zarrmill.rechunk(tmp_path / "s", tmp_path / "t", sync=False, **LAYOUTS["shards"])
    assert not (tmp_path / "t").exists()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["write", "read"])
def test_faults_of_the_intermediate_are_found(tmp_path, what, monkeypatch, prefer_passes):
    """A bit that flips in scratch is found at the end, though no pass has both ends."""
    import zarr

    from zarrmill.execute.scratch import ScratchReader, ScratchWriter

    prefer_passes(2)
    values = np.arange(4_000_000, dtype="f4").reshape(2000, 2000)
    zarr.create_array(tmp_path / "s", shape=(2000, 2000), chunks=(8, 2000), dtype="f4", compressors=None)[...] = values
    if what == "write":
        real = ScratchWriter.write

        def write(self, tile, pool):
            if tile.region.start[0] == 0:
                tile.memory[5] ^= 1
            return real(self, tile, pool)

        monkeypatch.setattr(ScratchWriter, "write", write)
    else:
        real_fill = ScratchReader.fill

        def fill(self, tile, pool, threads):
            tally = real_fill(self, tile, pool, threads)
            if tile.region.start[-1] == 0:
                tile.memory[5] ^= 1
            return tally

        monkeypatch.setattr(ScratchReader, "fill", fill)

    with pytest.raises(VerifyError, match="digest"):
        zarrmill.rechunk(tmp_path / "s", tmp_path / "t", chunks=(2000, 10), shards=None, max_mem="36MiB", sync=False)
    assert not (tmp_path / "t").exists()

"""Progress as lines, and as JSON."""

import io
import json

import pytest

from zarrmill.progress import BlockAdvanced, BlockFinished, JsonLines, ProgressLines, RunStarted, StageStarted

MIB = 2**20


class Ticking:
    """A clock that moves on by itself with every look."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def __call__(self):
        self.now += self.step
        return self.now


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError


def run_of(n, *, weight=MIB):
    yield RunStarted(stages=1, blocks=1, weight=n * weight, done_blocks=0, done_weight=0, max_mem=0, processes=1)
    for _ in range(n):
        yield BlockAdvanced(weight=weight, memory=MIB, peak=MIB)


def test_lines_of_a_short_run(script):
    """A line at the start, per stage, per retry, per step and at the end."""
    stream = io.StringIO()
    with ProgressLines(stream, clock=lambda: 0.0) as progress:
        for message in script:
            progress(message)
    assert stream.getvalue().splitlines() == [
        "4 blocks, 8.0 MiB",
        "read (1/2): 2 blocks",
        "block 0-1 failed (attempt 1), trying again: [reset] by peer",
        "write (2/2): 2 blocks",
        "publish",
        "done in 2.00 s, 4.0 MiB/s, memory peak 21.0 MiB of 64.0 MiB",
    ]


def test_lines_about_blocks_come_every_five_seconds_at_most():
    """A hundred seconds of messages, a hundred per second, make about twenty lines."""
    stream, clock = io.StringIO(), Ticking(0.005)
    progress = ProgressLines(stream, clock=clock)
    for message in run_of(10_000):
        progress(message)
    lines = stream.getvalue().splitlines()[1:]
    assert 15 <= len(lines) <= clock.now / 5 + 1
    assert lines[9].split("  ")[0].endswith("%")
    assert all(part in lines[9] for part in (" of 9.8 GiB", "MiB/s", " left", "memory 1.0 MiB now"))


def test_hundreds_of_stages_are_not_hundreds_of_lines():
    """A stage per second, three hundred of them: a line every five seconds."""
    stream, clock = io.StringIO(), Ticking(1.0)
    progress = ProgressLines(stream, clock=clock)
    progress(RunStarted(stages=300, blocks=300, weight=300, done_blocks=0, done_weight=0, max_mem=0, processes=1))
    for index in range(300):
        progress(StageStarted(index=index, name="box", blocks=1))
    assert 50 <= len(stream.getvalue().splitlines()) <= 62


def test_lines_tell_of_resumed_blocks():
    """A resumed run says what it does not do again."""
    stream = io.StringIO()
    ProgressLines(stream)(
        RunStarted(stages=1, blocks=9, weight=9 * MIB, done_blocks=4, done_weight=4 * MIB, max_mem=0, processes=1)
    )
    assert stream.getvalue() == "9 blocks, 9.0 MiB, 4 of them done before\n"


def test_lines_say_where_a_failed_run_stopped(script):
    """An exception that passes through leaves a line and passes on."""
    stream = io.StringIO()
    with pytest.raises(KeyError), ProgressLines(stream) as progress:  # noqa: PT012
        for message in script[:4]:
            progress(message)
        raise KeyError
    assert stream.getvalue().splitlines()[-1] == "stopped at 25 %, 1 of 4 blocks"


@pytest.mark.parametrize("client", [ProgressLines, JsonLines], ids=["lines", "json"])
def test_default_stream_is_the_standard_error_of_the_moment(client, script, capsys):
    """A client made before standard error is redirected writes to where it points now."""
    with client() as progress:
        for message in script:
            progress(message)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "publish" in captured.err


@pytest.mark.parametrize("client", [ProgressLines, JsonLines], ids=["lines", "json"])
def test_run_outlives_the_reader_of_its_progress(client, script):
    """A closed pipe silences the client and nothing else."""
    with client(Closed()) as progress:
        for message in script:
            progress(message)


def test_json_is_one_object_per_message(script):
    """Every message arrives with its name and all of its fields."""
    stream = io.StringIO()
    with JsonLines(stream, clock=Ticking(1.0)) as progress:
        for message in script:
            progress(message)
    objects = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [made["message"] for made in objects] == [
        "run_started", "stage_started", "block_advanced", "block_finished", "block_retried", "block_advanced",
        "block_finished", "stage_started", "block_advanced", "block_finished", "block_advanced", "block_finished",
        "step_started", "run_finished",
    ]  # fmt: skip
    assert objects[3] == {
        "message": "block_finished", "block": "0-0", "weight": MIB, "memory": 10 * MIB, "peak": 20 * MIB,
    }  # fmt: skip


def test_json_thins_advances_and_keeps_their_sum():
    """A thousand advances in a second are about ten lines of the same total weight, all before the end of the block."""
    stream, clock = io.StringIO(), Ticking(0.001)
    with JsonLines(stream, clock=clock) as progress:
        for message in run_of(1000, weight=3):
            progress(message)
        progress(BlockFinished(block="b", weight=0, memory=0, peak=0))
    objects = [json.loads(line) for line in stream.getvalue().splitlines()]
    advances = [made for made in objects if made["message"] == "block_advanced"]
    assert len(advances) <= 12
    assert sum(made["weight"] for made in advances) == 3000
    assert objects[-1]["message"] == "block_finished"


def test_json_writes_what_it_holds_when_an_exception_passes():
    """No weight is lost at the end."""
    stream = io.StringIO()
    with pytest.raises(KeyError), JsonLines(stream, clock=lambda: 0.0) as progress:  # noqa: PT012
        for message in run_of(5, weight=1):
            progress(message)
        raise KeyError
    objects = [json.loads(line) for line in stream.getvalue().splitlines()[1:]]
    assert sum(made["weight"] for made in objects) == 5

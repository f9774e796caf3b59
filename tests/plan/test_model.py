"""plan/model.py: what the run loop and the journal take."""

from __future__ import annotations

import json
import pickle

from zarrmill.plan.model import Block, BlockResult


def test_result_survives_the_journal():
    """A result is the same after a round trip through JSON text."""
    result = BlockResult("a:0:0:1", {"bytes_read": 2**40}, {"terms": "00ff"})

    assert BlockResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_result_does_not_share_its_figures_with_the_json():
    """Changing what was read does not change the result."""
    data = BlockResult("b", {"keys": 1}).to_json()
    result = BlockResult.from_json(data)
    data["counts"]["keys"] = 2

    assert result.counts == {"keys": 1}


def test_blocks_travel_to_other_processes():
    """Blocks and results pickle."""
    block, result = Block("a", (1, 2), 3), BlockResult("a", {"n": 1})

    assert pickle.loads(pickle.dumps((block, result))) == (block, result)

"""What a finding is."""

from __future__ import annotations

import json
from typing import get_args

from zarrmill.recordings.problems import INPUT_CODES, NO_ROW, Findings, InputProblem, Severity


def test_every_code_says_how_much_it_matters():
    """Severities are of the three known ones, and every code has a meaning."""
    assert all(severity in get_args(Severity) and meaning for severity, meaning in INPUT_CODES.values())


def test_findings_come_by_path_and_row():
    """Problems are sorted, and have the severity of their code."""
    findings = Findings()
    findings.add("bad_json", "b", "second", row=3)
    findings.add("no_event_ids", "b", "first")
    findings.add("not_utf8", "a", "before")

    assert [(problem.path, problem.row, problem.severity) for problem in findings.sorted()] == [
        ("a", NO_ROW, "warning"), ("b", NO_ROW, "info"), ("b", 3, "error"),
    ]  # fmt: skip


def test_a_problem_is_json():
    """All of its fields are JSON values."""
    problem = InputProblem("a", 3, "bad_json", "error", "no JSON")

    assert json.loads(json.dumps(problem.to_json()))["row"] == 3

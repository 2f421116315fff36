"""Broken files of every format: each command ends with a result or one error, in time, and never by itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("laspy")
WORKER = Path(__file__).parents[1] / "helpers" / "mutations.py"
SEED = 20


def trial(folder: Path, first: int, count: int) -> list[str]:
    """What went wrong in these cases; see `mutations`."""
    command = [sys.executable, str(WORKER), str(folder), str(SEED), str(first), str(count)]
    limit = 60 + 2 * count  # seconds; each case has its own limit of 10
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    names = {line["case"]: line["of"] for line in lines if "of" in line}
    ended = {line["case"]: line["faults"] for line in lines if "faults" in line}
    found = [f"case {case} of {names[case]}: {fault}" for case, faults in ended.items() for fault in faults]
    found += [f"case {case} of {names[case]} ended the process: {done.stderr[-500:]}" for case in names.keys() - ended]
    if len(ended) != count and not found:
        found.append(f"{len(ended)} of {count} cases were run: {done.stderr[-500:]}")
    return found


def test_some_broken_files(tmp_path) -> None:
    assert trial(tmp_path, 0, 70) == []  # two of each base file


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2500, 250))
def test_broken_files(tmp_path, first: int) -> None:
    assert trial(tmp_path, first, 250) == []

"""A checkpoint with facts, and results of the benchmark, for the tests of model cards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_model import Toy

from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints.folder import read_config

FACTS = {
    "license": "Apache-2.0",
    "summary": "moves points a little.",
    "data": [
        {"source": "a/repo@12", "license": "MIT", "shapes": 40, "held_out": 4},
        {"source": "generated", "license": "Apache-2.0", "shapes": 20, "held_out": 0},
        "one of our own",
    ],
    "seed": 3,
    "steps": 120_000,
    "hours": 1.25,
    "hardware": "2 cores",
    "settings": {"batch": 32, "schedule": "cosine"},
    "parent": "toy-x2",
    "paper": "the idea",
    "ours": "the rest",
}


def row_of(cd: float, p2f: float | None, weights: str | None = None, seconds: float | None = 0.5) -> dict:
    numbers = {"cd": cd, "hd": 10 * cd, "p2f": p2f, "p2f_std": p2f, "shapes": 27, "p2f_shapes": 21 if p2f else 0}
    return {**numbers, "seconds": seconds, "weights": weights, "per_shape": {"camel": {"cd": cd}}}


def result(models: dict, task: str = "up4", seed: int = 0) -> dict:
    """As `run_benchmark` gives it."""
    names = " ".join(f"--model {name}" for name in models)
    return {
        "convention": "pugan-2019",
        "seed": seed,
        "package": "pcsr-zoo 0.9",
        "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2, "python": "3.11.9"},
        "command": f"pcsr benchmark --data DATA --task {task} {names} --convention pugan-2019 --seed {seed}",
        "tasks": {task: {"protocol": "-", "models": models}},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_with_card(tmp_path / "mine", Toy(), name="toy-x4", **FACTS)


def weights(folder: Path) -> str:
    return f"sha256:{read_config(folder)['sha256']}"


def card(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def table(text: str, task: str) -> dict[str, list[str]]:
    """The rows of a task in the table of results, by model."""
    lines = text.partition("## Results\n")[2].partition("\n#")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert rows[0][2:] == ["convention", "CD", "HD", "P2F", "CD of `jet`", "CD of `midpoint`", "shapes/P2F"]
    return {cells[1]: cells[2:] for cells in rows[2:] if cells[0] == task}

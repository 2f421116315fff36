"""The types that mypy sees in code of users, the README's among it: a call returns the kind that it was given."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

RIGHT = """
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import assert_type

from pcsr_zoo import Cloud, LoadedModel, list_models, load, model_info, read, recover, sample, upsample, write


def check(
    cloud: Cloud,
    double: NDArray[np.float64],
    single: NDArray[np.float32],
    whole: NDArray[np.int64],
    tensor: torch.Tensor,
    path: Path,
    anything: Any,
) -> None:
    assert_type(upsample(cloud, 4), Cloud)
    assert_type(upsample("scan.ply", 2.5, keep_input=True), Cloud)
    assert_type(upsample(path, n=100), Cloud)
    assert_type(upsample(double, n=100, seed=1, device="cpu"), NDArray[np.float64])
    assert_type(upsample(single, model="jet", noise=0.0), NDArray[np.float32])
    assert_type(upsample(whole), NDArray[np.float64])
    assert_type(upsample([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]), NDArray[np.float64])
    assert_type(upsample(tensor, progress=lambda stage, fraction: None), torch.Tensor)
    assert_type(upsample(anything), Any)
    assert_type(sample(cloud, 8, snap=True, bits=12), Cloud)
    assert_type(sample(path), Cloud)
    assert_type(sample(single, 8), NDArray[np.float32])
    assert_type(sample(tensor, n=5, model=path), torch.Tensor)
    assert_type(recover(cloud), Cloud)
    assert_type(recover("small.ply"), Cloud)
    assert_type(recover(double, 4, temperature=0.5), NDArray[np.float64])
    assert_type(recover(tensor, 4, seed=2), torch.Tensor)
    assert_type(upsample(upsample(cloud).positions), NDArray[np.float64])
    model = load("jetnet", device=torch.device("cpu"), dtype=torch.float64)
    assert_type(model, LoadedModel)
    assert_type(model.upsample(cloud, 4), Cloud)
    assert_type(model.upsample(path, keep_input=False), Cloud)
    assert_type(model.sample(single, 8), NDArray[np.float32])
    assert_type(model.recover(tensor, n=7, temperature=0.0), torch.Tensor)
    assert_type(model.ratio, float | None)
    assert_type(load(path).save("runs/mine", license="MIT"), Path)
    assert_type(list_models(), list[str])
    assert_type(model_info("jet"), dict[str, Any])
    assert_type(read(path), Cloud)
    assert_type(cloud.to_torch(), torch.Tensor)
    write(cloud, path)
"""

WRONG = """
from pcsr_zoo import Cloud, load, recover, sample, upsample


def check(cloud: Cloud) -> None:
    upsample(5, 4)
    upsample(cloud, "4")
    sample(cloud, bit=3)
    recover(cloud, draws=3)
    load("jet").sample(cloud, keep_input=True)
    load(3)
"""


ROOT = Path(__file__).resolve().parents[2]
README = """
from numpy import float64
from numpy.typing import NDArray
from typing_extensions import assert_type

from pcsr_zoo import Cloud, LoadedModel

assert_type(cloud, Cloud)
assert_type(dense, Cloud)
assert_type(small, Cloud)
assert_type(again, Cloud)
assert_type(array, NDArray[float64])
assert_type(model, LoadedModel)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list[str]]:
    """The lines of mypy --strict on all files, in a folder of their own."""
    folder = tmp_path_factory.mktemp("user")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    readme = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    texts = {"right.py": RIGHT, "wrong.py": WRONG, "readme.py": readme + README}
    for name, text in texts.items():
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *texts]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT)}
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if ": note:" not in line]
    return {name: [line for line in lines if line.startswith(name)] for name in texts}


def test_calls_have_the_type_of_their_input(found):
    assert found["right.py"] == []


def test_wrong_calls_are_errors(found):
    marked = {int(line.split(":")[1]) for line in found["wrong.py"]}
    text = WRONG.lstrip().splitlines()
    assert marked == {number for number, line in enumerate(text, 1) if line.startswith("    ")}


def test_the_python_of_the_readme_passes(found):
    assert found["readme.py"] == []

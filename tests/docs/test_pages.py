"""Every block of the README, of docs/ and of the models' pages runs, in order, as a reader would type it.

The blocks of Python of a page share one namespace. The lines of bash run one by one: `pcsr` in this process, anything
else in a shell. The clouds are small, and a training has two steps. `LEFT_OUT` lists what needs a server, a GPU, hours,
or data that we may not publish; the options of these commands are checked all the same. test_fresh_clone.py runs the
README's blocks as they stand, installation included.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_run import run

from pcsr_zoo import Cloud, read, write
from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "docs").is_dir():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)

FAMILIES = sorted((ROOT / "pcsr_zoo" / "models").glob("*/page.md"))
RUN = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *FAMILIES]
CHECKED = [*RUN, *(ROOT / name for name in ("CONTRIBUTING.md", "examples/README.md", "examples/plugin/README.md"))]

LEFT_OUT = {
    r"^(python3 dev\.py|source |pip install)": "installs; see test_fresh_clone.py",
    r"--data DATA|--benchmark": "needs the evaluation data, which state no license",
    r"hf:|^pcsr models (pull|push)|\.push\(": "needs a server; see tests/checkpoints",
    r"cuda": "needs a GPU",
    r"^torchrun": "starts four processes; see tests/training",
    r"my_model": "needs a module of the reader's; see tests/cli",
    r"^(mkdocs|python (examples|benchmarks)/)": "takes minutes; see tests/examples",
}
SHORTENED = {
    r"^pcsr (finetune|train) .*": r"\g<0> --steps 2",
    r"--generated 60": "--generated 2 --points 2048",
    r'"steps": [\d_]+': '"steps": 2',
}


def blocks(path: Path) -> list[tuple[str, str]]:
    """The language and the text of each fenced block."""
    return re.findall(r"^```(\w+)[^\n]*\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(text: str) -> Iterator[str]:
    """The commands of a block of bash, without comments."""
    for line in re.split(r"\n|&&", text.replace("\\\n", " ")):
        if words := shlex.split(line, comments=True):
            yield shlex.join(words).replace("'PCSR_IMPORT=", "PCSR_IMPORT=")


def left_out(line: str) -> bool:
    return any(re.search(pattern, line) for pattern in LEFT_OUT)


def shortened(text: str) -> str:
    for pattern, instead in SHORTENED.items():
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder like a clone, with small clouds in the places that the pages name."""
    few = read(ROOT / "examples" / "data" / "sculpture.ply")[:1200]
    for folder in ("examples/data", "my_scans", "meshes"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("examples/data/sculpture.ply", "scan.ply", "sparse.ply"):
        write(few, tmp_path / name)
    for name in ("my_scans/1.ply", "my_scans/2.ply"):  # a scan to learn from has at least 1,024 points
        sphere = np.random.default_rng(0).normal(size=(1200, 3))
        write(Cloud(sphere / np.linalg.norm(sphere, axis=1, keepdims=True)), tmp_path / name)
    vertices, faces = ("0 0 0", "1 0 0", "0 1 0", "0 0 1"), ("1 3 2", "1 2 4", "1 4 3", "2 3 4")
    text = "\n".join([*(f"v {v}" for v in vertices), *(f"f {f}" for f in faces)])
    (tmp_path / "meshes" / "tetrahedron.obj").write_text(text + "\n")
    for folder in ("train", "open3d_ml"):
        shutil.copytree(ROOT / "examples" / folder, tmp_path / "examples" / folder)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def type_in(line: str) -> None:
    words = shlex.split(shortened(line))
    if words[0] == "pcsr":
        run(*words[1:])
    else:
        assert words[0] in ("cp", "mkdir", "echo", "printf"), line
        subprocess.run(line, shell=True, check=True)


@pytest.mark.parametrize("path", RUN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_blocks_of_a_page_run_in_order(path, place):
    if path.name == "models.md":
        shutil.copytree(ROOT / "hub_configs" / "jetnet", "runs/mine")
    names: dict[str, Any] = {}
    for language, text in blocks(path):
        if language == "bash":
            for line in commands(text):
                if not left_out(line):
                    type_in(line)
        elif language == "python":
            kept = "\n".join(line for line in text.splitlines() if not left_out(line))
            exec(compile(shortened(kept), path.name, "exec"), names)
        else:
            assert language in ("text", "console", "yaml", "bibtex"), language
    if path.name == "README.md":
        sizes = {name: len(names[name]) for name in ("cloud", "dense", "small", "again", "array")}
        assert sizes == {"cloud": 1200, "dense": 4800, "small": 150, "again": 1200, "array": 10_000}
        assert len(read("scan_x4.ply")) == len(read("fine.ply")) == 4800
        assert {"normals", "colors"} <= set(read("dense.ply").attributes)
        assert (place / "both.png").stat().st_size > 1000


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_have_options_that_exist(path):
    for line in (line for language, text in blocks(path) if language == "bash" for line in commands(text)):
        words = shlex.split(line)
        if "pcsr" not in words:
            continue
        command: Any = main
        words = words[words.index("pcsr") + 1 :]
        while hasattr(command, "commands") and words and words[0] in command.commands:
            command, words = command.commands[words[0]], words[1:]
        assert command is not main or words[0].startswith("-"), line
        known = {name for option in command.params for name in option.opts} | {"--help", "--version"}
        assert {word for word in words if word.startswith("-")} <= known, line


@pytest.mark.parametrize("path", CHECKED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(path):
    """As in the repository; how the site turns them is tested by building it."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", text):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
            assert anchor in slugs, (target, anchor)

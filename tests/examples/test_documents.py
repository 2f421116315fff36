"""The notebook and the how-to in examples/: their cells and commands run, and print what they show."""

# ruff: noqa: F811 - fixtures of hub_server are imported and asked for by name

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_run import run
from hub_server import HubServer, hub  # noqa: F401

import pcsr_zoo
from pcsr_zoo import Cloud, write
from pcsr_zoo.cli import main

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("the examples come with the checkout", allow_module_level=True)


def run_cell(source: str, names: dict[str, Any]) -> tuple[str, Any]:
    """What a code cell prints, and the value of its last line, as Jupyter shows them."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    return printed.getvalue(), value


def test_the_notebook_does_what_it_shows(monkeypatch):
    """Figures aside, which may differ in their last digits from machine to machine."""
    monkeypatch.chdir(ROOT)
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    names: dict[str, Any] = {}
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        printed, value = run_cell("".join(cell["source"]), names)
        shown = {output["output_type"]: output for output in cell["outputs"]}
        before = "".join(shown.get("stream", {}).get("text", ""))
        assert re.sub(r"\d+\.\d+", "#", printed) == re.sub(r"\d+\.\d+", "#", before)
        assert (value is not None) == ("execute_result" in shown)
        if value is not None:
            assert value._repr_png_().startswith(b"\x89PNG")
    assert len(cells) > 5


def test_links_of_the_documents_lead_somewhere():
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    text = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    text += (EXAMPLES / "publish.md").read_text(encoding="utf-8") + (EXAMPLES / "README.md").read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", text) if "://" not in target]
    assert len(targets) > 5
    assert [target for target in targets if not (EXAMPLES / target).exists()] == []


def commands() -> list[list[str]]:
    text = (EXAMPLES / "publish.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


def test_every_command_of_the_how_to_can_be_said():
    """Names of commands and options; what they do is tested below and elsewhere."""
    said = [words[1:] for words in commands()]
    assert [words[0] for words in said] == ["finetune", "benchmark", "card", "models", "models", "models", "upsample"]
    for words in said:
        command: Any = main
        while hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        known = {name for option in command.params for name in option.opts}
        assert {word for word in words if word.startswith("-")} <= known


def test_a_model_is_published_as_the_how_to_says(hub: HubServer, tmp_path, monkeypatch):
    """All but the training and the benchmark, against a server on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_write")
    shutil.copytree(ROOT / "hub_configs" / "jetnet", "runs/mine")
    write(Cloud(np.random.default_rng(0).normal(size=(60, 3))), "scan.ply")
    said = [words[1:] for words in commands() if words[1] not in ("finetune", "benchmark")]
    card, dry, push, verify, upsample = said
    run(*card[:2], *card[card.index("--failure") :])
    assert "leaves of trees become sheets" in Path("runs/mine/README.md").read_text(encoding="utf-8")
    assert "model.safetensors" in run(*dry)[0]
    assert "me/jetnet-mine" not in hub.repositories
    assert "Pushed" in run(*push)[0]
    assert "valid" in run(*verify)[0]
    run(*upsample)
    assert len(pcsr_zoo.read("scan_x4.ply")) == 240

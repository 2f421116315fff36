"""The examples in `--help` of each command: there are two or more, and each of them runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from cli_run import run
from scans import room
from small_test_set import root  # noqa: F401
from toy_training import one_thread, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo import Cloud, sample, write
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.cli import main
from pcsr_zoo.io.files import file_sha256

# The examples are for real data. These options make them quick.
QUICK = {
    "train": ("--set", "training.steps=3", "--set", "training.workers=0"),
    "finetune": ("--set", "training.steps=2", "--set", "training.batch=1", "--set", "training.workers=0"),
    "data build": ("--points", "64", "--generated", "1"),
    "data streets": ("--scans", "2"),
}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    found: dict[str, click.Command] = {" ".join(path): group}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
        else:
            found[" ".join((*path, name))] = command
    return found


COMMANDS = commands(main)


def examples(name: str) -> list[list[str]]:
    """The words after `pcsr` of the lines below "Examples:", as the user sees them."""
    out, _ = run(*name.split(), "--help")
    block = out.partition("\n  Examples:\n")[2].partition("\n\n")[0]
    lines = [re.split(r"   ", line.strip())[0] for line in block.splitlines()]
    words = [shlex.split(line) for line in lines]
    assert all(word[0] == "pcsr" for word in words), lines
    return [word[1:] for word in words]


ALL = [(name, number) for name in COMMANDS for number in range(len(examples(name)))]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, root) -> Path:  # noqa: F811
    """A folder with the files that the examples name."""
    place = tmp_path_factory.mktemp("files")
    points = np.random.default_rng(0).normal(size=(900, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    scan = Cloud(points, {"normals": points, "colors": (127 * (points + 1)).astype(np.uint8)})
    write(scan, place / "scan.ply")
    write(sample(scan, 8), place / "small.ply")
    cube = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    for folder in ("scans", "my_scans"):
        (place / folder).mkdir()
        for number in range(4):
            (place / folder / f"shape{number}.obj").write_text(cube)
    rows = "".join(f"scans/shape{number}.obj,MIT,permissive,here\n" for number in range(4))
    (place / "meshes.csv").write_text("file,license,license_class,source\n" + rows)
    write_toy_data(place / "train.npz")
    frame, _ = room(field=None)
    (place / "drive").mkdir()
    for name in ("frame.bin", "drive/0.bin", "drive/1.bin"):
        write(frame, place / name)
    (place / "my.yml").write_text("model: toy-patches\ndata: train.npz\ntraining: {batch: 4, warmup: 1}\n")
    mine = shutil.copytree(shipped.bundled()["jetnet"], place / "runs" / "mine") / "config.json"
    config = json.loads(mine.read_text())
    config["about"]["data_file"]["sha256"] = file_sha256(place / "train.npz")  # as if it was trained on this file
    mine.write_text(json.dumps(config))
    command = ("benchmark", "--data", root, "--task", "up4", "--json", place / "up4.json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        run(*command, *(word for name in ("runs/mine", "jet", "midpoint") for word in ("-m", name)))
    shutil.copy(place / "up4.json", place / "narrow.json")
    return place


@pytest.fixture
def place(prepared, tmp_path, monkeypatch) -> Path:
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS, ids=lambda name: name or "pcsr")
def test_the_help_has_two_examples_of_the_command(name):
    found = examples(name)
    assert len(found) >= 2
    if not isinstance(COMMANDS[name], click.Group):
        assert all(words[: len(name.split())] == name.split() for words in found)
    assert len({tuple(words) for words in found}) == len(found)


@pytest.mark.parametrize(("name", "number"), [case for case in ALL if case[0]])
def test_each_example_runs(name, number, place, root):  # noqa: F811
    words = [str(root) if word == "DIR" else word for word in examples(name)[number]]
    if "-o" in words:
        shutil.rmtree(words[words.index("-o") + 1], ignore_errors=True)
        Path(words[words.index("-o") + 1]).unlink(missing_ok=True)
    if "scan_x4.ply" in words or "scan_recovered.ply" in words:
        run("upsample", "scan.ply", "-x", 4)
        run("recover", "small.ply", "-o", "scan_recovered.ply")
    before = files(place)
    key = " ".join(words[:2]) if words[0] in ("data", "models") else words[0]
    out, err = run(*words, *(() if words[-1] == "--help" else QUICK.get(key, ())))
    assert "Error" not in err
    assert out
    if "-o" in words:  # the output that the example names is there
        target = place / words[words.index("-o") + 1]
        assert target.exists()
        assert files(place) != before


def test_the_examples_of_pcsr_run_one_after_the_other(place):
    for words in examples(""):
        run(*words)
    for file in ("scan_x4.ply", "scan_sampled_x8.ply", "scan_sampled_x8_recovered.ply", "both.png"):
        assert (place / file).stat().st_size


def test_every_option_has_a_help_text():
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (name, option.name)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tmp_path):
    """The script is accepted by the shell, and asks pcsr for words, which it knows."""
    script, _ = run("completion", shell)
    assert "_PCSR_COMPLETE" in script
    startup = {"bash": "~/.bashrc", "zsh": "~/.zshrc", "fish": "config.fish"}[shell]
    (line,) = (line for line in run("completion", "--help")[0].splitlines() if startup in line)
    assert f"pcsr completion {shell}" in line
    if program := shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([program, "-n", tmp_path / "script"], check=True)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("pcsr up", {"plain,upsample"}),
        ("pcsr models pu", {"plain,pull", "plain,push"}),
        ("pcsr upsample --no-k", {"plain,--no-keep-input"}),
        ("pcsr upsample sc", {"file,sc"}),  # bash then lists files
        ("pcsr recover a.ply -m jet", {"dir,jet", "plain,jet", "plain,jetnet"}),
    ],
)
def test_completed_words(typed, wanted):
    """As the bash script asks for them: a line, and the number of its word."""
    environment = {"_PCSR_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    code = "import sys; sys.argv[0] = 'pcsr'; from pcsr_zoo.cli import main; main(prog_name='pcsr')"
    where = {"PYTHONPATH": str(Path(pcsr_zoo.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env={**environment, **where}, capture_output=True, text=True)
    assert set(done.stdout.splitlines()) == wanted


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_the_line_for_bashrc_completes_a_command(tmp_path):
    """The whole way: the line of the help, in a bash that finds pcsr, then the function that Tab calls."""
    tool = tmp_path / "pcsr"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pcsr_zoo "$@"\n')
    tool.chmod(0o755)
    script = (
        f'export PATH="{tmp_path}:$PATH"\neval "$(pcsr completion bash)"\nCOMP_WORDS=(pcsr ren); COMP_CWORD=1\n'
        '$(complete -p pcsr | sed "s/.*-F \\([^ ]*\\).*/\\1/") pcsr\necho "${COMPREPLY[@]}"\n'
    )
    where = {"PYTHONPATH": str(Path(pcsr_zoo.__file__).parents[1])}
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **where}
    )
    assert done.stdout.split() == ["render"], done.stderr

"""What surrounds a command: closed and full streams, other processes, paths that are no files, untrusted names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from cli_run import run

from pcsr_zoo import Cloud, read, write
from pcsr_zoo.checkpoints.config import most_bytes
from pcsr_zoo.errors import FileError, OptionError, printable
from pcsr_zoo.io.atomic import _host, atomic_path
from pcsr_zoo.training.config import load_config

PCSR = f"{sys.executable} -m pcsr_zoo"
posix = pytest.mark.skipif(os.name != "posix", reason="shells and devices of POSIX")


@pytest.fixture
def cloud(tmp_path):
    write(Cloud(np.random.default_rng(0).normal(size=(60, 3)), {"labels": np.arange(60)}), tmp_path / "a.ply")
    return tmp_path / "a.ply"


def shell(line: str, folder) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@posix
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_change_no_result(cloud, closed) -> None:
    done = shell(f"{PCSR} sample a.ply -x 2 -o b.ply {closed}", cloud.parent)
    assert done.returncode == 0
    assert len(read(cloud.parent / "b.ply")) == 30


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_output_is_one_error(cloud) -> None:
    done = shell(f"{PCSR} info a.ply a.ply > /dev/full", cloud.parent)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "standard output" in done.stderr
    assert "No space left" in done.stderr


@posix
def test_a_batch_into_a_closed_pipe_ends_quietly(cloud) -> None:
    done = shell(f"{PCSR} info a.ply a.ply a.ply | true; exit ${{PIPESTATUS[0]}}", cloud.parent)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@posix
def test_a_limit_on_the_size_of_files(cloud) -> None:
    done = shell(f"ulimit -f 1; {PCSR} upsample a.ply -x 30 -m midpoint -o b.ply", cloud.parent)
    assert done.returncode == 1
    assert "b.ply" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(cloud.parent) == ["a.ply"]


@posix
@pytest.mark.parametrize("suffix", [".ply", ".las", ".npz", ".xyz", ".glb"])
def test_pipes_and_devices_are_not_read(tmp_path, suffix) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    os.symlink("/dev/zero", tmp_path / f"zero{suffix}")
    for name in ("pipe", "zero"):
        _, said = run("info", tmp_path / f"{name}{suffix}", code=1)
        assert "a pipe or a device" in said


@pytest.mark.parametrize(
    "arguments",
    [["upsample", "", "-x", "2"], ["info", ""], ["sample", "a.ply", "-x", "2", "-o", ""], ["data", "build", ""]],
)
def test_an_empty_path_is_not_the_current_folder(cloud, monkeypatch, arguments) -> None:
    monkeypatch.chdir(cloud.parent)
    _, said = run(*arguments, *(["-o", "t.npz"] if arguments[0] == "data" else []), code=2)
    assert "empty" in said
    assert os.listdir(cloud.parent) == ["a.ply"]


# -- other processes --------------------------------------------------------------------------------------------------


def test_the_second_of_two_writers_fails(tmp_path) -> None:
    target = tmp_path / "a.ply"
    with pytest.raises(FileError, match=r"a\.ply exists"), atomic_path(target, overwrite=False) as late:  # noqa: PT012
        with atomic_path(target, overwrite=False) as early:
            early.write_bytes(b"first")
        late.write_bytes(b"second")
    assert target.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.ply"]
    cloud = Cloud(np.eye(3))
    for name in ("a.ply", "b.xyz"):
        write(cloud, tmp_path / name)
        with pytest.raises(FileError, match=f"{name} exists"):
            write(cloud, tmp_path / name, overwrite=False)


def test_side_notes_of_others_are_left_alone(cloud) -> None:
    beside = cloud.parent / "b.xyz.pcsr.json"
    beside.write_text("somebody's")
    _, said = run("sample", cloud, "-x", 2, "-o", cloud.parent / "b.xyz", code=1)
    assert "b.xyz.pcsr.json" in said
    assert sorted(os.listdir(cloud.parent)) == ["a.ply", "b.xyz.pcsr.json"]
    run("upsample", cloud, "-x", 2, "-m", "midpoint", "-o", cloud.parent / "b.xyz")  # it has no note
    assert beside.read_text() == "somebody's"
    run("sample", cloud, "-x", 2, "-o", cloud.parent / "b.xyz", "--overwrite")
    assert "fps" in beside.read_text()


def test_an_output_without_its_note_is_removed(cloud, monkeypatch) -> None:
    from pcsr_zoo.io import side_notes

    def full(path):
        raise FileError(f"cannot read {path}")

    monkeypatch.setattr(side_notes, "file_sha256", full)
    run("sample", cloud, "-x", 2, "-o", cloud.parent / "b.xyz", code=1)
    assert os.listdir(cloud.parent) == ["a.ply"]


@posix
def test_what_a_killed_process_left_is_removed_by_the_next(cloud) -> None:
    code = (
        "import os, sys, time\nos.fsync = lambda handle: (print('writing', flush=True), time.sleep(60))\n"
        "from pcsr_zoo.cli import main\nmain(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "sample", str(cloud), "-x", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        run("sample", cloud, "-x", 3)  # the other one is at work
        assert len(list(cloud.parent.glob(".pcsr-*"))) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
    other = cloud.parent / ".pcsr-00000000-99999999-0123456789ab.ply"  # of another machine
    other.touch()
    run("sample", cloud, "-x", 4)
    assert list(cloud.parent.glob(".pcsr-*")) == ([] if _host() == "00000000" else [other])


# -- amounts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["upsample", "a.ply", "-n", 2**31],
        ["upsample", "a.ply", "-x", 1e9],
        ["upsample", "a.ply", "-x", 1e308],
        ["recover", "a.ply", "-x", 1e9],
        ["recover", "a.ply", "-x", 2, "--draws", 10**9],
        ["data", "build", "--generated", 10**20, "-o", "t.npz"],
    ],
)
def test_amounts_are_refused_with_what_they_would_take(cloud, monkeypatch, arguments) -> None:
    monkeypatch.chdir(cloud.parent)
    result = subprocess.run(
        [sys.executable, "-m", "pcsr_zoo", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode in (1, 2)
    assert "GB" in result.stderr
    assert "bug" not in result.stderr


def test_a_ratio_of_nothing(cloud) -> None:
    _, said = run("sample", cloud, "-x", 1e9, code=1)
    assert "1e+09" in said


def test_aliases_of_yaml_are_not_written_out(tmp_path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    for text in ("\n".join(levels) + "\nmodel: *a9\ndata: x.npz\n", "model: &a [*a]\ndata: x.npz\n"):
        (tmp_path / "a.yml").write_text(text)
        with pytest.raises((FileError, OptionError), match=r"a\.yml") as caught:
            load_config(tmp_path / "a.yml")
        assert len(str(caught.value)) < 1000
    (tmp_path / "a.yml").write_text("shared: &s {lr: 1}\nmodel: jet\ndata: x.npz\ntraining: *s\n")
    with pytest.raises(OptionError, match="'shared'"):  # aliases are fine
        load_config(tmp_path / "a.yml")


def test_weights_that_are_larger_than_their_configuration_says(tmp_path) -> None:
    from pcsr_zoo import load

    folder = load("jetnet").save(tmp_path / "saved")
    with open(folder / "model.safetensors", "ab") as handle:
        handle.truncate(10**10)
    with pytest.raises(FileError, match=r"model\.safetensors has 10,000,000,000 bytes"):
        load(folder)
    assert most_bytes({"parameters": 10}) < 10**7
    if os.name == "posix":
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").symlink_to("/dev/zero")
        with pytest.raises(FileError, match="device"):
            load(folder)


# -- what is printed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["\x1b[31m", "\x07", "\x9b", "\u202e", "\u2066", "\x00", "\r", "\u200f"])
def test_no_control_character_reaches_the_terminal(tmp_path, mark) -> None:
    assert mark not in printable(f"a{mark}b")
    assert printable("grün\n\tü") == "grün\n\tü"
    if mark == "\x00":
        return
    axes = "".join(f"property float {axis}\n" for axis in "xyz")
    text = f"ply\nformat ascii 1.0\ncomment {mark}\nelement vertex 2\n{axes}"
    name = "" if mark.isspace() else f"property float a{mark}b\n"
    (tmp_path / "a.ply").write_bytes(f"{text}{name}end_header\n0 0 0 1\n1 1 1 2\n".encode())
    if mark != "\r":
        for output in (*run("info", tmp_path / "a.ply"), *run("info", tmp_path / "a.ply", "--json")):
            assert mark not in output
    _, said = run("info", f"{tmp_path}/no{mark}such.ply", code=1)
    assert mark not in said
    _, said = run("upsample", tmp_path / "a.ply", "-x", "2", "-m", f"jet{mark}", code=2)
    assert mark not in said


def test_passwords_in_addresses_are_hidden() -> None:
    assert printable("at https://me:secret@host:80/x, http://h/") == "at https://***@host:80/x, http://h/"
    assert "secret" not in str(FileError("the Hub at https://me:secret@host cannot be reached"))

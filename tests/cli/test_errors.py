"""Bad input to the command line: a clear message, an exit status that is not 0, and no file left behind."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
from click.testing import CliRunner
from toy_model import toy  # noqa: F401

from pcsr_zoo.cli import main
from pcsr_zoo.cloud import Cloud
from pcsr_zoo.io import write
from pcsr_zoo.pipelines import resample


def fail(*arguments: object, status: int | None = None) -> str:
    """Run a command that must fail; returns what it says on standard error."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code != 0
    assert status is None or result.exit_code == status
    assert result.stdout == ""
    assert "Traceback" not in result.output
    assert result.stderr.strip()
    return result.stderr


@pytest.fixture
def folder(tmp_path):
    write(Cloud(np.random.default_rng(0).normal(size=(40, 3))), tmp_path / "a.ply")
    return tmp_path


@pytest.fixture
def pipeline(monkeypatch):
    """Lets a test say what `upsample` does: at first nothing."""
    monkeypatch.setattr(resample, "upsample", lambda cloud, ratio, **options: cloud)
    return resample


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -- options


@pytest.mark.parametrize("command", ["upsample", "sample"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "-x RATIO or -n POINTS"),
        (("-x", 2, "-n", 5), "-x RATIO or -n POINTS"),
        (("-x", 0), "-x"),
        (("-x", -4), "-x"),
        (("-x", "nan"), "-x"),
        (("-x", "inf"), "-x"),
        (("-x", "four"), "-x"),
        (("-n", 0), "-n"),
        (("-n", -7), "-n"),
        (("-n", 2.5), "-n"),
        (("-x", 2, "--seed", -1), "--seed"),
        (("-x", 2, "--points", 0), "--points"),
        (("-x", 2, "--device", "gpu9"), "--device"),
        (("-x", 2, "--device", "cuda:99"), "--device"),
        (("-x", 2, "--model", "nonsense"), "--model"),
        (("-x", 2, "-o", "out.docx"), "-o"),
        (("-x", 2, "--frobnicate"), "--frobnicate"),
    ],
)
def test_the_option_is_named(folder, command, options, said):
    assert said in fail(command, folder / "a.ply", *options)
    assert names(folder) == ["a.ply"]


def test_a_misspelt_model_is_suggested(folder):
    message = fail("upsample", folder / "a.ply", "-x", 2, "--model", "midpiont")
    assert "midpoint" in message


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("command", ["upsample", "recover"])
def test_random_weights_are_refused(folder, command):
    assert "'toy'" in fail(command, folder / "a.ply", "-x", 8, "-m", "toy")
    assert names(folder) == ["a.ply"]


def test_a_sampler_is_no_upsampling_model(folder):
    assert "pcsr sample" in fail("upsample", folder / "a.ply", "-x", 2, "--model", "fps")
    assert "pcsr upsample" in fail("sample", folder / "a.ply", "-x", 2, "--model", "jet")


def test_a_ratio_below_one_names_the_other_command(folder):
    assert "pcsr sample -x 4" in fail("upsample", folder / "a.ply", "-x", 0.25)
    assert "pcsr upsample -x 4" in fail("sample", folder / "a.ply", "-x", 0.25)


def test_a_count_on_the_wrong_side_is_an_error(folder):
    assert "sample" in fail("upsample", folder / "a.ply", "-n", 10, status=1)
    assert "upsample" in fail("sample", folder / "a.ply", "-n", 100, status=1)
    assert names(folder) == ["a.ply"]


@pytest.mark.parametrize("command", ["upsample", "sample", "info", "render", "evaluate", "benchmark"])
def test_missing_arguments_are_usage_errors(command):
    assert "Missing" in fail(command, status=2)


def test_unknown_names_elsewhere(folder):
    a = folder / "a.ply"
    assert "pugan-2019" in fail("evaluate", a, a, "--convention", "pugan-2018")
    assert "up4" in fail("benchmark", "--data", folder, "--task", "up5", "--model", "jet")
    assert "--model" in fail("benchmark", "--data", folder, "--task", "up4", "--model", "jett")
    assert "nothing*" in fail("models", "nothing*", status=1)
    assert "No such command" in fail("downsample", a)


# -- inputs


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.ply", None, "no such file"),
        ("zero.ply", b"", "empty"),
        ("truncated.ply", b"ply\nformat ascii 1.0\nelement vertex 9\nproperty float x\n", "truncated.ply"),
        ("cloud.docx", b"words", "docx"),
        ("nan.xyz", b"nan 0 0\n0 nan 0\n1 1 inf\n", "row 0"),
        ("words.xyz", b"once upon a time\n", "words.xyz"),
        ("short.las", b"LASF" + bytes(50), "short.las"),
    ],
)
@pytest.mark.parametrize("command", ["upsample", "render"])
def test_a_bad_file_is_named(tmp_path, command, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = names(tmp_path)
    options = ("-x", 2) if command == "upsample" else ("-o", tmp_path / "out.png")
    message = fail(command, tmp_path / name, *options, status=1)
    assert name in message
    assert said in message
    assert "unexpected" not in message
    assert names(tmp_path) == before


@pytest.mark.parametrize("command", ["upsample", "sample", "recover", "roundtrip", "evaluate"])
def test_a_row_with_nan_is_named_once_and_without_advice_in_python(tmp_path, command):
    (tmp_path / "nan.xyz").write_text("0 0 0\n0 nan 0\n1 1 1\n")
    options = (tmp_path / "nan.xyz",) if command == "evaluate" else ("-x", 2)
    options += ("--strict",)
    message = fail(command, tmp_path / "nan.xyz", *options, status=1)
    assert message.count("nan.xyz") == 1
    assert "row 1" in message
    assert "numpy" not in message
    assert "the cloud" not in message


def test_more_points_than_were_drawn_from_a_mesh(tmp_path):
    (tmp_path / "tetra.off").write_text("OFF\n4 2 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 3 1\n")
    message = fail_after_output("sample", tmp_path / "tetra.off", "-n", 9000)
    assert "tetra.off" in message
    assert "--points" in message


def fail_after_output(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 1
    return result.stderr


def test_an_empty_cloud_is_an_error(tmp_path):
    write(Cloud(np.zeros((0, 3))), tmp_path / "none.ply")
    assert "none.ply" in fail("upsample", tmp_path / "none.ply", "-x", 2, status=1)
    assert "none.ply" in fail("render", tmp_path / "none.ply", "-o", tmp_path / "out.png", status=1)
    assert names(tmp_path) == ["none.ply"]


# -- outputs


def test_an_existing_output_stays(folder, pipeline):
    (folder / "a_x2.ply").write_text("precious")
    assert "--overwrite" in fail("upsample", folder / "a.ply", "-x", 2, status=1)
    (folder / "p.png").write_text("precious")
    assert "--overwrite" in fail("render", folder / "a.ply", "-o", folder / "p.png", status=1)
    assert (folder / "a_x2.ply").read_text() == (folder / "p.png").read_text() == "precious"


def test_an_input_is_never_written_over(folder, pipeline):
    before = (folder / "a.ply").read_bytes()
    os.link(folder / "a.ply", folder / "link.ply")
    for target in (folder / "a.ply", folder / ".." / folder.name / "a.ply", folder / "link.ply"):
        assert "input" in fail("upsample", folder / "a.ply", "-x", 2, "-o", target, "--overwrite", status=1)
    assert (folder / "a.ply").read_bytes() == before
    os.link(folder / "a.ply", folder / "link.png")
    assert "input" in fail("render", folder / "a.ply", "-o", folder / "link.png", "--overwrite", status=1)
    assert (folder / "a.ply").read_bytes() == before


def test_one_output_for_several_inputs(folder, pipeline):
    write(Cloud(np.eye(3)), folder / "b.ply")
    assert "folder" in fail("upsample", folder / "a.ply", folder / "b.ply", "-x", 2, "-o", folder / "c.ply")
    assert names(folder) == ["a.ply", "b.ply"]


def test_two_inputs_of_one_name(folder, pipeline):
    (folder / "sub").mkdir()
    write(Cloud(np.eye(3)), folder / "sub" / "a.ply")
    message = fail("upsample", folder / "a.ply", folder / "sub" / "a.ply", "-x", 2, "-o", folder / "out")
    assert str(folder / "sub" / "a.ply") in message
    assert not (folder / "out").exists()


def test_a_missing_output_folder(folder, pipeline):
    assert "nowhere" in fail("upsample", folder / "a.ply", "-x", 2, "-o", folder / "nowhere" / "b.ply", status=1)
    (folder / "file").write_text("")
    message = fail("upsample", folder / "a.ply", "-x", 2, "-o", f"{folder / 'file'}/", status=1)
    assert "file" in message


def test_a_picture_of_an_unknown_kind(folder):
    assert ".png" in fail("render", folder / "a.ply", "-o", folder / "a.xyz", status=1)


@pytest.mark.parametrize(
    "options",
    [
        ("--size", "big"),
        ("--size", "0x0"),
        ("--view", "10"),
        ("--view", "a,b"),
        ("--view", "nan,0"),
        ("--up", "w"),
        ("--background", "nocolr"),
        ("--point-size", "-1"),
        ("--color-by", "distance"),
        ("--color-by", "z", "--reference", "a.ply"),
    ],
)
def test_bad_options_of_render(folder, options):
    fail("render", folder / "a.ply", "-o", folder / "p.png", *options)
    assert names(folder) == ["a.ply"]


def test_a_full_disk_leaves_nothing(folder, pipeline, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in fail("upsample", folder / "a.ply", "-x", 2, status=1)
    assert names(folder) == ["a.ply"]


# -- what nobody expected


@pytest.mark.parametrize(
    ("error", "said", "status"),
    [
        (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero", 1),
        (MemoryError(), "out of memory", 1),
        (KeyboardInterrupt(), "Interrupted", 130),
    ],
)
def test_exceptions_become_one_message(folder, pipeline, error, said, status):
    def explode(cloud, ratio, **options):
        raise error

    pipeline.upsample = explode
    message = fail("upsample", folder / "a.ply", "-x", 2, status=status)
    assert said in message
    assert ("--verbose" in message) == isinstance(error, ZeroDivisionError)
    assert names(folder) == ["a.ply"]


def test_verbose_shows_the_traceback(folder, pipeline):
    def explode(cloud, ratio, **options):
        raise ZeroDivisionError("division by zero")

    pipeline.upsample = explode
    result = CliRunner().invoke(main, ["upsample", str(folder / "a.ply"), "-x", "2", "--verbose"])
    assert result.exit_code == 1
    assert "in explode" in result.stderr

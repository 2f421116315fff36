"""The command line as real processes: start-up, signals, pipes, terminals."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pcsr_zoo.cloud import Cloud
from pcsr_zoo.io import write

PCSR = [sys.executable, "-m", "pcsr_zoo"]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@pytest.fixture
def cloud(tmp_path):
    write(Cloud(np.random.default_rng(0).normal(size=(60, 3))), tmp_path / "a.ply")
    return tmp_path / "a.ply"


def test_help_is_fast():
    best = min(_seconds([*PCSR, "--help"]) for _ in range(3))
    assert best < 1.5


def _seconds(command):
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from pcsr_zoo.cli import main\n"
        "for command in ['--help'], ['upsample', '--help'], ['benchmark', '--help']:\n"
        "    main(command, standalone_mode=False)\n"
        "heavy = 'torch', 'open3d', 'scipy', 'numpy', 'PIL', 'tqdm'\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_module_and_status():
    done = subprocess.run([*PCSR, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pcsr, version ")
    done = subprocess.run([*PCSR, "info", "no-such-file.ply"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


# Stops while the output is written: after the bytes are in the temporary file, before it gets its name.
STOPPED = """
import os, sys, time
from pcsr_zoo.pipelines import resample
resample.upsample = lambda cloud, ratio, **options: cloud
def wait(handle):
    print("writing", flush=True)
    time.sleep(60)
os.fsync = wait
from pcsr_zoo.cli import main
main(sys.argv[1:])
"""


@posix
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_no_file(cloud, number, status):
    command = [sys.executable, "-c", STOPPED, "upsample", str(cloud), "-x", "4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert len(list(cloud.parent.iterdir())) == 2  # it was writing indeed
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in err
    assert [path.name for path in cloud.parent.iterdir()] == ["a.ply"]


@posix
def test_a_closed_pipe_is_no_error_message(cloud):
    command = [*PCSR, "info", str(cloud)]
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as gone:
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert "Error" not in done.stderr


@posix
@pytest.mark.parametrize("quiet", [False, True])
def test_the_bar_is_for_terminals_only(cloud, quiet):
    import pty

    outer, inner = pty.openpty()
    code = (
        "import sys\nfrom pcsr_zoo.cli.app import Session\nimport click\n"
        "from pcsr_zoo.cli.progress import progress_bar\n"
        f"context = click.Context(click.Command('x'), obj=Session(quiet={quiet}))\n"
        "with context, progress_bar('a.ply') as update:\n"
        f"    assert (update is None) == {quiet}\n"
        "    update and update('fitting', 0.5)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stderr=inner)
    shown = b""
    while select.select([outer], [], [], 0.1)[0]:
        shown += os.read(outer, 4096)
    os.close(inner)
    os.close(outer)
    assert (b"a.ply: fitting  50%" in shown) != quiet
    assert bool(shown) != quiet

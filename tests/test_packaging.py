"""What users get from pip: the version, the type marker, the entry points, an import that costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import pcsr_zoo

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "open3d", "scipy", "sklearn", "matplotlib", "laspy", "huggingface_hub")


def is_installed() -> bool:
    try:
        metadata.distribution("pcsr-zoo")
    except metadata.PackageNotFoundError:
        return False
    return True


installed = pytest.mark.skipif(not is_installed(), reason="the checkout is used without being installed")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT)


@installed
def test_version_is_the_installed_one() -> None:
    assert metadata.version("pcsr-zoo") == pcsr_zoo.__version__


def test_types_are_shipped() -> None:
    assert resources.files("pcsr_zoo").joinpath("py.typed").is_file()


def test_everything_public_can_be_reached() -> None:
    assert [name for name in pcsr_zoo.__all__ if getattr(pcsr_zoo, name, None) is None] == []
    assert set(pcsr_zoo.__all__) <= set(dir(pcsr_zoo))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = pcsr_zoo.no_such_name


@pytest.mark.parametrize("code", ["import pcsr_zoo", "import pcsr_zoo.cli"])
def test_import_is_light(code: str) -> None:
    loaded = python("-c", f"{code}; import sys; print(*sorted({set(HEAVY)} & set(sys.modules)))")
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == []


@pytest.mark.skipif(sys.platform == "win32", reason="the times of child processes are not told there")
@pytest.mark.parametrize("arguments", [("-c", "import pcsr_zoo"), ("-m", "pcsr_zoo", "--help")])
def test_start_takes_under_half_a_second(arguments: tuple[str, ...]) -> None:
    """As CONTRIBUTING.md says; in seconds of a core, so that a busy machine does not matter."""
    seconds = []
    for _ in range(3):
        before = os.times()
        assert python(*arguments).returncode == 0
        after = os.times()
        spent = (after.children_user - before.children_user) + (after.children_system - before.children_system)
        seconds.append(spent)
    assert min(seconds) < 0.5, seconds


@installed
def test_module_and_console_script_are_the_same_program() -> None:
    script = Path(sys.executable).with_name("pcsr.exe" if os.name == "nt" else "pcsr")
    assert script.exists(), "the console script is not beside the interpreter"
    by_module = python("-m", "pcsr_zoo", "--version")
    by_script = subprocess.run([str(script), "--version"], capture_output=True, text=True, timeout=120)
    assert by_module.returncode == by_script.returncode == 0, by_module.stderr + by_script.stderr
    assert pcsr_zoo.__version__ in by_module.stdout
    assert by_module.stdout == by_script.stdout


@installed
def test_constraints_pin_every_direct_dependency() -> None:
    """An unpinned torch would bring another release than the one that Open3D is built for."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0] for line in lines if line and not line.startswith("#")}
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    wanted = set()
    for requirement in metadata.requires("pcsr-zoo") or []:
        name = requirement.partition(";")[0]
        for stop in "[<>=!~ ":
            name = name.partition(stop)[0]
        wanted.add(name.strip().lower().replace("_", "-"))
    assert wanted - {"pcsr-zoo"} <= pinned

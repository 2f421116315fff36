"""One command from a fresh clone to a result. Needs Python 3.10 or later and nothing else.

    python3 dev.py demo       upsample the sample cloud four times, write the result and a picture
    python3 dev.py test       run the tests (further arguments go to pytest: python3 dev.py test -k ply)
    python3 dev.py check      ruff and mypy
    python3 dev.py generate   write what is made from the model classes: README's table, examples/open3d_ml/NAME.yml,
                             snapshots of outputs
    python3 dev.py weights    train the shipped weights again, one after another; --list shows them, -h the options
    python3 dev.py setup      only install

Each sets up what it needs first: a virtual environment in .venv (or where PCSR_VENV says), with the package
in editable mode and the versions of constraints.txt. It is brought up to date when pyproject.toml or
constraints.txt change. To enter it: source .venv/bin/activate (on Windows: .venv\\Scripts\\activate).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("PCSR_VENV") or ROOT / ".venv").absolute()
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
ENTER = VENV / "Scripts" / "activate" if os.name == "nt" else f"source {VENV / 'bin' / 'activate'}"
# System libraries that Open3D's Linux wheels link to and slim images lack (libusb comes with a wheel).
OPEN3D_NEEDS = "libegl1 libgl1 libx11-6"
INSTALL = ["-m", "pip", "install", "-c", "constraints.txt", "-e", ".[dev]"]


def run(*command: str | Path) -> None:
    """Run a command in the repository's root; leave with its status if it fails."""
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    status = subprocess.run(words, cwd=ROOT).returncode
    if status:
        sys.exit(status if status > 0 else 1)


def works(python: Path) -> bool:
    if not python.exists():
        return False
    return subprocess.run([str(python), "-m", "pip", "--version"], capture_output=True).returncode == 0


def setup() -> None:
    """Make the virtual environment and install, unless both were done for the files as they are now."""
    stamp = VENV / ".pcsr-zoo-installed"
    wanted = hashlib.sha256(str(ROOT).encode())
    for name in ("pyproject.toml", "constraints.txt"):
        wanted.update((ROOT / name).read_bytes())
    if works(PYTHON) and stamp.exists() and stamp.read_text() == wanted.hexdigest():
        return
    if not works(PYTHON):
        print(f"Making a virtual environment in {VENV}", flush=True)
        if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)]).returncode:
            sys.exit("Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv")
    print("Installing the package and what it needs; the first time takes minutes", flush=True)
    run(PYTHON, *INSTALL, *([] if sys.stdout.isatty() else ["--quiet"]))
    stamp.write_text(wanted.hexdigest())


def demo() -> None:
    out = ROOT / "runs" / "demo"
    out.mkdir(parents=True, exist_ok=True)
    sparse, dense, picture = (
        ROOT / "examples/data/sculpture.ply",
        out / "sculpture_x4.ply",
        out / "sculpture_x4.png",
    )
    pcsr = [PYTHON, "-m", "pcsr_zoo"]
    run(*pcsr, "upsample", sparse, "-x", "4", "-o", dense, "--overwrite")
    look = ["--view=-60,15", "--size", "520x500"]
    run(*pcsr, "render", sparse, dense, "-o", picture, *look, "--overwrite")
    print(f"The result: {dense}\nThe picture: {picture}\nTo use pcsr yourself, enter the environment: {ENTER}")


def test(arguments: list[str]) -> None:
    """The tests compare with Open3D, so say plainly when it is there and cannot be loaded."""
    probe = "from pcsr_zoo._open3d import import_open3d; import_open3d()"
    done = subprocess.run([str(PYTHON), "-c", probe], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        hint = f"\nOn Debian and Ubuntu: apt-get install {OPEN3D_NEEDS}" if sys.platform == "linux" else ""
        sys.exit(done.stderr.strip().splitlines()[-1] + hint)
    run(PYTHON, "-m", "pytest", "-n", "auto", *arguments)  # a later -n 0 runs them in one process


def check() -> None:
    """All three run, so that one run tells everything."""
    tools = (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"])
    failed = [tool for tool in tools if subprocess.run([str(PYTHON), "-m", *tool], cwd=ROOT).returncode]
    if failed:
        sys.exit("failed: " + ", ".join(" ".join(tool) for tool in failed))


def main(arguments: list[str]) -> None:
    if sys.version_info < (3, 10):  # noqa: UP036 - reached before pip could refuse
        sys.exit(f"Python 3.10 or later is needed, this is {sys.version.split()[0]}; try: python3.11 dev.py")
    command, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if command not in ("demo", "test", "check", "generate", "weights", "setup") or (
        rest and command not in ("test", "weights")
    ):
        sys.exit(__doc__)
    setup()
    if command == "demo":
        demo()
    elif command == "check":
        check()
    elif command == "generate":
        run(PYTHON, "docs/overview.py")
        run(PYTHON, "benchmarks/pages.py")
        run(PYTHON, "tests/models/test_shipped.py")  # snapshots of models that have none
    elif command == "test":
        test(rest)
    elif command == "weights":
        run(PYTHON, "benchmarks/weights.py", *rest)
    else:
        print(f"To enter the environment: {ENTER}")


if __name__ == "__main__":
    main(sys.argv[1:])

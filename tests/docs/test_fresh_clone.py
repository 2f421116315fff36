"""The README as a stranger follows it: a clone, its two commands, and every block in order, as they stand.

The clone installs into an environment of its own, which takes minutes. `pcsr finetune` takes two steps, the tests are
those of one file, and what needs the evaluation data is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository"),
]


def test_every_block_of_the_readme_runs_as_it_stands(tmp_path):
    """One shell for all blocks of bash, so that the environment that one block enters holds for the next ones."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    text = (clone / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(bash|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    script = ["set -euo pipefail", "mkdir my_scans", "cp examples/data/*.ply my_scans/"]
    for number, (language, block) in enumerate(found):
        if language == "python":
            (clone / f"block{number}.py").write_text(block)
            script.append(f"python block{number}.py")
        else:
            lines = [line for line in block.splitlines() if "--data DATA" not in line]
            block = "\n".join(lines).replace("dev.py test ", "dev.py test tests/test_zoo.py ")
            script.append(re.sub(r"^pcsr finetune \S.*", r"\g<0> --steps 2", block, flags=re.MULTILINE))
    variables = {
        key: value for key, value in os.environ.items() if key not in ("PCSR_VENV", "VIRTUAL_ENV", "PYTHONPATH")
    }
    base = Path(getattr(sys, "_base_executable", sys.executable)).parent
    variables["PATH"] = os.pathsep.join([str(base), "/usr/local/bin", "/usr/bin", "/bin"])
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=clone, env=variables, capture_output=True, text=True, timeout=3000
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for name in ("runs/demo/sculpture_x4.ply", "scan_x4.ply", "again.ply", "both.png", "dense.ply", "fine.ply"):
        assert (clone / name).stat().st_size > 1000, name

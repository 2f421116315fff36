"""The documentation site: it builds without a warning, and has what it promises."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pcsr_zoo import read, write

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "mkdocs.yml").is_file():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)


def test_the_quickstart_runs(monkeypatch, tmp_path):
    """Its Python, in one go, as a reader types it; on a part of the sample cloud, to be quick."""
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    (tmp_path / "examples" / "data").mkdir(parents=True)
    write(read(ROOT / "examples" / "data" / "sculpture.ply")[:400], tmp_path / "examples" / "data" / "sculpture.ply")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert len(names["again"]) == len(names["cloud"]) == 400
    assert len(names["dense"]) == len(read("dense.ply")) == 1600
    assert {"normals", "colors"} <= set(names["dense"].attributes)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra docs")
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr

    def page(name: str) -> str:
        return (tmp_path / name).read_text(encoding="utf-8")

    assert "pcsr upsample" in page("cli.html")  # of click
    assert "keep_input" in page("api.html")  # of the docstring
    assert "138,147 parameters" in page("models/jetnet.html")  # of the model card
    assert 'href="../recovery.html"' in page("models/pointlie.html")  # links of a page that lies in another folder
    assert 'href="jetnet.html"' in page("models/pointlie.html")
    assert (tmp_path / "models" / "errors_x4.png").is_file()
    assert 'href="models/pointlie-geo.html"' in page("models.html")  # of the table of models
    for family in (ROOT / "pcsr_zoo" / "models").glob("*/page.md"):
        name = family.parent.name.replace("_", "-")
        assert f'href="models/{name}.html" class="md-nav__link"' in page("index.html"), name
    assert "repository/CONTRIBUTING.html" in page("training.html")  # a link that led out of docs/
    assert (tmp_path / "repository" / "CONTRIBUTING.html").is_file()

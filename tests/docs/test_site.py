"""The documentation site: it builds without a warning, and has what it promises."""

from __future__ import annotations

import html
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "mkdocs.yml").is_file():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)


def test_every_module_of_the_reference_exists():
    """Without mkdocs: what a page asks mkdocstrings for is a module or a name in one."""
    names = {
        name for page in (ROOT / "docs").rglob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)
    }
    assert len(names) > 50
    for name in sorted(names):
        pkgutil.resolve_name(name)  # raises where there is nothing of this name


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

    assert "--keep-input" in page("cli/upsample.html")  # of click
    assert 'href="cli/models-pull.html"' in page("cli.html")
    assert "keep_input" in page("reference/functions.html")  # of the docstring
    assert "138,147" in page("repository/hub_configs/jetnet/index.html")  # a model card, to which the next line links
    assert 'href="../repository/hub_configs/jetnet/index.html"' in page("models/jetnet.html")
    assert "messages" in page("models/jetnet-classes.html")
    assert 'href="../recovery.html"' in page("models/pointlie.html")  # links of a page that lies in another folder
    assert 'href="jetnet.html"' in page("models/pointlie.html")
    assert (tmp_path / "models" / "errors_x4.png").is_file()
    assert 'href="models/pointlie-geo.html"' in page("models.html")  # of the table of models
    for family in (ROOT / "pcsr_zoo" / "models").glob("*/page.md"):
        name = family.parent.name.replace("_", "-")
        assert f'href="models/{name}.html" class="md-nav__link"' in page("index.html"), name
    assert 'href="../benchmarks/' not in page("repository/BENCHMARKS.html")
    assert 'href="benchmarks/upsampling.html"' in page("repository/BENCHMARKS.html")  # a copy that links to a copy
    assert "repository/CONTRIBUTING.html" in page("training.html")  # a link that led out of docs/
    assert (tmp_path / "repository" / "CONTRIBUTING.html").is_file()
    for path in tmp_path.rglob("*.html"):
        assert words(path.read_text(encoding="utf-8")) < 1500, path.relative_to(tmp_path)


def words(page: str) -> int:
    """Of the article of a page, without the navigation; the spans of highlighted code do not divide words."""
    found = re.search(r"<article.*?</article>", page, re.DOTALL)
    text = re.sub(r"</?(?:span|a|code)\b[^>]*>", "", found[0]) if found else ""
    return len(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())

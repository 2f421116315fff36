"""docs/open3d-ml.md: all its blocks, as a reader types them, in order and in one folder; trainings are shortened."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from open3d_ml_case import require_open3d_ml

import pcsr_zoo
from pcsr_zoo import read

require_open3d_ml()

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "open3d-ml.md"
if not PAGE.is_file():
    pytest.skip("the documentation comes with the checkout", allow_module_level=True)


def test_all_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    text = re.sub(r"(\bsteps\"?: )\d+", r"\g<1>2", PAGE.read_text(encoding="utf-8"))
    names: dict = {}
    installed = saved = commands = 0
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if language == "yaml":
            (name,) = re.findall(r"\A# (\S+)\n", block)
            Path(name).write_text(block)
            saved += 1
        elif language == "python":
            exec(compile(block, PAGE.name, "exec"), names)
        else:
            assert language == "bash"
            for line in block.splitlines():
                if line.startswith("pip install"):
                    installed += 1
                    continue
                words = shlex.split(line)
                assert words[0] == "python"
                done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
                commands += 1
    assert (installed, saved, commands) == (1, 1, 3)

    logs = tmp_path / "runs" / "open3d_ml" / "logs"
    reports = [json.loads(path.read_text()) for path in (logs / "JetNet_CloudFolder_torch").glob("log_test_*.json")]
    assert [report["per_shape"]["sculpture"]["points_in"] for report in reports] == [1024, 1024]
    assert all(0 < report["cd"] < 100 for report in reports)
    assert len(read("runs/open3d_ml/test/CloudFolder/sculpture.ply")) == 4096
    assert len(pcsr_zoo.load(logs / "JetNet_CloudFolder_torch" / "training").upsample(names["points"][:100])) == 400

    assert [len(names[name]["point"]) for name in ("few", "dense", "fine", "result")] == [512, 4096, 1024, 4096]
    assert [len(read(f"runs/ball_{k}.ply")) for k in (0, 1)] == [6000, 6000]
    assert pcsr_zoo.load(logs / "JetNet_Balls_torch" / "training").config["about"]["settings"]["steps"] == 2


def test_each_option_that_the_page_calls_refused_is_refused():
    """Those of the last list; those of the other lists are tested where they are used."""
    from pcsr_zoo.errors import OptionError
    from pcsr_zoo.open3d_ml.options import refuse_unused

    rows = PAGE.read_text(encoding="utf-8").partition("Instead of Open3D-ML's:")[2].partition("\n## ")[0]
    names = [name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.partition(": ")[0])]
    assert len(names) == 15
    for name in names:
        with pytest.raises(OptionError, match=f"'{name}'"):
            refuse_unused("it", {name: 1}, [])


def test_the_page_lists_the_options_of_every_class_and_their_defaults():
    import inspect

    from pcsr_zoo.open3d_ml.base_pipeline import ZooPipeline
    from pcsr_zoo.open3d_ml.datasets import DATASETS, ZooDataset
    from pcsr_zoo.open3d_ml.models import ZooModel
    from pcsr_zoo.open3d_ml.pipelines import PIPELINES

    text = PAGE.read_text(encoding="utf-8").partition("\n## Options\n")[2].partition("\nAn option that is not used")[0]
    rows: dict[str, dict[str, str]] = {}
    for head, items in re.findall(r"^`(.+)`:\n\n((?:[- ] .+\n)+)", text, re.M):
        found = re.findall(r"^- ((?:`\w+`(?: \(.+?\))?(?:, )?)+)", items, re.M)
        rows[head] = dict(pair for names in found for pair in re.findall(r"`(\w+)`(?: \((.+?)\))?", names))
    passed = {"self", "model", "dataset", "name", "split", "device_ids", "mode", "args", "others", "options", "unknown"}
    passed |= {"arguments", "own"}

    def options(cls):
        return set(inspect.signature(cls).parameters) - passed

    for cls in DATASETS:
        assert options(cls) == rows[f"dataset: {cls.__name__}"].keys()
    for cls in PIPELINES:
        assert (options(cls) - options(ZooPipeline)) | set(cls.own_options) == rows[cls.__name__].keys()
    assert options(ZooPipeline) == rows["pipeline"].keys()
    assert options(ZooModel) - {"seed", "device"} == rows["model"].keys()
    assert options(ZooDataset) - {"dataset_path"} == rows["each of these data sets"].keys() - {"name"}
    owners = {"model": ZooModel, "pipeline": ZooPipeline, "each of these data sets": ZooDataset}
    for head, cls in (owners | {f"dataset: {cls.__name__}": cls for cls in DATASETS}).items():
        for name, parameter in inspect.signature(cls).parameters.items():
            if name in rows[head] and name != "name" and parameter.default not in (None, "", parameter.empty):
                default = parameter.default
                told = rows[head][name].strip("`")
                assert told == (str(default).lower() if isinstance(default, bool) else str(default))

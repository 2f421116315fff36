"""What the documentation and the examples take from the model classes, so that nobody copies it by hand.

- `pages` and `navigation`: the page of each family, `pcsr_zoo/models/FAMILY/page.md`, as `models/NAME.md` of the site.
- `model_table`: the table of models in docs/models.md.
- `open3d_config`: examples/open3d_ml/NAME.yml of a model class.

`python dev.py generate` runs this file, which writes the table and the configurations.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, NamedTuple

import pcsr_zoo
from pcsr_zoo.catalog import Resolved, checkpoints_of
from pcsr_zoo.models.base import is_learned, tasks_of
from pcsr_zoo.models.registry import families
from pcsr_zoo.zoo import UPSAMPLER

ROOT = Path(__file__).resolve().parents[1]
MODELS, CONFIGS = ROOT / "docs" / "models.md", ROOT / "examples" / "open3d_ml"
BEGIN, END = "<!-- models -->", "<!-- /models -->"
MADE = "# Made by `python dev.py generate`; changes here are lost."

_RATIO = 4  # of a model that takes any


# -- pages


class Page(NamedTuple):
    """The page of a family: its title, its place in the site, and its file."""

    title: str
    uri: str
    path: Path


def pages() -> dict[str, Page]:
    """Family -> its page.

    Raises:
        FileNotFoundError: a family has none.
    """
    return {family: _page(family) for family in families()}


def _page(family: str) -> Page:
    path = Path(inspect.getfile(families()[family][0])).with_name("page.md")
    title = re.match(r"# (.+)", path.read_text(encoding="utf-8"))
    name = family.replace("_", "-")
    return Page(title[1].strip() if title else name, f"models/{name}.md", path)


def navigation() -> list[dict[str, str]]:
    """The entries of the navigation for the pages of all families."""
    return [{page.title: page.uri} for page in pages().values()]


# -- the table of models


def model_table(up: str = "") -> str:
    """The models of this package as a Markdown table.

    Args:
        up: leads from the folder of the page to the root of the repository, such as "../".
    """
    rows = ["| model | does | made for | kind | what it is | source |", "|---|---|---|---|---|---|"]
    for family, classes in families().items():
        for cls in classes:
            rows.append(_row(cls, f"{up}pcsr_zoo/models/{family}/page.md"))
    return "\n".join(rows)


def _row(cls: Any, page: str) -> str:
    names = [checkpoint.name for checkpoint in checkpoints_of(cls)] or [cls.name]
    own = names[0].rpartition("-x")[0]  # the others are said shortly: `pointlie-x4`, `-x8`
    short = [name.removeprefix(own) if own and name.startswith(f"{own}-x") else name for name in names[1:]]
    label = ", ".join(f"`{name}`" for name in [names[0], *short])
    remark = " (default)" if {*names} & _defaults() else ""
    if is_learned(cls) and not checkpoints_of(cls):
        remark = " (no weights yet)"
    ratios = ", ".join(f"x{ratio}" for ratio in cls.ratios) or "any ratio"
    cells = [f"[{label}]({page}){remark}", ", ".join(tasks_of(cls)), ratios, cls.kind, cls.summary, _source(cls)]
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _source(cls: Any) -> str:
    """The source, with a link to the paper where its entry names it on arXiv."""
    found = re.search(r"arXiv:(\d{4}\.\d{4,5})", cls.paper.bibtex) if cls.paper is not None else None
    return f"[{cls.source}](https://arxiv.org/abs/{found[1]})" if found else cls.source


def _defaults() -> set[str]:
    """The models that the verbs use when nobody names one."""
    return {UPSAMPLER, inspect.signature(pcsr_zoo.sample).parameters["model"].default}


# -- configurations for Open3D-ML


def open3d_config(cls: Any) -> str:
    """A configuration that tests a model class in Open3D-ML, and trains it if it has a network."""
    learned, tasks = is_learned(cls), tasks_of(cls)
    weights = _usual(cls) if learned else None
    ratio = f"{(weights and weights.ratio) or _parameter(cls, 'ratio') or _RATIO:g}"
    if "upsample" in tasks and "sample" not in tasks:
        what, pipeline = f"Upsamples a cloud x{ratio}.", "PointCloudUpsampling"
    elif "recover" in tasks:
        what, pipeline = f"Samples a cloud to 1/{ratio} of its points, and recovers it.", "PointCloudRecovery"
    else:
        what, pipeline = f"Samples a cloud to 1/{ratio} of its points.", "PointCloudSampling"
    lines = [MADE, f"# {cls.name}: {cls.summary}", f"# {what}", *(_TRAINING_FILE if learned else [])]
    lines += ["dataset:", "  name: CloudFolder", f"  dataset_path: {_SAMPLE}"]
    lines += [f"  ratio: {ratio}{_THINNED}"] if pipeline == "PointCloudUpsampling" else []
    lines += ["  test_result_folder: runs/open3d_ml/test", "model:", f"  name: {cls.__name__}"]
    lines += [_ckpt_path(weights)] if learned else []
    lines += ["pipeline:", f"  name: {pipeline}"]
    lines += [f"  ratio: {ratio}"] if pipeline == "PointCloudSampling" else []
    lines += ["  convention: plain"]
    lines += ["  main_log_dir: runs/open3d_ml/logs", *(_training(weights) if learned else [])]
    return "\n".join(lines) + "\n"


_SAMPLE = "examples/data/sculpture.ply # a folder, or a file"
_THINNED = " # the cloud is the ground truth, and is sampled for the input; leave it out if the cloud is the input"
_TRAINING_FILE = [
    "# To train on many shapes, write name: TrainingFile, dataset_path: runs/train.npz. These commands make the file",
    "# (add meshes of your own, or folders of them):",
    "#   mkdir runs",
    "#   pcsr data build --generated 60 -o runs/train.npz",
]


def _usual(cls: Any) -> Resolved | None:
    """The checkpoint for the ratio that the class has by default, else the first one."""
    own = checkpoints_of(cls)
    return next((one for one in own if one.ratio == _parameter(cls, "ratio")), own[0] if own else None)


def _parameter(cls: Any, name: str) -> Any:
    """The default of an argument of the class; None where there is no such argument."""
    found = inspect.signature(cls).parameters.get(name)
    return None if found is None or found.default is inspect.Parameter.empty else found.default


def _ckpt_path(weights: Resolved | None) -> str:
    if weights is None:
        return "  ckpt_path: # there are no published weights: train first (--split train), or give a folder"
    return f"  ckpt_path: {weights.name} # or the folder of a checkpoint; empty: train from random weights"


def _training(weights: Resolved | None) -> list[str]:
    steps = "1000 # 20 for a trial" if weights is not None else "20000"
    return ["  training: # docs/training.md explains these and other keys", f"    steps: {steps}"]


# -- the generated files


def generated() -> dict[Path, str]:
    """The files that are made from the classes -> what belongs in them."""
    text = MODELS.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{MODELS} must have the lines {BEGIN} and {END}, once each")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    files = {MODELS: f"{before}{BEGIN}\n{model_table('../')}\n{END}{after}"}
    for classes in families().values():
        files |= {CONFIGS / f"{cls.name}.yml": open3d_config(cls) for cls in classes}  # type: ignore[attr-defined]
    return files


def leftovers() -> list[Path]:
    """Configurations that were made for classes that are no more."""
    made = (path for path in CONFIGS.glob("*.yml") if path.read_text(encoding="utf-8").startswith(MADE))
    return sorted({*made} - {*generated()})


def main() -> None:
    for path, text in generated().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"written: {path.relative_to(ROOT)}")
    for path in leftovers():
        path.unlink()
        print(f"removed: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

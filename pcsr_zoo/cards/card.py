"""Model cards: README.md of a checkpoint, rendered from its config.json; what nobody recorded is said to be missing.

The card reads these facts of "about", all of them optional; others are listed as they are:

    license     of the weights, an SPDX or Hub identifier such as "Apache-2.0"
    summary     one line
    data        what it was trained on: texts, or {"source", "license", "shapes", "held_out"}, see `data_facts`
    seed, steps, hours, hardware
    settings    of the training: {name: value}
    parent      the checkpoint that it was fine-tuned from
    measured    rows of the benchmark, see `measured`
    ablations   rows of other trainings or uses, see `ablations`
    failures    known ones, a list of texts
    ours, paper what is ours, and what is the paper's
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checkpoints.config import CARD, to_json
from ..checkpoints.folder import checkpoint_class, read_config, save_checkpoint, write_about
from ..checkpoints.shipped import is_ours
from ..errors import FileError
from ..io.atomic import atomic_path
from ..models.base import Paper, tasks_of
from .ablations import ablation_rows, ablation_table, merge_ablations
from .front_matter import front_matter
from .measured import merge_rows, rows_of, tables

if TYPE_CHECKING:
    from ..datasets.training_set import ShapeInfo

MISSING = "not recorded"
_OWN = "Somebody's own training of the model `{model}`: it does not come with pcsr-zoo, and has no name that loads it."
_ON_HUB = "Somebody's own training of the model `{model}`, which pcsr-zoo loads from here; it is not one of its own."
_FOLDER = "or the folder that this file is in"
_OWN_PLACE = ("license", "summary", "data", "settings", "measured", "ablations", "failures", "ours", "paper")


def data_facts(shapes: Iterable[ShapeInfo]) -> list[dict[str, Any]]:
    """The fact "data" of a training file: its shapes counted by source and license."""
    every: Counter[tuple[str, str]] = Counter()
    held: Counter[tuple[str, str]] = Counter()
    for shape in shapes:
        key = shape.source, shape.license
        every[key] += 1
        held[key] += shape.held_out
    return [
        {"source": source, "license": license, "shapes": count, "held_out": held[source, license]}
        for (source, license), count in every.items()
    ]


def save_with_card(
    folder: str | PathLike[str],
    model: Any,
    *,
    name: str | None = None,
    card: str | None = None,
    address: str | None = None,
    **about: Any,
) -> Path:
    """Write a checkpoint with its card; see `checkpoints.folder.save_checkpoint` for the arguments and errors.

    Args:
        card: the text of README.md; by default it is rendered from the facts.
        address: under which `load` will find it, such as "hf:owner/repo", for the card; by default the folder.

    Returns:
        The folder.
    """
    config = save_checkpoint(folder, model, name=name, **about)
    _write_card(folder, card or render_card(config, type(model), folder, address))
    return Path(folder)


def update_card(
    folder: str | PathLike[str],
    results: Sequence[Mapping[str, Any]] = (),
    failures: Sequence[str] | None = None,
    ablations: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Store results of the benchmark and known failures in a checkpoint's config.json, and render README.md anew.

    Args:
        folder: the checkpoint.
        results: of `run_benchmark`. A row replaces an older one of the same task, convention and model; rows of
            this checkpoint that were measured with other weights than it has now are dropped.
        failures: replace those that were known; None leaves them.
        ablations: what was changed -> a result of `run_benchmark` of that; older rows of the same text are replaced.

    Returns:
        The configuration as it is now.

    Raises:
        FileError: there is no good config.json, or a file cannot be written.
        OptionError: the results have no row of this checkpoint, or one of other weights.
    """
    config = read_config(folder)
    about = dict(config["about"])
    if results:
        new = rows_of(results, config, Path(folder))
        about["measured"] = merge_rows(about.get("measured") or [], new, config)
    if failures is not None:
        about["failures"] = list(failures)
    if ablations:
        rows = [row for label, result in ablations.items() for row in ablation_rows(label, result)]
        about["ablations"] = merge_ablations(about.get("ablations") or [], rows)
    config = json.loads(to_json({**config, "about": about}))
    try:
        cls = checkpoint_class(folder, config)
    except FileError:  # a class that only its author's program registers
        cls = None
    card = render_card(config, cls, folder)  # before anything is written
    write_about(folder, about)
    _write_card(folder, card)
    return config


def _write_card(folder: str | PathLike[str], text: str) -> None:
    with atomic_path(Path(folder, CARD)) as temporary:
        temporary.write_bytes(text.encode())


def render_card(
    config: Mapping[str, Any],
    model_class: Any = None,
    folder: str | PathLike[str] | None = None,
    address: str | None = None,
) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads.

    Args:
        config: of config.json.
        model_class: of which the checkpoint is; None where it is not known here.
        folder: where the checkpoint is. Unless `load` finds it by its name, the card shows how to load the folder.
            None: by its name.
        address: under which `load` finds it, such as "hf:owner/repo", if it is not one of ours.
    """
    name, about = config["name"], config["about"]
    tasks = tasks_of(model_class) if model_class is not None else ("upsample",)
    source, paper = getattr(model_class, "source", ""), getattr(model_class, "paper", None)
    ours = folder is None or is_ours(folder, config)
    loaded = name if ours else address or f"path/to/{Path(folder or '.').resolve().name}"
    theirs, own = ("there is none", "the model") if source == "ours" else (source or MISSING, MISSING)
    failures = about.get("failures") or ["None recorded, which does not mean that there are none."]
    settings = about.get("settings")
    parts = [
        front_matter(config, tasks),
        f"# {name}",
        _sentence(about.get("summary") or getattr(model_class, "summary", f"Trained weights of `{config['model']}`")),
        f"{config['parameters']:,} parameters. License of the weights: {about.get('license') or MISSING}.",
        *([] if ours else [(_ON_HUB if address else _OWN).format(model=config["model"])]),
        "## Use",
        _usage(loaded, config, tasks, _FOLDER if ours or address else "the folder of this file"),
        "## Training",
        "Data:",
        _data(about.get("data")),
        _facts(about),
        f"Settings:\n\n```json\n{_json(settings)}\n```" if settings else f"Settings: {MISSING}.",
        "## Results",
        tables(about.get("measured") or [], getattr(model_class, "published", {})),
        *([ablation_table(about["ablations"])] if about.get("ablations") else []),
        "## Known failures",
        "\n".join(f"- {' '.join(text.split())}" for text in failures),
        "## Whose work",
        f"- From the paper: {_sentence(about.get('paper') or theirs)}\n- Ours: {_sentence(about.get('ours') or own)}",
        "## Citation",
        _citation(paper),
        f"sha256 of `model.safetensors`: `{config['sha256']}`",
    ]
    return "\n\n".join(parts) + "\n"


def _citation(paper: Paper | None) -> str:
    """Whom to cite for the weights, in Markdown."""
    if paper is None:
        return "The package, pcsr-zoo, by its name and version: there is no paper."
    return f"The paper, and pcsr-zoo by its name and version for the weights:\n\n```bibtex\n{paper.bibtex}\n```"


def _usage(name: str, config: Mapping[str, Any], tasks: Sequence[str], remark: str) -> str:
    ratio = config.get("arguments", {}).get("ratio")
    ratio = f"{ratio:g}" if isinstance(ratio, (int, float)) else "4"
    given = f'pcsr_zoo.load("{name}")  # {remark}'
    if "sample" in tasks and "recover" in tasks:
        own = f" -m {name}" if "/" in name else ""  # no file remembers a folder, and none is trusted with an address
        return f"""```python
import pcsr_zoo

model = {given}
few = model.sample(pcsr_zoo.read("scan.ply"), {ratio})  # or an array, a tensor, an Open3D cloud
dense = model.recover(few)
pcsr_zoo.write(dense, "recovered.ply")
```

On the command line: `pcsr sample scan.ply -x {ratio} -m {name} -o few.ply`, then `pcsr recover few.ply{own}`."""
    sampling = "upsample" not in tasks and "sample" in tasks
    verb, thing, file = ("sample", "few", "few.ply") if sampling else ("upsample", "dense", "scan_x4.ply")
    return f"""```python
import pcsr_zoo

model = {given}
{thing} = model.{verb}(pcsr_zoo.read("scan.ply"), 4)  # or an array, a tensor, an Open3D cloud
pcsr_zoo.write({thing}, "{file}")
```

On the command line: `pcsr {verb} scan.ply -x 4 -m {name}`."""


def _data(data: Any) -> str:
    if not data:
        return f"- {MISSING}"
    lines = []
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, Mapping):
            known = ("source", "license", "shapes", "held_out")
            count = f"{item['shapes']} shapes" if "shapes" in item else ""
            held = f" ({item['held_out']} of them held out)" if item.get("held_out") else ""
            parts = [f"license: {item.get('license') or MISSING}", count + held]
            parts += [f"{key}: {_text(value)}" for key, value in item.items() if key not in known]
            lines.append(f"- {item.get('source') or MISSING}; {'; '.join(part for part in parts if part)}")
        else:
            lines.append(f"- {item}")
    return "\n".join(lines)


def _facts(about: Mapping[str, Any]) -> str:
    facts = {key: about.get(key) for key in ("seed", "steps", "hours", "hardware")}
    facts |= {key: value for key, value in about.items() if key not in facts and key not in _OWN_PLACE}
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_text(value)} |" for key, value in facts.items())])


def _text(value: Any) -> str:
    """On one line of a table."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:.6g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split()).replace("|", "\\|")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _sentence(text: str) -> str:
    return text.rstrip().rstrip(".") + "."

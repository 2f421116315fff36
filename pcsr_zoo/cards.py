"""Model cards: README.md of a checkpoint, rendered from its config.json; what nobody recorded is said to be missing.

The card reads these facts of "about", all of them optional; others are listed as they are:

    licence     of the weights, an SPDX or Hub identifier such as "Apache-2.0"
    summary     one line
    data        what it was trained on: texts, or {"source", "licence", "shapes", "held_out"}, see `data_facts`
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

from .ablations import ablation_rows, ablation_table, merge_ablations
from .checkpoint_config import CARD, to_json
from .checkpoints import checkpoint_class, is_ours, read_config, write_about
from .citations import citation
from .errors import FileError
from .front_matter import front_matter
from .io.atomic import atomic_path
from .measured import merge_rows, rows_of, tables
from .models.base import tasks_of

if TYPE_CHECKING:
    from .datasets.training_set import ShapeInfo

MISSING = "not recorded"
_OWN = "Somebody's own training of the model `{model}`: it does not come with pcsr-zoo, and has no name that loads it."
_ON_HUB = "Somebody's own training of the model `{model}`, which pcsr-zoo loads from here; it is not one of its own."
_FOLDER = "or the folder that this file is in"
_OWN_PLACE = ("licence", "summary", "data", "settings", "measured", "ablations", "failures", "ours", "paper")


def data_facts(shapes: Iterable[ShapeInfo]) -> list[dict[str, Any]]:
    """The fact "data" of a training file: its shapes counted by source and licence."""
    every: Counter[tuple[str, str]] = Counter()
    held: Counter[tuple[str, str]] = Counter()
    for shape in shapes:
        key = shape.source, shape.licence
        every[key] += 1
        held[key] += shape.held_out
    return [
        {"source": source, "licence": licence, "shapes": count, "held_out": held[source, licence]}
        for (source, licence), count in every.items()
    ]


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
        source, tasks = cls.source, tasks_of(cls)
    except FileError:  # a class that only its author's program registers
        source, tasks = "", ("upsample",)
    card = render_card(config, source, tasks, folder).encode()  # before anything is written
    write_about(folder, about)
    with atomic_path(Path(folder, CARD)) as temporary:
        temporary.write_bytes(card)
    return config


def render_card(
    config: Mapping[str, Any],
    source: str = "",
    tasks: Sequence[str] = ("upsample",),
    folder: str | PathLike[str] | None = None,
    address: str | None = None,
) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads.

    Args:
        config: of config.json.
        source: of the model class: the paper.
        tasks: of the model class, see `models.base.tasks_of`.
        folder: where the checkpoint is. Unless `load` finds it by its name, the card shows how to load the folder.
            None: by its name.
        address: under which `load` finds it, such as "hf:owner/repo", if it is not one of ours.
    """
    name, about = config["name"], config["about"]
    ours = folder is None or is_ours(folder, config)
    loaded = name if ours else address or f"path/to/{Path(folder or '.').resolve().name}"
    failures = about.get("failures") or ["None recorded, which does not mean that there are none."]
    settings = about.get("settings")
    parts = [
        front_matter(config, tasks),
        f"# {name}",
        _sentence(about.get("summary") or f"Trained weights of the model `{config['model']}`"),
        f"{config['parameters']:,} parameters. Licence of the weights: {about.get('licence') or MISSING}.",
        *([] if ours else [(_ON_HUB if address else _OWN).format(model=config["model"])]),
        "## Use",
        _usage(loaded, config, tasks, _FOLDER if ours or address else "the folder of this file"),
        "## Training",
        "Data:",
        _data(about.get("data")),
        _facts(about),
        f"Settings:\n\n```json\n{_json(settings)}\n```" if settings else f"Settings: {MISSING}.",
        "## Results",
        tables(about.get("measured") or [], config["model"]),
        *([ablation_table(about["ablations"])] if about.get("ablations") else []),
        "## Known failures",
        "\n".join(f"- {' '.join(text.split())}" for text in failures),
        "## Whose work",
        f"- From the paper: {_sentence(about.get('paper') or source or MISSING)}\n"
        f"- Ours: {_sentence(about.get('ours') or MISSING)}",
        "## Citation",
        citation(config["model"]),
        f"sha256 of `model.safetensors`: `{config['sha256']}`",
    ]
    return "\n\n".join(parts) + "\n"


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
            known = ("source", "licence", "shapes", "held_out")
            count = f"{item['shapes']} shapes" if "shapes" in item else ""
            held = f" ({item['held_out']} of them held out)" if item.get("held_out") else ""
            parts = [f"licence: {item.get('licence') or MISSING}", count + held]
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

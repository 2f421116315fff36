"""Model cards: README.md of a checkpoint, rendered from its config.json. Missing facts are shown as "not recorded".

The card reads these keys of "about", all of them optional; other keys are listed as they are:

    license     license of the weights, an SPDX or Hub identifier such as "Apache-2.0"
    summary     one line
    data        training data: texts, or {"source", "license", "shapes", "held_out"}, see `data_facts`
    seed, steps, hours, hardware
    settings    settings of the training: {name: value}
    parent      the checkpoint that this one was fine-tuned from
    measured    rows of the benchmark, see `measured`
    ablations   rows of other trainings or other uses, see `ablations`
    validation  figures on held-out shapes: {name: value}
    failures    known failures, a list of texts
    paper, ours which parts of the method the paper describes, and which pcsr-zoo adds
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
from ..errors import FileError, printable
from ..io.atomic import atomic_path
from ..models.base import Paper, tasks_of
from .ablations import ablation_rows, ablation_table, merge_ablations
from .front_matter import front_matter
from .measured import merge_rows, results_table, rows_of

if TYPE_CHECKING:
    from ..datasets.training_set import ShapeInfo

MISSING = "not recorded"
_OWN = "Custom checkpoint of the model `{model}`; load it by its path."
_ON_HUB = "Custom checkpoint of the model `{model}`; load it by its Hub address."
_FOLDER = "or the path of the folder of this file"
_NO_EFFECT = ("save_every", "save_seconds", "log_every", "workers")  # settings that do not change the weights
_OWN_PLACE = (
    *("license", "summary", "data", "settings", "validation"),
    *("measured", "ablations", "failures", "ours", "paper"),
)


def data_facts(shapes: Iterable[ShapeInfo]) -> list[dict[str, Any]]:
    """The entry "data" for shapes of a training file: one dictionary of counts for each source and license."""
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
    """Write a checkpoint with its card.

    Args:
        folder, model, name, about: as for `checkpoints.folder.save_checkpoint`, which also lists the errors.
        card: the text of README.md; by default, it is rendered from `about`.
        address: the address that the card gives to `load`, such as "hf:owner/repo"; by default, the folder.

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
    validation: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Store benchmark results and known failures in a checkpoint's config.json, and render README.md again.

    Args:
        folder: the checkpoint.
        results: results of `run_benchmark`. A row replaces an older one of the same task, convention and model; rows
            of this checkpoint that were measured with other weights than its present ones are dropped.
        failures: the new list of known failures; None keeps the present list.
        ablations: a result of `run_benchmark` for each description of what was changed. Older rows of the same
            description are replaced.
        validation: the new figures on held-out shapes, see `training.validation`; None keeps the present ones.

    Returns:
        The new configuration.

    Raises:
        FileError: config.json is missing or invalid, or a file cannot be written.
        OptionError: the results have no row of this checkpoint, or have one that was measured with other weights.
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
    if validation is not None:
        about["validation"] = dict(validation)
    config = json.loads(to_json({**config, "about": about}))
    try:
        cls = checkpoint_class(folder, config)
    except FileError:  # the class is registered by another program only
        cls = None
    card = render_card(config, cls, folder)  # first, so that an error leaves both files as they are
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
        config: the content of config.json.
        model_class: the class of the checkpoint's model; None if it is not registered.
        folder: the checkpoint's folder. If it is not a bundled checkpoint, the card loads it by path. None: by name.
        address: the address under which `load` finds a custom checkpoint, such as "hf:owner/repo".
    """
    name, about = config["name"], config["about"]
    tasks = tasks_of(model_class) if model_class is not None else ("upsample",)
    source, paper = getattr(model_class, "source", ""), getattr(model_class, "paper", None)
    ours = folder is None or is_ours(folder, config)
    loaded = name if ours else address or f"path/to/{Path(folder or '.').resolve().name}"
    theirs, own = ("there is no paper", "the model") if source == "ours" else (source or MISSING, MISSING)
    failures = about.get("failures") or ["No failures are recorded. This does not mean that there are none."]
    settings = {
        key: value for key, value in (about.get("settings") or {}).items() if key not in _NO_EFFECT and value != {}
    }
    parts = [
        front_matter(config, tasks),
        f"# {name}",
        _sentence(about.get("summary") or getattr(model_class, "summary", f"Trained weights of `{config['model']}`")),
        f"{config['parameters']:,} parameters. License of the weights: {about.get('license') or MISSING}.",
        *([] if ours else [(_ON_HUB if address else _OWN).format(model=config["model"])]),
        "## Use",
        _usage(loaded, config, tasks, _FOLDER if ours or address else "the path of the folder of this file"),
        "## Results",
        results_table(about.get("measured") or [], getattr(model_class, "published", {})),
        *(["## What brings the quality", ablation_table(about["ablations"])] if about.get("ablations") else []),
        *_validation(about, getattr(model_class, "figures", {}), name if ours else loaded),
        "## Known failures",
        "\n".join(f"- {' '.join(text.split())}" for text in failures),
        "## Training",
        "Data (source: shapes; license):",
        _data(about.get("data")),
        _facts(about),
        f"Settings: `{_json(settings)}`" if settings else f"Settings: {MISSING}.",
        "## Sources of the method",
        f"- From the paper: {_sentence(about.get('paper') or theirs)}\n- Ours: {_sentence(about.get('ours') or own)}",
        "## Citation",
        _citation(paper),
        f"sha256 of `model.safetensors`: `{config['sha256']}`",
    ]
    return printable("\n\n".join(parts) + "\n")  # config.json is untrusted text


def _validation(about: Mapping[str, Any], meanings: Mapping[str, str], name: str) -> list[str]:
    """The section of the figures on held-out shapes; nothing if there are none."""
    figures, file = about.get("validation"), about.get("data_file")
    if not isinstance(figures, Mapping) or not isinstance(file, Mapping):
        return []
    lines = ["| figure | value | meaning |", "|---|--:|---|"]
    lines += [f"| {key} | {_text(value)} | {meanings.get(key, '')} |" for key, value in figures.items()]
    where = f"the {held} held-out shapes" if (held := file.get("held_out")) else "the training shapes"
    said = f"These weights on {where} of the training file. By the first figure, a training keeps its best weights."
    return ["## Validation", said, "\n".join(lines), f"```\npcsr validate {name} {_text(file.get('file'))}\n```"]


def _citation(paper: Paper | None) -> str:
    """What to cite for the weights, in Markdown."""
    if paper is None:
        return "There is no paper. Cite the package, pcsr-zoo, by its name and version."
    return f"Cite the paper, and pcsr-zoo by its name and version for the weights:\n\n```bibtex\n{paper.bibtex}\n```"


def _usage(name: str, config: Mapping[str, Any], tasks: Sequence[str], remark: str) -> str:
    ratio = config.get("arguments", {}).get("ratio")
    ratio = f"{ratio:g}" if isinstance(ratio, (int, float)) else "4"
    given = f'pcsr_zoo.load("{name}")  # {remark}'
    if "sample" in tasks and "recover" in tasks:
        own = f" -m {name}" if "/" in name else ""  # recovery notes name no path and no address
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
            count = f"{item['shapes']} shape{'' if item['shapes'] == 1 else 's'}" if "shapes" in item else ""
            held = f" ({item['held_out']} held out)" if item.get("held_out") else ""
            parts = [count + held, str(item.get("license") or f"license {MISSING}")]
            parts += [f"{key}: {_text(value)}" for key, value in item.items() if key not in known]
            lines.append(f"- {item.get('source') or MISSING}: {'; '.join(part for part in parts if part)}")
        else:
            lines.append(f"- {item}")
    return "\n".join(lines)


def _facts(about: Mapping[str, Any]) -> str:
    facts = {key: about.get(key) for key in ("seed", "steps", "hours", "hardware")}
    facts |= {key: value for key, value in about.items() if key not in facts and key not in _OWN_PLACE}
    file = facts.get("data_file")
    if isinstance(file, Mapping):  # the licenses are in the list of data
        kept = ("file", "sha256", "points", "shapes", "held_out")
        facts["data_file"] = ", ".join(f"{key} {_text(file.get(key))}" for key in kept)
    return "\n".join(f"- {key}: {_text(value)}" for key, value in facts.items())


def _text(value: Any) -> str:
    """A value as text on one line, safe in a table."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split()).replace("|", "\\|")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sentence(text: str) -> str:
    return text.rstrip().rstrip(".") + "."

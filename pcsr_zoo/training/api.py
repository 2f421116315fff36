"""The functions `train` and `finetune`, which `pcsr train` and `pcsr finetune` call."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import checkpoints_of, resolve
from ..checkpoints.config import CONFIG
from ..datasets.scan_set import ScanSet
from ..datasets.training_set import TrainingSet
from ..errors import OptionError
from ..models.base import Learned, Progress, ignore
from ..zoo import load
from .config import as_table
from .options import make_recipe, untrained
from .seeding import seeded
from .settings import Settings

if TYPE_CHECKING:
    from ..models.recipe import Recipe
    from .trainer import Outcome

Report = Callable[[str], None]

# Defaults of fine-tuning: a short schedule. Weights that are not better on held-out shapes are not kept.
GENTLE: dict[str, Any] = {
    "steps": 1000,
    "warmup": 50,
    "ema": 0.99,
    "validate_every": 250,
    "validate_first": True,
    "save_every": 250,
}
_GENTLER = 0.1  # factor on the learning rate of the checkpoint's training


def train(
    model: str | Learned,
    data: str | PathLike[str],
    output: str | PathLike[str],
    *,
    arguments: Mapping[str, Any] | None = None,
    recipe: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | Settings | None = None,
    device: str | None = None,
    restart: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Train a network, or resume an interrupted training in the same folder.

    Args:
        model: name of a model class with a network, or a model object whose weights are the initial ones.
        data: a training file, see `pcsr data build`.
        output: a folder. It is a checkpoint of the best weights by validation from the first save on; `last` has the
            latest weights, `logs` the metrics, `state` the state for resuming.
        arguments: constructor arguments of the model class.
        recipe: options of the model's `recipe`.
        settings: see `Settings`.
        device: "cpu", "cuda", "cuda:1", "mps"; by default CUDA if it is available. Under torchrun, all of its processes
            train together.
        restart: discard the state in the folder and start again.
        report: called with a line of text for each event.
        progress: called with (stage, fraction done).

    Returns:
        The outcome: folder, scores and number of steps.

    Raises:
        OptionError, FileError: an argument is invalid, or the data cannot be read.
        TrainingError: the folder has another training, or the loss is not finite any more.
        DependencyError: Lightning Fabric is not installed.
        KeyboardInterrupt, SystemExit: on SIGINT and SIGTERM, after the state was saved; a second signal stops at once.
    """
    from .devices import make_fabric

    chosen = Settings.of(settings)
    fabric = make_fabric(device, chosen.precision)
    with seeded(fabric, chosen.seed):
        made_of = as_table(arguments, "arguments")
        learned = copy.deepcopy(model) if isinstance(model, Learned) else untrained(model, made_of)
        options = as_table(recipe, "recipe")
        return _run(learned, Path(data), Path(output), options, chosen, fabric, restart, report, progress)


def finetune(
    checkpoint: str | PathLike[str],
    data: Sequence[str | PathLike[str]] | str | PathLike[str],
    output: str | PathLike[str],
    *,
    recipe: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str | None = None,
    restart: bool = False,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Fine-tune a checkpoint on the user's data.

    Args:
        checkpoint: name or folder of a checkpoint.
        data: training files; meshes or tables of meshes; dense point clouds, each of which becomes a shape; or folders
            of these. They are combined into one training file in the output folder. A tenth of the shapes, at least
            one of two, is held out for validation; a single shape is used for both. A single scan is cut into regions,
            which are the shapes, if the model's recipe needs no ground truth, see `scans.cut_scan`.
        recipe, settings: changes to the checkpoint's recipe and to the defaults of fine-tuning (`GENTLE`, a tenth of
            the checkpoint's learning rate, its batch).
        output, device, restart, report, progress: as for `train`, as are the errors.

    Returns:
        The outcome. `before` has the scores of the checkpoint. If no step is better on the held-out shapes, the
        checkpoint's weights stay the best.
    """
    from .devices import make_fabric
    from .own_data import single_scan, training_file
    from .own_scans import scan_file

    learned, folder, config = trained(checkpoint)
    if Path(output).exists() and folder.resolve() == Path(output).resolve():
        raise OptionError(f"{output} is the checkpoint itself; name another folder for the result")
    chosen = Settings.of({**_gentle(folder, config), **as_table(settings, "settings")})
    known, asked = recipe_of(folder, config), as_table(recipe, "recipe")
    options = {**known, **asked}
    inputs = [str(path) for path in ([data] if isinstance(data, (str, PathLike)) else data)]
    fabric = make_fabric(device, chosen.precision)
    with seeded(fabric, chosen.seed):
        first = _checked_recipe(
            learned, options, chosen, fabric
        )  # report invalid options before the data are processed
    scan = single_scan(inputs, Path(output)) if first.learns_from_scans else None
    made = ""
    if fabric.is_global_zero:
        place, tell = Path(output) / "data", report or ignore
        if first.data_class is ScanSet:
            made = str(scan_file(inputs, place, tell, without=Path(output)))
        else:
            made = str(training_file(inputs, place, tell, without=Path(output), scan=scan))
    made = fabric.broadcast(made) if fabric.world_size > 1 else made
    if scan is not None:
        options = {**known, **first.for_scan(int(TrainingSet.load(made).about["points"])), **asked}
    name = config["name"] if config["name"].endswith("-finetuned") else f"{config['name']}-finetuned"
    origin = {"name": config["name"], "sha256": config["sha256"]}
    with seeded(fabric, chosen.seed):
        outcome = _run(
            learned, Path(made), Path(output), options, chosen, fabric, restart, report, progress, name, origin
        )
    if fabric.is_global_zero:
        _compare(outcome, report or ignore)
    return outcome


def _run(
    learned: Learned,
    path: Path,
    output: Path,
    options: dict[str, Any],
    settings: Settings,
    fabric: Any,
    restart: bool,
    report: Report | None,
    progress: Progress | None,
    name: str | None = None,
    origin: dict[str, Any] | None = None,
) -> Outcome:
    from ..cards.card import data_facts
    from .devices import hardware
    from .facts import file_facts, versions
    from .trainer import Job, Trainer

    say = report if report is not None and fabric.is_global_zero else ignore
    recipe = _checked_recipe(learned, options, settings, fabric)
    data = recipe.data_class.load(path)
    file = file_facts(path, data)
    check_split(data, path, say)
    identity: dict[str, Any] = {
        "model": learned.name,  # type: ignore[attr-defined]
        "arguments": learned.arguments,
        "recipe": options,
        "data": file["sha256"],
        "training": settings.binding(),
        "from": (origin or {}).get("sha256"),
    }
    try:
        json.dumps(identity)
    except (TypeError, ValueError) as error:  # such as a date in a YAML file
        raise OptionError(f"arguments and recipe must be values that JSON can hold: {error}") from None
    about = {
        "data": data_facts(data.shapes),
        "data_file": file,
        "recipe": options,
        "settings": settings.as_dict(),
        "seed": settings.seed,
        "hardware": hardware(fabric),
        "versions": versions(),
        **({"parent": origin["name"], "parent_sha256": origin["sha256"]} if origin else {}),
    }
    count = sum(p.numel() for part in recipe.networks().values() for p in part.parameters())
    say(
        f"{output}: {learned.name} ({count:,} parameters), "  # type: ignore[attr-defined]
        f"{len(data.train)} training and {len(data.held_out)} held-out shapes, {settings.steps} steps, "
        f"batch {settings.batch}, {about['hardware']}"
    )
    if settings.warmup > settings.steps:
        say(
            f"{output}: warmup ({settings.warmup}) is longer than the training ({settings.steps} steps): the learning "
            f"rate ends at {settings.lr * settings.steps / settings.warmup:.3g} and never reaches {settings.lr:g}; "
            "lower training.warmup"
        )
    job = Job(learned, recipe, data, settings, output, identity, about, name)
    return Trainer(job, fabric, say, progress if fabric.is_global_zero else None).run(restart)


def trained(checkpoint: str | PathLike[str]) -> tuple[Any, Path, Mapping[str, Any]]:
    """The model, the folder and the configuration of a checkpoint.

    Raises:
        OptionError: the name has no network, or no weights of its own; then the message names its checkpoints.
    """
    found = resolve(checkpoint)
    if found.untrained:
        names = [one.name for one in checkpoints_of(found.model_class)]
        instead = f"name one of {', '.join(names)}" if names else "train it (pcsr train), or give a checkpoint"
        raise OptionError(f"'{checkpoint}' has no weights of its own; {instead}")
    loaded = load(found)
    folder, config = loaded.resolved.folder, loaded.config
    if folder is None or config is None:
        raise OptionError(f"'{checkpoint}' has no network, so there is nothing to train or to validate")
    return loaded.model, folder, config


def recipe_of(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe options of a checkpoint's training, as far as its config.json has them."""
    return as_table(config["about"].get("recipe"), f"{folder / CONFIG}: about: recipe")


def _gentle(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    where = f"{folder / CONFIG}: about: settings"
    said = as_table(config["about"].get("settings"), where)
    before = Settings.of({key: said[key] for key in ("lr", "batch", "part_lr") if key in said}, where)
    rates = {part: _GENTLER * rate for part, rate in before.part_lr.items()}
    return {**GENTLE, "lr": _GENTLER * before.lr, "batch": before.batch, "part_lr": rates}


def _checked_recipe(learned: Learned, options: Mapping[str, Any], settings: Settings, fabric: Any) -> Recipe:
    """Make the recipe, and check that settings, recipe and number of processes fit together."""
    pieces = fabric.world_size * settings.accumulate
    if settings.batch % pieces:
        raise OptionError(
            f"batch ({settings.batch}) must be a multiple of {pieces}: {fabric.world_size} process(es) times "
            f"accumulate ({settings.accumulate})"
        )
    recipe = make_recipe(learned, options)
    for part in settings.part_lr:
        if part not in recipe.parts:
            raise OptionError(f"part_lr: there is no part '{part}'; choose from: {', '.join(recipe.parts)}")
    return recipe


def check_split(data: TrainingSet, path: Path, say: Report) -> None:
    """Check that there are training shapes. Without held-out shapes, validate on the training shapes."""
    if not len(data):
        raise OptionError(f"{path}: the file has no shapes; build it again (pcsr data build)")
    if not data.train:
        raise OptionError(f"{path}: all shapes are held out; build it with a smaller --held-out")
    if not data.held_out:
        data.held_out = data.train  # a cached property
        say(f"{path}: no shape is held out; validating on the training shapes, so scores say nothing about new shapes")


def _compare(outcome: Outcome, say: Report) -> None:
    """Report the gain on the held-out shapes: the first score, which decides, and then the others."""
    for number, (name, before) in enumerate(outcome.before.items()):
        after = outcome.figures.get(name, before)
        change = f", {100 * (after / before - 1):+.1f} %" if before else ""
        rule = "; smaller is better, and this score decides" if number == 0 else ""
        say(f"held-out {name}: {before:.5g} before, {after:.5g} after{change}{rule}")
    if outcome.step == 0:
        say("no step improved the score, so the initial weights are kept")

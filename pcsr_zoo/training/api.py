"""Training and fine-tuning as calls; `pcsr train` and `pcsr finetune` are these."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import resolve
from ..checkpoints.config import CONFIG
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

# Gentle: small steps from weights that are good already, and what is no improvement on held-out shapes is not kept.
GENTLE: dict[str, Any] = {
    "steps": 2000,
    "warmup": 100,
    "ema": 0.99,
    "validate_every": 250,
    "validate_first": True,
    "save_every": 250,
}
_GENTLER = 0.1  # of the learning rate that the checkpoint was trained with


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
    """Train a network from the beginning, or go on where an interrupted run in the same folder stopped.

    Args:
        model: name of a model class with a network; or a model, whose weights it begins with.
        data: a training file, see `pcsr data build`.
        output: a folder; `load` takes it from the first save on: the best weights by validation. `last` in it has the
            last ones, `logs` the figures, `state` what resuming needs.
        arguments: of the model class.
        recipe: options of the model's `recipe`.
        settings: see `Settings`.
        device: "cpu", "cuda", "cuda:1", "mps"; by default CUDA where it is. Under torchrun all processes take part.
        restart: begin anew.
        report: told, in a line each, what happens.
        progress: called with (stage, fraction done).

    Raises:
        OptionError, FileError: the arguments make no sense or the data cannot be read.
        TrainingError: the folder holds another training, or the loss is not finite any more.
        DependencyError: Lightning Fabric is not installed.
        KeyboardInterrupt, SystemExit: at SIGINT and SIGTERM, with the state saved; a second signal ends at once.
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
    """Train a checkpoint a little further on somebody's own data.

    Args:
        checkpoint: a name or a folder.
        data: training files; meshes or tables of them; dense point clouds, each of which becomes a shape; folders.
            What is made of them is kept in the output folder, which is never part of the data. A tenth is held out,
            at least one shape of two; a single shape is validated on as well. But if it is a single scan, and the
            model's recipe needs no ground truth, the shapes are regions of that scan, see `scans.cut_scan`.
        recipe, settings: what differs from the checkpoint's own recipe and the gentle defaults (`GENTLE`; a tenth of
            the checkpoint's learning rate, its batch).

    The rest, and the errors, are as in `train`. `Outcome.before` has the figures of the checkpoint; where no step is
    better on the held-out shapes, its weights stay the best.
    """
    from .devices import make_fabric
    from .own_data import single_scan, training_file

    if resolve(checkpoint).untrained:
        raise OptionError(f"'{checkpoint}' has random weights only; train it (pcsr train), or name a checkpoint")
    loaded = load(checkpoint)
    learned, folder, config = loaded.model, loaded.resolved.folder, loaded.config
    if folder is None or config is None:
        raise OptionError(f"'{checkpoint}' has no network, so there is nothing to train")
    if Path(output).exists() and folder.resolve() == Path(output).resolve():
        raise OptionError(f"{output} is the checkpoint itself; name another folder for the result")
    chosen = Settings.of({**_gentle(folder, config), **as_table(settings, "settings")})
    known, asked = recipe_of(folder, config), as_table(recipe, "recipe")
    options = {**known, **asked}
    inputs = [str(path) for path in ([data] if isinstance(data, (str, PathLike)) else data)]
    fabric = make_fabric(device, chosen.precision)
    with seeded(fabric, chosen.seed):
        first = _checked_recipe(learned, options, chosen, fabric)  # mistakes come out before any work on the data
    scan = single_scan(inputs, Path(output)) if first.learns_from_scans else None
    made = ""
    if fabric.is_global_zero:
        made = str(training_file(inputs, Path(output) / "data", report or ignore, without=Path(output), scan=scan))
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
    data = TrainingSet.load(path)
    file = file_facts(path, data)
    _check_split(data, path, say)
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
        raise OptionError(f"arguments and recipe must be what JSON can hold: {error}") from None
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
        f"{len(data.train)} shapes to train on, {settings.steps} steps of {settings.batch} examples, "
        f"{about['hardware']}"
    )
    job = Job(learned, recipe, data, settings, output, identity, about, name)
    return Trainer(job, fabric, say, progress if fabric.is_global_zero else None).run(restart)


def recipe_of(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the recipe by which a checkpoint was trained, as far as it says."""
    return as_table(config["about"].get("recipe"), f"{folder / CONFIG}: about: recipe")


def _gentle(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    where = f"{folder / CONFIG}: about: settings"
    said = as_table(config["about"].get("settings"), where)
    before = Settings.of({key: said[key] for key in ("lr", "batch", "part_lr") if key in said}, where)
    rates = {part: _GENTLER * rate for part, rate in before.part_lr.items()}
    return {**GENTLE, "lr": _GENTLER * before.lr, "batch": before.batch, "part_lr": rates}


def _checked_recipe(learned: Learned, options: Mapping[str, Any], settings: Settings, fabric: Any) -> Recipe:
    """The recipe; it, the settings and the number of processes go together."""
    pieces = fabric.world_size * settings.accumulate
    if settings.batch % pieces:
        raise OptionError(
            f"batch ({settings.batch}) must be a multiple of {pieces}: {fabric.world_size} process(es) times "
            f"accumulate ({settings.accumulate})"
        )
    recipe = make_recipe(learned, options)
    for part in settings.part_lr:
        if part not in recipe.parts:
            raise OptionError(f"part_lr: there is no part '{part}'; there are: {', '.join(recipe.parts)}")
    return recipe


def _check_split(data: TrainingSet, path: Path, say: Report) -> None:
    """There must be something to train on; without held-out shapes those that are trained on have to do."""
    if not len(data):
        raise OptionError(f"{path}: there are no shapes in it; build it again")
    if not data.train:
        raise OptionError(f"{path}: all its shapes are held out; build it with a smaller --held-out")
    if not data.held_out:
        data.held_out = data.train  # a cached property
        what = "its single shape is" if len(data.train) == 1 else f"its {len(data.train)} shapes are"
        say(f"{path}: nothing is held out, so {what} validated on as well; the figures say nothing of new shapes")


def _compare(outcome: Outcome, say: Report) -> None:
    for name, before in outcome.before.items():
        after = outcome.figures.get(name, before)
        change = f" ({100 * (after / before - 1):+.1f} %)" if before else ""
        say(f"{name}: {before:.5g} before, {after:.5g} after{change}")
    if outcome.step == 0:
        say("no step was better on the shapes that are validated on: the weights that it began with are kept")

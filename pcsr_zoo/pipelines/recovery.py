"""Sampled clouds made dense again."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..cloud import Cloud, as_cloud
from ..errors import OptionError
from ..geometry.distinct import distinct_points
from ..geometry.frames import UnitFrame
from ..geometry.transfer import transfer_attributes
from ..hub.address import Address, is_address
from ..models.base import Context, Progress, Recoverer, Sampler, Upsampler, tasks_of
from ..notes import note_of, without_note
from ..registry import identify, list_models, load
from .arguments import as_device, as_temperature, check_result, denser_count, require_distinct, silent
from .resample import RECOVERER, upsample

_log = logging.getLogger("pcsr_zoo")

_MOST = 1000  # times denser, unless somebody says so


def recover(
    x: Any,
    ratio: float | None = None,
    *,
    n: int | None = None,
    model: str | Recoverer | Upsampler | None = None,
    seed: int = 0,
    device: str | None = None,
    temperature: float = 1.0,
    draws: int = 1,
    progress: Progress | None = None,
) -> Any:
    """The dense cloud that a sampled one stands for: exactly round(ratio N) points, or exactly n.

    What is left out is what the cloud remembers (see `notes`): the model, and as many points as it had before `sample`.
    Of a cloud that remembers nothing the model is `jetnet`, and the ratio that which the model was trained for.

    Args:
        x: as that of `upsample`; a Cloud or a path can remember.
        ratio, n: how dense, at least as dense as x.
        model: a name, the folder of a checkpoint, or a model object. A model for recovery makes all points anew; one
            that upsamples adds points, and the sampled ones come first in the result. None: the remembered one. If its
            weights are others than those of the sampling, a warning says so; to name it is to accept them.
        seed: of everything drawn at random.
        device: where a model computes, e.g. `cpu`, `cuda`, `cuda:1`; by default where `load` was told to, else the CPU.
        temperature: of models that draw what sampling lost: the factor on its standard deviation; 0 for the mean.
        draws: how many results, with the seeds seed, seed + 1, ...
        progress: called with (stage, fraction).

    Returns:
        The kind that was given (a path gives a Cloud); a list of them if there is more than one draw. Attributes
        travel from the sampled points, see `geometry.transfer`.

    Raises:
        CloudError: the cloud is empty, not finite, or has fewer distinct points than the model needs.
        OptionError: an argument makes no sense, or one is missing that the cloud does not remember.
    """
    cloud, back = as_cloud(x)
    draws, temperature = _draws(draws), as_temperature(temperature)
    note = note_of(cloud.metadata)
    name = model if model is not None else _remembered(note)
    recoverer = load(name)
    if "recover" not in tasks_of(recoverer):
        raise OptionError(f"'{getattr(recoverer, 'name', recoverer)}' does not recover; use it with sample")
    cloud.validate()
    if n is None and ratio is None:
        n, ratio = _remembered_amount(len(cloud), note, recoverer)
    count = denser_count(len(cloud), ratio, n, "recover")
    tell = progress or silent
    found = []
    for draw in range(draws):

        def told(stage: str, fraction: float, draw: int = draw) -> None:
            tell(f"{stage}, draw {draw + 1} of {draws}" if draws > 1 else stage, fraction)

        if isinstance(recoverer, Recoverer):
            context = Context(seed + draw, as_device(device, recoverer), told, temperature=temperature)
            found.append(back(_rebuild(recoverer, cloud, count, context)))
        else:
            options: dict[str, Any] = {"seed": seed + draw, "device": device, "progress": told, "keep_input": True}
            if isinstance(recoverer, Sampler):
                options["noise"] = 0.0  # it knows its samples, and chose them for what it makes of them as they are
            dense = upsample(cloud, n=count, model=recoverer, **options)
            found.append(back(dense))
    return found if draws > 1 else found[0]


def _rebuild(model: Any, cloud: Cloud, count: int, context: Context) -> Cloud:
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    require_distinct(distinct_points(points), model)
    context.progress("recovery", 0.0)
    dense = check_result(model.rebuild(points, count, context), count, model, "recovered")
    context.progress("attributes", 0.0)
    attributes = transfer_attributes(points, cloud.attributes, dense)
    context.progress("attributes", 1.0)
    return Cloud(frame.from_unit(dense), attributes, without_note(cloud.metadata))


def _remembered(note: dict[str, Any] | None) -> str:
    """The model of the note; a warning if its weights are not what they were. What it may be is told in `notes`."""
    if note is None:
        return RECOVERER
    name = note.get("address") or note["model"]
    if is_address(name):
        from ..hub.fetch import cached

        if cached(Address.parse(name)) is None:
            raise OptionError(
                f"the cloud was sampled with '{note['model']}' of {name}, which is not on this machine; nothing is "
                f"fetched because a file says so: to have it fetched, name it with model (--model {name})"
            )
    elif name not in list_models():
        raise OptionError(
            f"the cloud is to be recovered by '{name}' ({_short(note['weights'])}), which does not come with this "
            "version; name the folder of that checkpoint, or another model, with model (--model)"
        )
    weights = identify(name)[1]
    if weights != note["weights"]:
        _log.warning(
            "'%s' has other weights (%s) than when the cloud was sampled (%s): what is recovered may be worse; to do "
            "without this warning, name the model (--model %s), or the checkpoint that sampled",
            name,
            _short(weights),
            _short(note["weights"]),
            name,
        )
    return name


def _remembered_amount(size: int, note: dict[str, Any] | None, model: Any) -> tuple[int | None, float | None]:
    """(n, ratio), one of them None."""
    if note is None:
        if (ratio := getattr(model, "ratio", None)) is None:
            raise OptionError(
                "give a ratio (-x) or a count n (-n): the cloud does not remember how many points it had; only what "
                "pcsr sample wrote does, and not every program that edits a file keeps it"
            )
        return None, ratio
    if note["points"] > _MOST * note["sampled"]:  # damaged, or made to fill somebody's memory
        raise OptionError(
            f"the cloud says that it had {note['points']:,} points, for {note['sampled']:,} that are left; if you want "
            "so many, say so by a ratio (-x) or a count n (-n)"
        )
    if size == note["sampled"]:
        return note["points"], None
    n = max(size, round(size * note["points"] / note["sampled"]))
    _log.warning(
        "the cloud has %d of the %d points that it was sampled to: it becomes %d of %d points",
        *(size, note["sampled"], n, note["points"]),
    )
    return n, None


def _short(weights: str | None) -> str:
    return f"{weights[:19]}…" if weights else "none"


def _draws(draws: Any) -> int:
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise OptionError(f"draws must be a whole number of at least 1, got {draws!r}")
    return int(draws)

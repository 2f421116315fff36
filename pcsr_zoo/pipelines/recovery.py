"""Recovery: a dense cloud from a sampled one."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..cloud import Cloud
from ..errors import OptionError
from ..geometry.outliers import pulled_in
from ..geometry.transfer import transfer_attributes
from ..geometry.working import WorkingCloud, warn_of_degrees
from ..io.recovery_note import note_of, without_note
from ..models.base import Context, PatchUpsampler, Progress, Recoverer, Sampler, ignore
from .arguments import as_temperature, check_result, denser_count, require_distinct
from .resample import upsample

_log = logging.getLogger("pcsr_zoo")

_MOST = 1000  # the largest ratio that is taken from a recovery note; larger ones must be given


def recover(
    cloud: Cloud,
    ratio: float | None = None,
    *,
    model: Any,
    n: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    temperature: float = 1.0,
    progress: Progress | None = None,
) -> Cloud:
    """Recover a dense cloud; arguments and errors are those of `pcsr_zoo.recover`, with a model object."""
    temperature = as_temperature(temperature)
    cloud.validate()
    if n is None and ratio is None:
        n, ratio = _remembered_amount(len(cloud), note_of(cloud.metadata), model)
    count = denser_count(len(cloud), ratio, n, "recover")
    if isinstance(model, Recoverer):
        return _reconstruct(model, cloud, count, Context(seed, device, progress or ignore, temperature=temperature))
    keep = not isinstance(model, PatchUpsampler)
    # The points of a `Sampler` are exact: it chose them for what it makes of them.
    noise = 0.0 if isinstance(model, Sampler) else None
    return upsample(
        cloud, n=count, model=model, seed=seed, device=device, progress=progress, keep_input=keep, noise=noise
    )


def _reconstruct(model: Any, cloud: Cloud, count: int, context: Context) -> Cloud:
    warn_of_degrees(cloud)
    working = WorkingCloud.of(cloud.positions, turned=False)
    require_distinct(working.distinct, model)
    working.tell("outliers; they stay as they are")
    wanted = count - len(working.alone)
    context.progress("recovery", 0.0)
    dense = check_result(model.reconstruct(working.points, wanted, context), wanted, model, "recovered")
    dense = pulled_in(dense, working.distinct)
    context.progress("attributes", 0.0)
    positions = np.concatenate([cloud.positions[working.alone], working.back(dense)])
    source, target = working.frame.to_unit(cloud.positions), working.frame.to_unit(positions)
    attributes = transfer_attributes(source, cloud.attributes, target)
    context.progress("attributes", 1.0)
    return Cloud(positions, attributes, without_note(cloud.metadata))


def _remembered_amount(size: int, note: dict[str, Any] | None, model: Any) -> tuple[int | None, float | None]:
    """(n, ratio) from the recovery note or the model; one of them is None."""
    if note is None:
        if (ratio := getattr(model, "ratio", None)) is None:
            raise OptionError(
                "the cloud has no recovery note, which sampling adds and other programs may remove; give a ratio or a "
                "count n"
            )
        return None, ratio
    if note["points"] > _MOST * note["sampled"]:  # damaged, or meant to exhaust the memory
        raise OptionError(
            f"the recovery note asks for {note['points']:,} points from {note['sampled']:,}, more than {_MOST:,} times "
            "as many; if that is right, give a ratio (-x) or a count n (-n)"
        )
    if size == note["sampled"]:
        return note["points"], None
    n = max(size, round(size * note["points"] / note["sampled"]))
    _log.warning(
        "the cloud has %d of the %d points in its recovery note; it is recovered to %d of the %d original points",
        *(size, note["sampled"], n, note["points"]),
    )
    return n, None


def compare_weights(name: Any, sampled: str | None, found: str | None) -> None:
    """Log a warning if the recovering model has other weights than the model that sampled."""
    if sampled != found:
        _log.warning(
            "the weights of '%s' (%s) are not those that sampled the cloud (%s), so the result may be worse; to accept "
            "them, name the model (-m %s), or name the checkpoint that sampled",
            *(name, short(found), short(sampled), name),
        )


def short(weights: str | None) -> str:
    """The first digits of "sha256:...", for messages."""
    return f"{weights[:19]}…" if weights else "none"

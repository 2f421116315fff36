"""Sampled clouds made dense again."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from ..cloud import Cloud
from ..errors import OptionError
from ..geometry.distinct import distinct_points
from ..geometry.frames import UnitFrame
from ..geometry.transfer import transfer_attributes
from ..io.recovery_note import note_of, without_note
from ..models.base import Context, Progress, Recoverer, Sampler, ignore
from .arguments import as_temperature, check_result, denser_count, require_distinct
from .resample import upsample

_log = logging.getLogger("pcsr_zoo")

_MOST = 1000  # times denser, unless somebody says so


def recover(
    cloud: Cloud,
    ratio: float | None = None,
    *,
    model: Any,
    n: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    temperature: float = 1.0,
    draws: int = 1,
    progress: Progress | None = None,
) -> Cloud | list[Cloud]:
    """The dense cloud, or a list of several draws; arguments and errors are those of `pcsr_zoo.recover`."""
    draws, temperature = _draws(draws), as_temperature(temperature)
    cloud.validate()
    if n is None and ratio is None:
        n, ratio = _remembered_amount(len(cloud), note_of(cloud.metadata), model)
    count = denser_count(len(cloud), ratio, n, "recover")
    tell = progress or ignore
    found: list[Cloud] = []
    for draw in range(draws):

        def told(stage: str, fraction: float, draw: int = draw) -> None:
            tell(f"{stage}, draw {draw + 1} of {draws}" if draws > 1 else stage, fraction)

        if isinstance(model, Recoverer):
            context = Context(seed + draw, device, told, temperature=temperature)
            found.append(_reconstruct(model, cloud, count, context))
        else:
            options: dict[str, Any] = {"seed": seed + draw, "device": device, "progress": told, "keep_input": True}
            if isinstance(model, Sampler):
                options["noise"] = 0.0  # it knows its samples, and selected them for what it makes of them as they are
            found.append(upsample(cloud, n=count, model=model, **options))
    return found if draws > 1 else found[0]


def _reconstruct(model: Any, cloud: Cloud, count: int, context: Context) -> Cloud:
    frame = UnitFrame.of(cloud.positions)
    points = frame.to_unit(cloud.positions)
    require_distinct(distinct_points(points), model)
    context.progress("recovery", 0.0)
    dense = check_result(model.reconstruct(points, count, context), count, model, "recovered")
    context.progress("attributes", 0.0)
    attributes = transfer_attributes(points, cloud.attributes, dense)
    context.progress("attributes", 1.0)
    return Cloud(frame.from_unit(dense), attributes, without_note(cloud.metadata))


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


def compare_weights(name: Any, sampled: str | None, found: str | None) -> None:
    """Warn if the model that recovers has other weights than the one that sampled."""
    if sampled != found:
        _log.warning(
            "'%s' has other weights (%s) than when the cloud was sampled (%s), so the result may be worse; to avoid "
            "this warning, name the model (--model %s), or the checkpoint that sampled",
            *(name, short(found), short(sampled), name),
        )


def short(weights: str | None) -> str:
    """The beginning of "sha256:...", for messages."""
    return f"{weights[:19]}…" if weights else "none"


def _draws(draws: Any) -> int:
    if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 1:
        raise OptionError(f"draws must be a whole number of at least 1, got {draws!r}")
    return int(draws)

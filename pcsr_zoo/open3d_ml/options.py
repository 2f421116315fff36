"""The keys that a section of a configuration may have. Any other key is an error, and nothing is silently ignored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral
from typing import Any

from ..errors import OptionError, suggestion
from ..pipelines.arguments import as_ratio

_TRAINING = "set '{}' in the section 'training' of the pipeline instead"
_STEPS = f"{_TRAINING.format('steps')}; one step is one batch, so steps = epochs x examples / batch"
_ONE_CLOUD = "clouds run one at a time; leave it out"
_TORCHRUN = "for several devices, start the script with torchrun and leave it out"
_NO_CACHE = "clouds are read when they are needed; leave it out"
_FIGURES = "figures for TensorBoard are written to 'training/logs' in the log folder; leave it out"

# Keys of Open3D-ML's configurations and scripts that are not used here -> what to do instead.
_INSTEAD = {
    **dict.fromkeys(("adam_lr", "learning_rate"), _TRAINING.format("lr")),
    "optimizer": f"{_TRAINING.format('lr')}; 'schedule' says how it decreases",
    **dict.fromkeys(("lr_decays", "scheduler_gamma"), _TRAINING.format("schedule")),
    **dict.fromkeys(("max_epoch", "max_epochs", "steps_per_epoch_train"), _STEPS),
    "batch_size": _TRAINING.format("batch"),
    "grad_clip_norm": _TRAINING.format("clip"),
    "momentum": _TRAINING.format("betas"),
    "num_workers": _TRAINING.format("workers"),
    "save_ckpt_freq": _TRAINING.format("save_every"),
    "steps_per_epoch_valid": _TRAINING.format("validate_every"),
    **dict.fromkeys(("batcher", "pin_memory", "test_batch_size", "val_batch_size"), _ONE_CLOUD),
    **dict.fromkeys(("device_ids", "distributed", "rank"), _TORCHRUN),
    **dict.fromkeys(("cache_dir", "sampler", "use_cache"), _NO_CACHE),
    **dict.fromkeys(("summary", "train_sum_dir"), _FIGURES),
    "augment": "set the options of the model's training examples in 'recipe'",
    "mode": "models have only one mode; leave it out",
}


def refuse_unused(owner: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise an OptionError that names the first key that `owner` does not use, and what to write instead."""
    for key in given:
        if key in known:
            continue
        if key in _INSTEAD:
            raise OptionError(f"{owner} does not use '{key}': {_INSTEAD[key]}")
        raise OptionError(f"{owner} has no option '{key}'; {suggestion(key, known)}")


def check_ratio(owner: str, ratio: Any, meaning: str) -> None:
    """Raise an OptionError that names `owner` and says what its option `ratio` means, if it is below 1 or no number."""
    try:
        as_ratio(1 if ratio is None else ratio, "a larger ratio stands for more points")
    except OptionError as error:
        raise OptionError(f"{owner}, option 'ratio', {meaning}: {error}") from None


def as_seed(seed: Any, rng: Any) -> int:
    """The seed as a number. Open3D-ML's script passes one generator to all objects: one number is drawn from it."""
    return int(seed) if isinstance(seed, Integral) else int(rng.integers(2**31))

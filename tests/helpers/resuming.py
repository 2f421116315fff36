"""A training in a process of its own, to be interrupted."""

from __future__ import annotations

import json

import toy_training
from forked import Forked

# Saving and validating at odd moments; dropout, batch norm, jitter and two parts, so that nothing is left out.
SETTINGS = {"batch": 4, "warmup": 3, "lr": 1e-2, "ema": 0.8, "workers": 0, "log_every": 1, "save_every": 3}
RUN = {"settings": {**SETTINGS, "steps": 11, "validate_every": 4}, "recipe": {"pair": True}}
LONG = {"settings": {**SETTINGS, "steps": 30, "validate_every": 13, "save_every": 7}}


def start(path, folder, target=toy_training.main, **changes):
    return Forked(target, [path, folder, json.dumps({**RUN, **changes})])


def wait_for_step(process, step):
    for line in process.stdout:
        if line.startswith("step ") and "loss" in line and int(line.split()[1].strip(",")) >= step:
            return
    raise AssertionError(process.stderr.read())

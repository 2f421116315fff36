"""The zoo in Open3D-ML: after `register()` its registries know every model, pipeline and data set of ours.

    from pcsr_zoo.open3d_ml import register

    register()  # before Open3D is imported: it also finds the system library that slim Linux images lack
    import open3d.ml as ml3d

    Pipeline = ml3d.utils.get_module("pipeline", "PointCloudUpsampling", "torch")

Open3D-ML has no entry points, so something must call `register`; `python -m pcsr_zoo.open3d_ml SCRIPT ...` calls it
and then runs a script, such as Open3D-ML's own run_pipeline.py.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

_WHERE = {
    "CloudFolder": "datasets",
    "PUGAN": "datasets",
    "PointCloudRecovery": "pipelines",
    "PointCloudSampling": "pipelines",
    "PointCloudUpsampling": "pipelines",
    "TrainingFile": "datasets",
    "open3d_class": "models",
    "visualizer_data": "convert",
}

__all__ = ["register", *_WHERE]

_log = logging.getLogger(__name__)


def register() -> dict[str, list[str]]:
    """Make the zoo's models, pipelines and data sets known to Open3D-ML; as often as you like.

    Models registered with `pcsr_zoo.models.registry.register_model` before the call are among them.

    Returns:
        The names of each kind, under the keys "model", "pipeline" and "dataset".

    Raises:
        DependencyError: Open3D or Open3D-ML cannot be imported; the message says why and what to install.
        OptionError: a name of ours stands for something else in a registry already.
    """
    from . import bases
    from .datasets import DATASETS
    from .models import open3d_classes
    from .pipelines import PIPELINES

    if bases.PARTIAL is not None:
        _log.warning(
            "open3d.ml.torch cannot be used here (%s): the zoo is registered, Open3D-ML's own models are not; "
            "they need the torch release that Open3D was built for",
            bases.PARTIAL,
        )
    models = open3d_classes()
    for cls in models:
        _enter(bases.MODEL, cls, "torch")
    for cls in PIPELINES:
        _enter(bases.PIPELINE, cls, "torch")
    for cls in DATASETS:
        _enter(bases.DATASET, cls, None)
    entered = {"model": models, "pipeline": PIPELINES, "dataset": DATASETS}
    return {kind: sorted(cls.__name__ for cls in classes) for kind, classes in entered.items()}


def _enter(registry: Any, cls: type, framework: str | None) -> None:
    from ..errors import OptionError

    known = registry.module_dict if framework is None else registry.module_dict.get(framework, {})
    other = known.get(cls.__name__)
    if other is not None and other.__module__ != cls.__module__:
        raise OptionError(
            f"Open3D-ML's {registry.name} registry has a '{cls.__name__}' of {other.__module__} already; "
            "rename the class of the zoo's model"
        )
    registry._register_module(cls, framework)  # the decorator, `register_module`, would return None for the class


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

"""The zoo in Open3D-ML: `register()` adds every model, pipeline and data set to Open3D-ML's registries.

    from pcsr_zoo.open3d_ml import register

    register()  # before Open3D is imported: it also finds the system library that slim Linux images lack
    import open3d.ml as ml3d

    Pipeline = ml3d.utils.get_module("pipeline", "PointCloudUpsampling", "torch")

Open3D-ML has no entry points, so a script must call `register`. `python -m pcsr_zoo.open3d_ml SCRIPT ...` calls it and
then runs a script, such as Open3D-ML's own run_pipeline.py.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

_WHERE = {
    "open3d_class": "models",
    **dict.fromkeys(("PointCloudRecovery", "PointCloudSampling", "PointCloudUpsampling"), "pipelines"),
    **dict.fromkeys(("CloudFolder", "PUGANTestSet", "TrainingFile"), "datasets"),
    "visualizer_data": "convert",
}

__all__ = ["register", *_WHERE]

_log = logging.getLogger(__name__)


def register() -> dict[str, list[str]]:
    """Add the zoo's models, pipelines and data sets to Open3D-ML's registries. Further calls change nothing.

    Models that `pcsr_zoo.models.registry.register_model` added before the call are among them.

    Returns:
        The names of each kind, under the keys "model", "pipeline" and "dataset".

    Raises:
        DependencyError: Open3D or Open3D-ML cannot be imported; the message says why and what to install.
        OptionError: a registry has another class of the same name.
    """
    from . import bases
    from .datasets import DATASETS
    from .models import open3d_classes
    from .pipelines import PIPELINES

    if bases.PARTIAL is not None:
        _log.warning(
            "open3d.ml.torch cannot be imported (%s): the zoo's models are registered, Open3D-ML's own are not; they "
            "need the torch release that Open3D was built for",
            bases.PARTIAL,
        )
    kinds = {"model": open3d_classes(), "pipeline": PIPELINES, "dataset": DATASETS}
    for kind, classes in kinds.items():
        for cls in classes:
            _enter(getattr(bases, kind.upper()), cls, None if kind == "dataset" else "torch")
    return {kind: sorted(cls.__name__ for cls in classes) for kind, classes in kinds.items()}


def _enter(registry: Any, cls: type, framework: str | None) -> None:
    from ..errors import OptionError

    known = registry.module_dict if framework is None else registry.module_dict.get(framework, {})
    other = known.get(cls.__name__)
    if other is not None and other.__module__ != cls.__module__:
        raise OptionError(
            f"Open3D-ML's {registry.name} registry already has '{cls.__name__}' of {other.__module__}; rename the "
            "class of the zoo's model"
        )
    registry._register_module(cls, framework)  # the public decorator `register_module` returns None for the class


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

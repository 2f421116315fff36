"""Open3D-ML's registries and base classes, imported when this module is; nothing else here imports Open3D-ML.

Open3D-ML's torch part is built for one release of torch. With another one, or with a wheel whose libraries do not
load, `import open3d.ml.torch` raises; its base classes are plain Python all the same, and all that the zoo needs. They
are then imported by themselves, and `PARTIAL` says why.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any

from .._open3d import import_open3d
from ..errors import DependencyError

# Open3D reads the same variable: Open3D-ML from a clone takes the place of the one in the wheel.
ROOT = "ml3d" if "OPEN3D_ML_ROOT" in os.environ else "open3d._ml3d"
# The packages above the base classes, whose own code imports every model and compiled operator.
_PACKAGES = tuple(f"{ROOT}.torch{part}" for part in ("", ".models", ".pipelines", ".utils"))


def _import_torch_part() -> str | None:
    """Import all of Open3D-ML's torch part; what it raised where it could not, in one line."""
    try:
        importlib.import_module("open3d.ml.torch")
        importlib.import_module(f"{ROOT}.torch")
    except Exception as error:  # OSError, RuntimeError and ImportError have been seen
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    return None


def _import_base(name: str) -> ModuleType:
    """The module of a base class without the code of the packages above it."""
    before = {package: sys.modules.get(package) for package in _PACKAGES}
    try:
        for package in _PACKAGES:
            spec = importlib.util.find_spec(package)
            if spec is None:
                raise ImportError(f"this build of Open3D has no {package}")
            sys.modules[package] = importlib.util.module_from_spec(spec)
        return importlib.import_module(name)
    finally:  # an empty package must not stay: whoever imports it later shall hear what is wrong with it
        for package, module in before.items():
            if module is None:
                sys.modules.pop(package, None)
            else:
                sys.modules[package] = module


def _import_all() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType, str | None]:
    import_open3d()
    try:
        utils = importlib.import_module(f"{ROOT}.utils")
        datasets = importlib.import_module(f"{ROOT}.datasets.base_dataset")
        partial = _import_torch_part()
        load = importlib.import_module if partial is None else _import_base
        models = load(f"{ROOT}.torch.models.base_model")
        pipelines = load(f"{ROOT}.torch.pipelines.base_pipeline")
    except ImportError as error:
        raise DependencyError(
            f"Open3D-ML cannot be imported ({error}); install what it needs with: pip install 'pcsr-zoo[open3d-ml]'"
        ) from error
    return utils, datasets, models, pipelines, partial


_utils, _datasets, _models, _pipelines, PARTIAL = _import_all()

MODEL: Any = _utils.MODEL
PIPELINE: Any = _utils.PIPELINE
DATASET: Any = _utils.DATASET
BaseDataset: Any = _datasets.BaseDataset
BaseDatasetSplit: Any = _datasets.BaseDatasetSplit
BaseModel: Any = _models.BaseModel
BasePipeline: Any = _pipelines.BasePipeline

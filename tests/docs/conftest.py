"""The module beside the documentation that makes tables, pages and configurations from the model classes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

OVERVIEW = Path(__file__).resolve().parents[2] / "docs" / "overview.py"


@pytest.fixture
def overview() -> ModuleType:
    if not OVERVIEW.is_file():
        pytest.skip("the documentation comes with the checkout")
    spec = importlib.util.spec_from_file_location("overview", OVERVIEW)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

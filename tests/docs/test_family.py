"""A network that is added as CONTRIBUTING says: nothing but its folder and its checkpoint is needed anywhere."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from toy_training import write_toy_data

import pcsr_zoo.models
from pcsr_zoo import list_models, load, model_info
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.models import registry
from pcsr_zoo.training import train
from pcsr_zoo.training.config import load_config

CONTRIBUTING = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"
if not CONTRIBUTING.is_file():
    pytest.skip("CONTRIBUTING.md comes with the checkout", allow_module_level=True)

NETWORK = """
import torch


class MyNetwork(torch.nn.Module):
    def __init__(self, ratio, width):
        super().__init__()
        self.ratio, self.layers = ratio, torch.nn.Sequential(
            torch.nn.Linear(3, width), torch.nn.ReLU(), torch.nn.Linear(width, 3 * ratio)
        )

    def forward(self, points):
        return (points[:, :, None] + 0.01 * self.layers(points).unflatten(2, (-1, 3))).flatten(1, 2)

    def upsample(self, points):
        with torch.no_grad():
            return self(torch.from_numpy(points).float()[None])[0].double().numpy()
"""


@pytest.fixture
def family(monkeypatch, tmp_path):
    """The folder `mynet` of a directory that is searched for families, and an empty hub_configs."""
    folder = tmp_path / "models" / "mynet"
    folder.mkdir(parents=True)
    text = CONTRIBUTING.read_text(encoding="utf-8").partition("\n## Add a network\n")[2]
    code, recipe = re.findall(r"```python\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    (folder / "__init__.py").touch()
    (folder / "model.py").write_text(code)
    (folder / "recipe.py").write_text(recipe)
    (folder / "network.py").write_text(NETWORK)
    (folder / "page.md").write_text("# My network\n\nIt is new.\n")
    root = tmp_path / "hub_configs"
    shutil.copytree(shipped.package_folder() / "jetnet", root / "jetnet")
    monkeypatch.setattr(shipped, "package_folder", lambda: root)
    pcsr_zoo.models.__path__.append(str(folder.parent))
    clear()
    yield folder
    pcsr_zoo.models.__path__.remove(str(folder.parent))
    clear()


def clear() -> None:
    """Forget which families there are, and what was imported of this one."""
    registry.families.cache_clear()
    registry._own.cache_clear()
    for name in [name for name in sys.modules if name.startswith("pcsr_zoo.models.mynet")]:
        del sys.modules[name]
    vars(pcsr_zoo.models).pop("mynet", None)


def test_the_class_is_known_everywhere_before_it_is_trained(family, overview):
    assert "mynet" in list_models()
    info = model_info("mynet")
    assert info["tasks"] == ["upsample", "recover"]
    assert info["where"] == "untrained"
    assert {"My network": "models/mynet.md"} in overview.navigation()
    assert overview.pages()["mynet"].path == family / "page.md"
    (row,) = (row for row in overview.model_table().splitlines() if "mynet" in row)
    assert "[`mynet`](pcsr_zoo/models/mynet/page.md) (no weights yet)" in row
    assert "whole cloud" in row
    files = {path.name: text for path, text in overview.generated().items()}
    config = yaml.safe_load(files["mynet.yml"])
    assert config["model"] == {"name": "MyNet", "ckpt_path": None}


def test_its_checkpoint_is_loaded_listed_and_shown_by_name(family, overview, tmp_path):
    model = load(registry.registered_class("mynet")(), allow_untrained=True)
    model.save(tmp_path / "hub_configs" / "mynet-x4", name="mynet-x4", license="Apache-2.0")
    assert "mynet-x4" in list_models()
    points = np.random.default_rng(0).normal(size=(50, 3))
    dense = load("mynet-x4").upsample(points, 4)
    assert dense.shape == (200, 3)
    np.testing.assert_array_equal(dense, model.upsample(points, 4))
    assert "(pcsr_zoo/models/mynet/page.md)" in overview.model_table()
    (row,) = (row for row in overview.model_table().splitlines() if "mynet" in row)
    assert "[`mynet-x4`]" in row
    assert "| x4 |" in row
    config = yaml.safe_load(overview.open3d_config(registry.registered_class("mynet")))
    assert config["model"] == {"name": "MyNet", "ckpt_path": "mynet-x4"}
    card = (tmp_path / "hub_configs" / "mynet-x4" / "README.md").read_text()
    assert "author2030mynet" in card


def test_a_family_without_a_page_is_named(family, overview):
    (family / "page.md").unlink()
    with pytest.raises(FileNotFoundError, match="mynet"):
        overview.navigation()


def test_its_recipe_trains_by_the_configuration(family, tmp_path):
    text = CONTRIBUTING.read_text(encoding="utf-8").partition("\n## Add a network\n")[2]
    (config,) = re.findall(r"```yaml\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    (tmp_path / "my.yml").write_text(config)
    write_toy_data(tmp_path / "train.npz", points=1024)
    run = load_config(tmp_path / "my.yml", ["training.steps=4", "training.batch=2", "training.warmup=1"])
    outcome = train(run.model, run.data, tmp_path / "r", arguments=run.arguments, recipe=run.recipe,
                    settings={**run.settings.as_dict(), "workers": 0})  # fmt: skip
    assert outcome.steps == 4
    assert list(outcome.figures) == ["chamfer"]
    assert len(load(tmp_path / "r").upsample(np.random.default_rng(0).normal(size=(50, 3)), 4)) == 200

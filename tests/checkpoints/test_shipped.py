"""The checkpoints of the package itself: all in order, small, and found in a wheel and in a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from toy_model import toy, trained  # noqa: F401

import pcsr_zoo
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints import shipped
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config
from pcsr_zoo.checkpoints.shipped import bundled, described, is_ours, package_folder, pinned


def test_the_packages_own_checkpoints():
    assert "jetnet" in bundled()
    for name, path in bundled().items():
        model = load_checkpoint(path)
        config = read_config(path)
        assert config["name"] == name == model.name
        assert config["parameters"] == sum(p.numel() for p in model.network.parameters())
        assert (path / "README.md").is_file()
        assert not (path / "config.pending.json").exists()
        assert is_ours(path, config)


def test_the_packages_own_table_of_names():
    """A name on the Hub needs its config.json here, and a commit; names and folders agree."""
    assert described().keys() == pinned().keys()
    for name, folder in described().items():
        assert read_config(folder)["name"] == name


def test_together_they_are_small():
    """The wheel carries all of hub_configs; what does not fit stays on the Hub, see hub_configs/README.md."""
    root = package_folder()
    assert root is not None
    assert sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) < 40e6


@pytest.mark.usefixtures("toy")
def test_they_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    package = tmp_path / "pcsr_zoo"
    (package / "checkpoints").mkdir(parents=True)
    monkeypatch.setattr(shipped, "__file__", str(package / "checkpoints" / "shipped.py"))
    assert bundled() == {}
    save_with_card(tmp_path / "hub_configs" / "a", trained())
    assert bundled() == {}  # site-packages/hub_configs would be somebody else's
    (tmp_path / "pyproject.toml").write_text("")
    assert bundled() == {"a": tmp_path / "hub_configs" / "a"}
    save_with_card(package / "hub_configs" / "b", trained())
    (save_with_card(package / "hub_configs" / "c", trained()) / "model.safetensors").unlink()  # only on the Hub
    (package / "hub_configs" / "README.md").write_text("no checkpoint")
    assert bundled() == {"b": package / "hub_configs" / "b"}


def test_a_wheel_has_them_and_loads_them_without_a_network(tmp_path):
    """Built by the builder, unpacked as pip does, and used from there alone, offline and with no cache.

    Then once more, in the same process for the sake of torch, which takes its time to import, as on a machine without
    the client of the Hub, such as one that only trains may be: there, too, it loads and saves.
    """
    builder = pytest.importorskip("hatchling.builders.wheel")
    root = Path(pcsr_zoo.__file__).parents[1]
    (wheel,) = builder.WheelBuilder(str(root)).build(directory=str(tmp_path / "dist"), versions=["standard"])
    assert Path(wheel).stat().st_size < 40e6
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = """
import socket, sys, pcsr_zoo
def refuse(*_): raise OSError("no network")
socket.socket.connect = refuse
print(pcsr_zoo.__file__, *(pcsr_zoo.load(name).name for name in sys.argv[1:]))
for module in [module for module in sys.modules if module.split(".")[0] in ("pcsr_zoo", "huggingface_hub")]:
    del sys.modules[module]
sys.modules["huggingface_hub"] = None
import pcsr_zoo
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.checkpoints.shipped import bundled
pcsr_zoo.load("jetnet").save("saved")
print(read_config("saved") == read_config(bundled()["jetnet"]))
"""
    names = list(bundled())
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "none")}
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    found = [str(tmp_path / "site" / "pcsr_zoo" / "__init__.py"), *names]
    assert done.stdout.split() == [*found, "True"], done.stderr


def test_nothing_heavy_is_imported_for_nothing():
    code = (
        "import sys; from pcsr_zoo import list_models, load, model_info; "
        "from pcsr_zoo.checkpoints.shipped import bundled; "
        "list_models(); load('fps'); model_info('jetnet'); bundled(); "
        "assert not {'torch', 'open3d', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""A cloud sampled with somebody's model from the Hub remembers the address, and no file makes a machine fetch."""

# ruff: noqa: F811 - fixtures of hub_server and halving are imported and asked for by name

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_run import run
from halving import Halving, halving  # noqa: F401
from hub_server import HubServer, hub  # noqa: F401
from huggingface_hub import constants
from model_contract import torus_cloud

from pcsr_zoo import Cloud, load, read, recover, sample, write
from pcsr_zoo.cards.card import save_with_card
from pcsr_zoo.checkpoints.folder import read_config
from pcsr_zoo.errors import OptionError

NAME = "somebody/halving-x8"
POINTS = torus_cloud(400)


@pytest.fixture
def commit(hub: HubServer, halving: type[Halving], tmp_path: Path) -> str:
    return hub.add(NAME).commit_folder(save_with_card(tmp_path / "made", Halving(), name="halving-x8"))


@pytest.fixture
def small(commit: str, tmp_path: Path) -> Path:
    write(Cloud(POINTS), tmp_path / "scan.ply")
    run("sample", tmp_path / "scan.ply", "-m", f"hf:{NAME}", "-o", tmp_path / "small.ply")
    return tmp_path / "small.ply"


def test_the_note_has_the_address_at_its_commit(small, commit, tmp_path):
    note = read(small).metadata["pcsr"]
    assert note == {
        **{"model": "halving-x8", "weights": f"sha256:{read_config(tmp_path / 'made')['sha256']}"},
        **{"points": 400, "sampled": 50, "sampler": "halving-x8", "address": f"hf:{NAME}@{commit}"},
    }
    model = load(f"hf:{NAME}")
    assert model.sample(Cloud(POINTS)).metadata["pcsr"] == note
    model.model.network.weight.data += 1  # is not what the address stands for any more
    assert "address" not in model.sample(Cloud(POINTS)).metadata["pcsr"]
    for own in (Halving(), tmp_path / "made"):
        assert "address" not in sample(Cloud(POINTS), model=own).metadata["pcsr"]


def test_where_it_was_fetched_before_nothing_has_to_be_said(hub, small, commit, tmp_path):
    hub.repositories[NAME].commit_folder(save_with_card(tmp_path / "later", Halving(), name="later"))
    before = len(hub.requests)
    out, err = run("recover", small)
    assert (err, "50 -> 400 points" in out) == ("", True)
    assert len(hub.requests) == before
    dense = recover(read(small), model=f"hf:{NAME}@{commit}")
    assert read(tmp_path / "small_recovered.ply").positions == pytest.approx(dense.positions, abs=1e-6)


def test_elsewhere_it_is_said_how_and_nothing_is_fetched(hub, small, commit, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    before = len(hub.requests)
    _, err = run("recover", small, code=1)
    assert f"{small}: " in err
    assert f"-m hf:{NAME}@{commit}" in err
    assert len(hub.requests) == before
    assert not (tmp_path / "small_recovered.ply").exists()
    run("recover", small, "-m", f"hf:{NAME}@{commit}")
    assert len(hub.requests) > before
    run("recover", small, "--overwrite")  # by now it is there


def test_a_note_of_other_weights_than_those_of_its_address_is_told(small, caplog):
    cloud = read(small)
    cloud.metadata["pcsr"]["weights"] = "sha256:" + "0" * 64
    assert len(recover(cloud)) == 400
    assert f"'hf:{NAME}@" in caplog.text
    assert "sha256:000000000000" in caplog.text


@pytest.mark.parametrize(
    "address",
    [
        *("", 3, [], "jetnet", "/etc/passwd", "hf:", "hf:a", f"hf:{NAME}", f"hf:{NAME}@main", "hf:../../x@" + "0" * 40),
        *("hf:a/b@" + "0" * 39, "hf:a/b@" + "0" * 40 + "\n", "https://x.y/z", "hf:a/b@" + "0" * 4000),
    ],
)
def test_an_address_that_is_none_or_may_move_makes_a_damaged_note(hub, small, address):
    cloud = read(small)
    cloud.metadata["pcsr"] = {**cloud.metadata["pcsr"], "address": address}
    before = len(hub.requests)
    with pytest.raises(OptionError, match="ratio"):
        recover(cloud, model="jet")
    text = json.dumps(cloud.metadata["pcsr"], separators=(",", ":"), sort_keys=True)
    content = small.read_bytes()
    start = content.index(b"pcsr-zoo {") + 9
    small.write_bytes(content[:start] + text.encode() + content[content.index(b"}", start) + 1 :])
    assert "pcsr" not in read(small).metadata
    assert len(hub.requests) == before

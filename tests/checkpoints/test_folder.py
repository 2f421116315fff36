"""A checkpoint is a folder: what is in it, that it comes back the same, and how each fault is told."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save as save_tensors
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo import load
from pcsr_zoo.checkpoints import folder as checkpoints
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config, save_checkpoint, write_about
from pcsr_zoo.errors import FileError, OptionError

POINTS = np.random.default_rng(0).normal(size=(50, 3))

pytestmark = pytest.mark.usefixtures("toy")


def saved(folder: Path, model: Toy, **facts) -> Path:
    save_checkpoint(folder, model, **facts)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "runs" / "mine", trained(), seed=7, data=["a", "b"])


# -- what is written, by other means of reading -------------------------------------------------------------------


def test_the_files_are_those_of_a_hub_repository(folder):
    assert sorted(os.listdir(folder)) == ["config.json", "model.safetensors"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config == {
        "format": "pcsr-checkpoint-1",
        "name": "toy",
        "model": "toy",
        "arguments": {"width": 8, "layers": 1, "scale": 0.01},
        "parameters": 3 * 8 + 8 + 2 * 8 + 8 * 3 + 3,
        "sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "about": {"seed": 7, "data": ["a", "b"]},
    }
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
        state = trained().network.state_dict()
        assert set(file.keys()) == set(state)
        for key in file.keys():  # noqa: SIM118 - it is no dictionary
            assert torch.equal(file.get_tensor(key), state[key])


def test_the_same_weights_are_the_same_bytes(folder, tmp_path):
    again = saved(tmp_path / "again" / "mine", trained(), seed=7, data=["a", "b"])
    for name in os.listdir(folder):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


def test_it_comes_back_the_same(folder):
    before = trained()
    expected = load(before, allow_untrained=True).upsample(POINTS, 3)
    state = torch.random.get_rng_state()
    model = load_checkpoint(folder)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same(model, before)
    assert not model.network.training
    assert model.arguments == before.arguments
    assert model.trained
    assert not before.trained
    np.testing.assert_array_equal(load(model).upsample(POINTS, 3), expected)


def test_arguments_name_and_facts(tmp_path):
    model = trained(width=5, layers=3)
    (tmp_path / "README.md").write_text("# mine\n")
    config = save_checkpoint(tmp_path, model, name="toy-x8", steps=np.int64(9), loss=np.float32(0.5))
    assert config == json.loads((tmp_path / "config.json").read_text()) == read_config(tmp_path)
    assert (config["name"], config["about"]) == ("toy-x8", {"steps": 9, "loss": 0.5})
    back = load_checkpoint(tmp_path)
    assert len(back.network) == 5
    assert back.name == "toy-x8"
    assert Toy.name == "toy"
    assert (tmp_path / "README.md").read_text() == "# mine\n"  # it is left alone
    assert save_checkpoint(tmp_path / "b", back)["name"] == "toy-x8"


def test_other_kinds_of_weights_are_saved_as_float32(tmp_path):
    model = trained()
    model.network.double()
    loaded = load_checkpoint(saved(tmp_path, model))
    assert {value.dtype for value in loaded.network.parameters()} == {torch.float32}
    assert loaded.network[1].num_batches_tracked.dtype == torch.int64
    assert same(loaded, trained())


def test_tied_weights(tmp_path):
    model = trained(layers=3)
    model.network[3].weight = model.network[2].weight
    loaded = load_checkpoint(saved(tmp_path, model))
    assert torch.equal(loaded.network[3].weight, model.network[2].weight)


def test_facts_can_be_changed_without_the_weights(folder):
    weights = (folder / "model.safetensors").read_bytes()
    config = write_about(folder, {"license": "MIT"})
    assert config["about"] == read_config(folder)["about"] == {"license": "MIT"}
    assert (folder / "model.safetensors").read_bytes() == weights
    assert same(load_checkpoint(folder), trained())


# -- what is refused when saving ----------------------------------------------------------------------------------


def test_what_cannot_be_saved(folder, tmp_path):
    before = (folder / "config.json").read_bytes(), (folder / "model.safetensors").read_bytes()
    diverged = trained()
    with torch.no_grad():
        diverged.network[0].weight[0, 0] = np.nan
    with pytest.raises(OptionError, match=r"0\.weight.*not finite"):
        save_checkpoint(folder, diverged)
    with pytest.raises(OptionError, match=r"\.\./x"):
        save_checkpoint(folder, trained(), name="../x")
    with pytest.raises(OptionError, match="set"):
        save_checkpoint(folder, trained(), things={1, 2})
    with pytest.raises(OptionError, match=r"config\.json"):
        save_checkpoint(folder, trained(), loss=float("nan"))
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(OptionError, match=r"config\.json"):
        save_checkpoint(folder, trained(), things=deep)
    with pytest.raises(OptionError, match="'failures'"):
        save_checkpoint(folder, trained(), failures="one")

    class Other(Toy):
        pass

    with pytest.raises(OptionError, match="register_model"):
        save_checkpoint(folder, Other())
    assert before == ((folder / "config.json").read_bytes(), (folder / "model.safetensors").read_bytes())
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="file"):
        save_checkpoint(tmp_path / "file", trained())


# -- killed while saving ------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("old", [True, False], ids=["over an old one", "the first one"])
def test_killed_at_any_replacement_it_loads_the_old_or_the_new(tmp_path, monkeypatch, old):
    """os.replace is the only way by which a file gets its name; kill before each of them in turn, then save again."""
    real, seen = os.replace, []
    for kill_at in range(6):
        folder = tmp_path / str(kill_at)
        if old:
            save_checkpoint(folder, trained(0))
        count = 0

        def replace(source, target, kill_at=kill_at):
            nonlocal count
            if count == kill_at:
                raise Killed
            count += 1
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        try:
            save_checkpoint(folder, trained(1))
        except Killed:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(os, "replace", real)
        try:
            found = [seed for seed in (0, 1) if same(load_checkpoint(folder), trained(seed))]
        except (FileError, OptionError):
            found = None
        seen.append(found)
        save_checkpoint(folder, trained(2))
        assert same(load_checkpoint(folder), trained(2))
    # pending configuration, weights, configuration
    assert seen == ([[0], [0], [1]] if old else [None, None, [1]])


def test_killed_twice(tmp_path, monkeypatch):
    """After a kill between the weights and the configuration, a second one that comes sooner loses nothing."""
    save_checkpoint(tmp_path, trained(0))
    first = (tmp_path / "config.json").read_bytes()
    save_checkpoint(tmp_path, trained(1))
    (tmp_path / "config.json").rename(tmp_path / "config.pending.json")
    (tmp_path / "config.json").write_bytes(first)  # as the kill leaves it
    assert same(load_checkpoint(tmp_path), trained(1))

    def refuse(folder, content):
        if folder.name == "model.safetensors":
            raise Killed
        real(folder, content)

    real = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", refuse)
    with pytest.raises(Killed):
        save_checkpoint(tmp_path, trained(2))
    assert same(load_checkpoint(tmp_path), trained(1))


def test_a_first_save_that_fails_leaves_no_checkpoint(tmp_path, monkeypatch):
    def full(folder, content):
        if folder.name == "model.safetensors":
            raise FileError("no space left on the device")
        real(folder, content)

    real = checkpoints._write
    monkeypatch.setattr(checkpoints, "_write", full)
    with pytest.raises(FileError, match="no space"):
        save_checkpoint(tmp_path / "new", trained())
    assert not checkpoints.is_checkpoint(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_reader_beside_a_writer_never_sees_a_mixture(tmp_path):
    models = [trained(seed) for seed in range(2)]
    save_checkpoint(tmp_path, models[0])
    stop = threading.Event()

    def write() -> None:
        for k in range(1, 40):
            save_checkpoint(tmp_path, models[k % 2])
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not stop.is_set():
        model = load_checkpoint(tmp_path)
        assert same(model, models[0]) or same(model, models[1])
        reads += 1
    writer.join()
    assert reads > 3


# -- faults when loading ------------------------------------------------------------------------------------------


def edit(folder: Path, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def put_weights(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    edit(folder, sha256=hashlib.sha256(content).hexdigest())


ROW = {"task": "up4", "model": "toy", "convention": "pugan-2019", "command": "pcsr benchmark"}


def state(**changes) -> bytes:
    tensors = {key: value.clone() for key, value in trained().network.state_dict().items()}
    tensors.update({key.replace("__", "."): value for key, value in changes.items()})
    return save_tensors({key: value for key, value in tensors.items() if value is not None})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "pcsr-checkpoint-2"}, "pcsr-checkpoint-2.*update pcsr-zoo"),
        ({"format": None}, "'format'"),
        ({"format": 3}, "'format'"),
        ({"model": "toi"}, "'toi'.* toy"),
        ({"model": "midpoint"}, "'midpoint'"),
        ({"model": None}, "'model'"),
        ({"sha256": None}, "'sha256'"),
        ({"arguments": [8]}, "'arguments'"),
        ({"arguments": {"width": 8, "depth": 2}}, "'arguments'.*depth"),
        ({"arguments": {"width": "wide"}}, "'arguments'"),
        ({"arguments": {"width": -3}}, "'arguments'"),
        ({"arguments": {"width": 9}}, "model.safetensors.*shape"),
        ({"arguments": {"layers": 2}}, "model.safetensors.*'3"),
        ({"arguments": {"width": 10**9}}, "'arguments'.*larger than the weights"),
        ({"arguments": {"layers": 10**9}}, "'arguments'.*larger than the weights"),
        ({"arguments": {"width": 10**400}}, "'arguments'.*'toy'"),
        ({"arguments": {"layers": {}}}, "'arguments'.*'toy'"),
        ({"parameters": True}, "'parameters'"),
        ({"parameters": -1}, "'parameters'.* -1"),
        ({"model": "x" * 1_000_000}, "'xxx"),
        ({"model": "\x1b[31mred"}, r"'\\x1b\[31mred'"),
        ({"\x1b[31mred": 1}, r"'\\x1b\[31mred'.*update pcsr-zoo"),
        ({"about": {"failures": "they are many"}}, "'failures' under 'about'"),
        ({"about": {"failures": [3]}}, "'failures' under 'about'"),
        ({"about": {"license": ["MIT"]}}, "'license' under 'about'"),
        ({"about": {"recipe": "x"}}, "'recipe' under 'about'"),
        ({"about": {"measured": [{"task": "up4"}]}}, "'measured' under 'about'"),
        ({"about": {"measured": [{**ROW, "cd": "small"}]}}, "'measured' under 'about'"),
        ({"about": {"ablations": [{**ROW, "what": 3}]}}, "'ablations' under 'about'"),
    ],
)
def test_a_fault_in_the_configuration(folder, change, said):
    edit(folder, **change)
    with pytest.raises(FileError, match=said) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'"pcsr-checkpoint-1"'),
        b" " * (16 * 2**20) + b"{}",
    ],
)
def test_a_broken_configuration(folder, text):
    (folder / "config.json").write_bytes(text)
    with pytest.raises(FileError, match=r"config\.json"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"0.01", b"NaN", "NaN"),
        (b"0.01", b"1e999", "'1e999'"),
        (b'"width": 8', b'"width": ' + b"9" * 5000, "digits"),
        (b'"model": "toy"', b'"model": "jet", "model": "toy"', "'model'"),
        (b'"seed": 7', b'"license": "\\ud800"', "surrogates"),
        (b"{", b"\xef\xbb\xbf{", "BOM"),
    ],
)
def test_json_that_not_everybody_reads_alike(folder, old, new, said):
    content = (folder / "config.json").read_bytes()
    assert old in content
    (folder / "config.json").write_bytes(content.replace(old, new, 1))
    with pytest.raises(FileError, match=rf"config\.json.*{said}"):
        load_checkpoint(folder)


def test_what_is_said_of_a_stranger_is_short_and_of_one_line(folder):
    good = json.loads((folder / "config.json").read_text())
    for change in (
        {"model": "m\n" * 10**6},
        {"k" * 10**6: 1},
        {"arguments": {"a\nb" * 1000: 1}},
        {"name": "n" * 10**6},
    ):
        (folder / "config.json").write_text(json.dumps({**good, **change}))
        with pytest.raises(FileError) as caught:
            load_checkpoint(folder)
        said = str(caught.value)
        assert len(said) < len(str(folder)) + 600
        assert said.isprintable()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x80\x04\x95 a pickle", "safetensors"),
        (state()[:-5], "safetensors"),
        (state(**{"0__weight": None}), r"'0\.weight'"),
        (state(extra=torch.zeros(2)), "'extra'"),
        (state(**{"0__bias": torch.zeros(9)}), r"'0\.bias'.*\(9,\).*\(8,\)"),
        (state(**{"0__bias": torch.full((8,), torch.inf)}), r"'0\.bias'.*finite"),
        (state(**{f"extra{k}": torch.zeros(1) for k in range(9)}), "'extra0'.* 6 more"),
        (state(**{"0__bias": torch.zeros(8, dtype=torch.float64)}), r"'0\.bias'.*float64.*float32"),
        (state(**{"0__bias": torch.zeros(8, dtype=torch.int32)}), r"'0\.bias'.*int32.*float32"),
        (state(**{"0__bias": torch.zeros(8, dtype=torch.complex64)}), r"'0\.bias'.*complex64"),
        (state(**{"1__num_batches_tracked": torch.tensor(1.0)}), r"'1\.num_batches_tracked'.*float32.*int64"),
        (state(**{"\x1b[31mred": torch.zeros(1)}), r"'\\x1b\[31mred'"),
        ((10**6).to_bytes(8, "little") + b" " * 10**6, "1,000,000 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "safetensors"),
    ],
)
def test_a_fault_in_the_weights(folder, content, said):
    put_weights(folder, content)
    with pytest.raises(FileError, match=said) as caught:
        load_checkpoint(folder)
    assert "model.safetensors" in str(caught.value)


def header(entries: object) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def pickled() -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"\x80",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**40) + b"{}",
        header(b"[" * 10_000),
        header(b"{'a': 1}"),
        header({"a": entry([2], 0, 10**9)}) + bytes(8),
        header({"a": entry([2], -8, 0)}) + bytes(8),
        header({"a": entry([2**62, 2**62], 0, 8)}) + bytes(8),
        header({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}) + bytes(12),
        header({"a": entry([2], 0, 8, "OBJECT")}) + bytes(8),
        header({"a": entry([2], 0, 8)}) + bytes(800),
        header({"../../evil": entry([2], 0, 8)}) + bytes(8),
        pickled(),
    ],
)
def test_malicious_weights_of_the_right_hash(folder, content):
    put_weights(folder, content)
    with pytest.raises(FileError, match=r"model\.safetensors"):
        load_checkpoint(folder)


def test_a_clone_without_git_lfs(folder):
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    with pytest.raises(FileError, match=r"model\.safetensors.*git lfs pull"):
        load_checkpoint(folder)


def test_one_flipped_bit(folder):
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(FileError, match=r"model\.safetensors.*sha256"):
        load_checkpoint(folder)


def test_missing_files(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileError, match=r"mine.model\.safetensors"):
        load_checkpoint(folder)
    (folder / "config.json").unlink()
    for place in (folder, tmp_path / "nowhere", Path(__file__)):
        with pytest.raises(FileError, match=rf"{re.escape(str(place))}.*config\.json and model\.safetensors"):
            load_checkpoint(place)

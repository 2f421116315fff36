"""Faults in the folder of a checkpoint, and how `load_checkpoint` reports each."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save as save_tensors
from toy_model import Toy, same, toy, trained  # noqa: F401

from pcsr_zoo.checkpoints.folder import load_checkpoint, save_checkpoint
from pcsr_zoo.errors import FileError

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "runs" / "mine", trained(), seed=7, data=["a", "b"])
    return tmp_path / "runs" / "mine"


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

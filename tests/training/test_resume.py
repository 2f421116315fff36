"""Killed and resumed equals uninterrupted, wherever the kill comes."""

from __future__ import annotations

import json
import os
import signal

import numpy as np
import pytest
import torch
import toy_training
from forked import posix
from resuming import LONG, RUN, SETTINGS, start, wait_for_step
from toy_training import PatchRecipe, one_thread, write_toy_data  # noqa: F401

import pcsr_zoo
from pcsr_zoo.errors import FileError, TrainingError
from pcsr_zoo.training import train
from pcsr_zoo.training.state import load_state


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_toy_data(tmp_path_factory.mktemp("data") / "toy.npz")


@pytest.fixture(scope="module")
def whole(path, tmp_path_factory):
    """The uninterrupted run."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole") / "r"
    train("toy-patches", path, folder, **RUN)
    return folder


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def check_same(a, b):
    """Weights that ship, last weights, optimizers, averages, figures: bit by bit."""
    for part in (".", "last"):
        one, two = (pcsr_zoo.load(folder / part).model.network.state_dict() for folder in (a, b))
        assert equal(dict(one), dict(two)), part
    one, two = (load_state(folder / "state/last.pt") for folder in (a, b))
    one.seconds = two.seconds = 0
    assert equal(vars(one), vars(two))
    logs = []
    for folder in (a, b):
        lines = [json.loads(line) for line in (folder / "logs/metrics.jsonl").read_text().splitlines()]
        logs.append([{k: v for k, v in line.items() if k != "hours"} for line in lines])
    assert logs[0] == logs[1]


class Crash(Exception):
    pass


@pytest.mark.parametrize("step", range(11))
def test_a_crash_in_any_step(path, whole, tmp_path, monkeypatch, step):
    """As a kill: nothing is saved on the way out. The second part's turn is the worse moment."""
    with monkeypatch.context() as patch:
        plain = PatchRecipe.upsampled
        calls = []

        def crash(self, network, sparse):
            calls.append(1)
            if len(calls) > 2 * step + 1 and network.training:  # two parts a step; validation does not count
                raise Crash
            if not network.training:
                calls.pop()
            return plain(self, network, sparse)

        patch.setattr(PatchRecipe, "upsampled", crash)
        with pytest.raises(Crash):
            train("toy-patches", path, tmp_path / "r", **RUN)
    outcome = train("toy-patches", path, tmp_path / "r", **RUN)
    assert outcome.resumed == max((k for k in (0, 3, 4, 6, 8, 9) if k <= step), default=0)
    check_same(whole, tmp_path / "r")


@posix
def test_a_run_killed_and_resumed_equals_an_uninterrupted_one(path, tmp_path):
    with start(path, tmp_path / "r", **LONG) as process:
        wait_for_step(process, 12)
        process.send_signal(signal.SIGKILL)
    state = load_state(tmp_path / "r/state/last.pt")
    assert 7 <= state.step < 30
    assert pcsr_zoo.load(str(tmp_path / "r"))  # loadable at any time
    outcome = train("toy-patches", path, tmp_path / "r", **{**RUN, **LONG})
    assert outcome.resumed == state.step
    train("toy-patches", path, tmp_path / "whole", **{**RUN, **LONG})
    check_same(tmp_path / "whole", tmp_path / "r")


@posix
def test_sigterm_saves_the_step_that_was_under_way(path, tmp_path):
    with start(path, tmp_path / "r", settings={**LONG["settings"], "save_every": 0, "workers": 2}) as process:
        wait_for_step(process, 10)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert "stopped after step" in out
    assert "Traceback" not in err
    assert load_state(tmp_path / "r/state/last.pt").step >= 10
    assert pcsr_zoo.load(str(tmp_path / "r"))


def killed_saving():
    """Killed when the bytes of its third state are in the temporary file, before it gets its name."""
    replace, saved = os.replace, []

    def kill(a, b):
        if str(b).endswith("last.pt"):
            saved.append(b)
            if len(saved) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        replace(a, b)

    os.replace = kill
    toy_training.main()


@posix
def test_a_kill_during_a_save_leaves_the_last_good_state(path, whole, tmp_path):
    with start(path, tmp_path / "r", target=killed_saving) as process:
        assert process.wait() == -signal.SIGKILL, process.stderr.read()
    assert len(list((tmp_path / "r/state").iterdir())) == 2  # the temporary file is there
    assert load_state(tmp_path / "r/state/last.pt").step == 3
    outcome = train("toy-patches", path, tmp_path / "r", **RUN)
    assert outcome.resumed == 3
    assert [entry.name for entry in (tmp_path / "r/state").iterdir()] == ["last.pt"]
    check_same(whole, tmp_path / "r")


def test_a_kill_between_state_and_weights_is_mended(path, whole, tmp_path, monkeypatch):
    from pcsr_zoo.training import output

    def crash(*arguments, **facts):
        raise Crash

    settings = {**RUN["settings"], "save_every": 0, "validate_every": 4}
    with monkeypatch.context() as patch:
        patch.setattr(output, "save_with_card", crash)
        with pytest.raises(Crash):
            train("toy-patches", path, tmp_path / "r", settings=settings, recipe=RUN["recipe"])
    assert not (tmp_path / "r/config.json").exists()
    assert load_state(tmp_path / "r/state/last.pt").best["step"] == 4
    seen = []
    real = PatchRecipe.loss

    def look(self, *arguments):
        seen.append(bool(pcsr_zoo.load(str(tmp_path / "r"))))
        return real(self, *arguments)

    monkeypatch.setattr(PatchRecipe, "loss", look)
    train("toy-patches", path, tmp_path / "r", settings=settings, recipe={"pair": False} | RUN["recipe"])
    check_same(whole, tmp_path / "r")


def test_a_finished_run_is_left_alone_and_restart_begins_anew(path, tmp_path):
    lines = []
    short = {"settings": {**SETTINGS, "steps": 3}}
    train("toy-patches", path, tmp_path / "r", **short)
    before = (tmp_path / "r/model.safetensors").read_bytes()
    again = train("toy-patches", path, tmp_path / "r", **short, report=lines.append)
    assert any("all 3 steps are done" in line for line in lines)
    assert (again.resumed, again.steps) == (3, 3)
    assert again.figures.keys() == again.last.keys() == {"chamfer"}
    assert (tmp_path / "r/model.safetensors").read_bytes() == before
    other = {"settings": {**SETTINGS, "steps": 3, "seed": 8}}
    fresh = train("toy-patches", path, tmp_path / "r", **other, restart=True)
    assert fresh.resumed == 0
    assert (tmp_path / "r/model.safetensors").read_bytes() != before
    lines = (tmp_path / "r/logs/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 3]


def test_another_configuration_is_refused_by_name(path, tmp_path):
    run = {"settings": {**SETTINGS, "steps": 4}, "recipe": {"jitter": 0.01}}
    train("toy-patches", path, tmp_path / "r", **run)
    cases = [
        ({"settings": {**run["settings"], "lr": 0.5}}, r"training\.lr was 0\.01, is 0\.5"),
        ({"settings": {**run["settings"], "steps": 9}}, r"training\.steps was 4, is 9"),
        ({"recipe": {"jitter": 0.02}}, r"recipe\.jitter was 0\.01, is 0\.02"),
        ({"recipe": {}}, r"recipe\.jitter was 0\.01, is not given"),
        ({"arguments": {"width": 8}}, r"arguments\.width was 16, is 8"),
    ]
    for change, message in cases:
        with pytest.raises(TrainingError, match=message + r"(.|\n)*--restart"):
            train("toy-patches", path, tmp_path / "r", **{**run, **change})
    other = write_toy_data(tmp_path / "other.npz", shapes=5)
    with pytest.raises(TrainingError, match="data was"):
        train("toy-patches", other, tmp_path / "r", **run)
    free = {**run["settings"], "workers": 1, "save_every": 1, "log_every": 7, "validate_every": 2}
    assert train("toy-patches", path, tmp_path / "r", **{**run, "settings": free}).resumed == 4


def test_a_broken_state_is_named(path, tmp_path):
    run = {"settings": {**SETTINGS, "steps": 3}}
    train("toy-patches", path, tmp_path / "r", **run)
    state = tmp_path / "r/state/last.pt"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(FileError, match=r"last\.pt cannot be read.*--restart"):
        train("toy-patches", path, tmp_path / "r", **run)
    assert train("toy-patches", path, tmp_path / "r", **run, restart=True).resumed == 0


def test_a_state_executes_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "made"),))

    torch.save({"format": "pcsr-training-1", "identity": Evil()}, tmp_path / "last.pt")
    with pytest.raises(FileError):
        load_state(tmp_path / "last.pt")
    assert not (tmp_path / "made").exists()


def test_a_log_line_cut_short_is_dropped(tmp_path):
    from pcsr_zoo.training.log import MetricLog

    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "a": 1}\n{"step": 5, "a": 2}\n{"step": 2, "a"')
    log = MetricLog(tmp_path, 4)
    log.add({"a": torch.tensor(1.0), "b": 2.0})
    log.add({"a": torch.tensor(3.0), "b": 4.0})
    assert log.flush(5, {"c": 7.0}) == {"a": 2.0, "b": 3.0}
    log.write(6, {"bad": float("nan"), "good": 1.0})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 1, "a": 1}, {"step": 5, "a": 2.0, "b": 3.0, "c": 7.0}, {"step": 6, "good": 1.0}]
    assert np.isfinite([line.get("a", 0) for line in lines]).all()


@posix
def test_a_second_signal_ends_at_once_but_not_its_echo(monkeypatch):
    """torchrun repeats the terminal's Ctrl-C; somebody who waits in vain presses it again."""
    from pcsr_zoo.training import interrupts

    with interrupts.Interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert asked.number == signal.SIGINT
        monkeypatch.setattr(interrupts, "_PATIENCE", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        interrupts.Interrupts().leave()  # another process was asked to stop
    assert left.value.code == 128 + signal.SIGTERM

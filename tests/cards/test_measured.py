"""Measured and published rows in model cards."""

# ruff: noqa: F811 - fixtures of card_case are imported and asked for by name

from __future__ import annotations

import json

import pytest
import torch
from card_case import FACTS, card, folder, result, row_of, table, weights  # noqa: F401
from toy_model import Toy, toy  # noqa: F401

from pcsr_zoo.cards.card import save_with_card, update_card
from pcsr_zoo.cards.measured import best_row
from pcsr_zoo.checkpoints.folder import load_checkpoint, read_config
from pcsr_zoo.checkpoints.shipped import bundled
from pcsr_zoo.errors import OptionError

pytestmark = pytest.mark.usefixtures("toy")


def test_measured_rows(folder):
    models = {
        str(folder): row_of(0.20456, 1.123, weights(folder)),
        "jet": row_of(0.23, 1.72),
        "floor": row_of(0.1, None, seconds=None),
        "somebody-elses": row_of(0.01, 0.01),
    }
    config = update_card(folder, [result(models)])
    text = card(folder)
    rows = table(text, "up4")
    assert list(rows) == ["`toy-x4`"]
    assert rows["`toy-x4`"] == ["pugan-2019", "0.205", "2.05", "1.12", "0.230", "not measured", "27/21"]
    assert "pcsr-zoo 0.9, Linux x86_64, 2 cores, seed 0" in text
    assert str(folder) not in text
    assert "--task up4 --model toy-x4 --model jet" in text
    assert read_config(folder) == config
    assert [row["model"] for row in config["about"]["measured"]] == ["toy-x4", "jet", "floor"]
    assert config["about"]["measured"][0]["cd"] == 0.20456
    assert "per_shape" not in config["about"]["measured"][0]
    assert config["about"]["hours"] == 1.25
    load_checkpoint(folder)


def test_later_rows_replace_and_others_stay(folder):
    first = result({"toy-x4": row_of(0.3, 1.0, weights(folder)), "jet": row_of(0.4, 1.0)})
    second = result({"toy-x4": row_of(0.2, 1.0, weights(folder))}, seed=1)
    third = result({"fps+toy-x4": row_of(0.5, 1.0, weights(folder)), "fps+midpoint": row_of(0.6, 1)}, task="pcsr4")
    update_card(folder, [first])
    update_card(folder, [second, third])
    up4, pcsr4 = table(card(folder), "up4"), table(card(folder), "pcsr4")
    assert (up4["`toy-x4`"][1], up4["`toy-x4`"][4]) == ("0.200", "0.400")
    assert pcsr4["`fps+toy-x4`"][1] == "0.500"
    assert pcsr4["`fps+toy-x4`"][4:6] == ["not measured", "0.600"]
    assert card(folder).count("pcsr benchmark") == 3  # first (for jet), second, third


def test_rows_of_other_weights_are_refused_and_dropped(folder):
    before = card(folder), read_config(folder)
    with pytest.raises(OptionError, match="other weights"):
        update_card(folder, [result({"toy-x4": row_of(0.3, 1.0, "sha256:" + "0" * 64)})])
    with pytest.raises(OptionError, match=r"'toy-x4'.* other"):
        update_card(folder, [result({"other": row_of(0.3, 1.0), "jet": row_of(0.3, 1.0)})])
    assert (card(folder), read_config(folder)) == before
    update_card(folder, [result({"toy-x4": row_of(0.3, 1.0, weights(folder))})])
    torch.manual_seed(1)
    save_with_card(folder, Toy(), name="toy-x4", **read_config(folder)["about"])  # trained on
    update_card(folder, [result({"toy-x4": row_of(0.2, 1.0, weights(folder))}, task="up16")])
    assert [row["task"] for row in read_config(folder)["about"]["measured"]] == ["up16"]


def test_a_row_of_the_folder_is_told_from_that_of_another_checkpoint_of_its_name(folder):
    """As of a training of a class that the package has a checkpoint of, under the name of the class."""
    other = row_of(0.1, 1.0, "sha256:" + "0" * 64)
    update_card(
        folder, [result({"toy-x4": other, str(folder): row_of(0.3, 1.0, weights(folder)), "jet": row_of(0.2, 1.0)})]
    )
    rows = {row["model"]: row["cd"] for row in read_config(folder)["about"]["measured"]}
    assert rows == {"toy-x4": 0.3, "jet": 0.2}


def test_the_best_row_is_one_with_samples_of_its_own():
    def row_of(model, task, cd):
        return {"task": task, "model": model, "convention": "pugan-2019", "cd": cd}

    rows = [row_of("toy-x8", "pcsr8", 0.337), row_of("fps+toy-x8", "pcsr8", 0.336), row_of("jet", "pcsr8", 0.4)]
    rows += [row_of("toy-x8", "up16", 0.3), row_of("jet", "up16", 0.29)]
    assert best_row(rows, "toy-x8") == {"task": "pcsr8", "convention": "pugan-2019", "cd": 0.337, "jet": 0.4}
    assert best_row(rows[1:3], "toy-x8")["cd"] == 0.336  # there is no other
    assert best_row(rows, "toy-x4") is None


def test_a_row_with_little_in_it(folder):
    config = read_config(folder)
    little = {"task": "up4", "model": "toy-x4", "convention": "pugan-2019", "command": "pcsr benchmark"}
    config["about"] |= {"measured": [little], "ablations": [{**little, "what": "less\nthan | all"}]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    update_card(folder)
    assert table(card(folder), "up4")["`toy-x4`"][1:4] == ["–", "–", "–"]
    assert "| less than \\| all | up4 | `toy-x4` |" in card(folder)


def test_ablations_stand_in_the_card_with_their_command(folder, tmp_path):
    other = {
        "/somewhere/runs/narrow": row_of(0.31, 2.5),
        "fps+/somewhere/runs/narrow": row_of(0.29, 2.4),
        "jet": row_of(0.2, 1),
    }
    found = result(other)
    found["command"] = "pcsr benchmark --model /somewhere/runs/narrow --model fps+/somewhere/runs/narrow --model jet "
    update_card(folder, ablations={"half the width": found})
    text = card(folder)
    rows = [line for line in text.splitlines() if line.startswith("| half the width |")]
    assert [line.split("|")[3].strip() for line in rows] == ["`narrow`", "`fps+narrow`"]
    assert rows[0].split("|")[5].strip() == "0.310"
    assert "pcsr benchmark --model narrow --model fps+narrow --model jet" in text
    assert "/somewhere" not in text + (folder / "config.json").read_text()
    update_card(folder, ablations={"half the width": result({"narrow": row_of(0.5, 3.0)})})
    assert card(folder).count("| half the width |") == 1
    with pytest.raises(OptionError, match="'nothing'"):
        update_card(folder, ablations={"nothing": result({"jet": row_of(0.2, 1)})})


def test_the_papers_rows_and_the_citation_stand_in_the_cards():
    text = card(bundled()["pointlie-x8"])
    assert table(text, "pcsr8")["*PointLIE, published*"][1:4] == ["0.350", "4.68", "3.37"]  # table 1 of the paper
    assert "@inproceedings{zhao2021pointlie" in text
    published = table(card(bundled()["sspu-geo-x4"]), "up4")["*SSPU-Net, published*"]
    assert published[:4] == ["its own", "0.370", "3.47", "4.43"]
    assert "published*" not in card(bundled()["jetnet"])
    assert "There is no paper" in card(bundled()["jetnet"])

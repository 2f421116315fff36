"""Results of the benchmark as files: JSON and Markdown."""

from __future__ import annotations

import os

import pytest

from pcsr_zoo.benchmark import run as benchmark
from pcsr_zoo.errors import FileError, OptionError

pytest_plugins = ("small_test_set",)


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_report(root, calls, tmp_path):
    first = benchmark.run_benchmark(root, ["up4", "noise-0.01"], ["shift"])
    second = benchmark.run_benchmark(root, ["up4"], ["repeat"], convention="pugan-2019", seed=7)
    plain = benchmark.run_benchmark(root, ["up4"], ["repeat"], convention="plain")
    path = tmp_path / "first.json"
    benchmark.write_results(first, path)
    assert benchmark.read_results(path) == first
    target = tmp_path / "page.md"
    benchmark.write_benchmarks_md([first, second, plain], target)
    assert sorted(os.listdir(tmp_path)) == ["first.json", "page.md"]
    text = target.read_text(encoding="utf-8")
    sections = {part.splitlines()[0]: part for part in text.split("\n## ")[1:]}
    *tables, last = sections
    assert tables == ["up4 (pugan-2019)", "up4 (plain)", "noise-0.01 (pugan-2019)"]
    for result in (first, second, plain):
        assert f"\n{result['command']}\n" in sections[last]
    assert "`pugan-2019`" in sections[last]
    up4 = sections["up4 (pugan-2019)"]
    assert str(root) not in text
    table = [cells(line) for line in up4.splitlines() if line.startswith("|")][2:]
    measured = [row for row in table if row[0].startswith("`")]
    published = [row for row in table if row[0].startswith("*")]
    assert len(measured) + len(published) == len(table)
    row = first["tasks"]["up4"]["models"]["shift"]
    assert measured[0][:7] == [
        "`shift`", "seed 0", f"{row['cd']:.3f}", f"{row['hd']:.2f}", f"{row['p2f']:.2f}",
        f"{row['p2f_std']:.2f}", "3/2",
    ]  # fmt: skip
    assert measured[1][:2] == ["`repeat`", "seed 7"]
    by_name = {row[0]: row for row in published}
    assert by_name["*SSPU-Net*"][2:5] == ["0.370", "3.47", "4.43"]
    assert "*PointLIE*" not in by_name  # its input was random: it stands beside up4-random
    assert by_name["*PU-Gaussian*"][2:5] == ["0.228", "1.71", "1.66"]
    assert all(row[1].strip("*") for row in published)
    assert "| *" not in sections["up4 (plain)"]
    assert "| *" not in sections["noise-0.01 (pugan-2019)"]
    assert "were trained on the 120 meshes of PU-147" in " ".join(text.split())


def test_the_later_result_wins(root, calls):
    old = benchmark.run_benchmark(root, ["up4"], ["shift"], seed=1, shapes=["cloud"])
    new = benchmark.run_benchmark(root, ["up4"], ["shift"], seed=2)
    table = benchmark.markdown_table([old, new], task="up4")
    assert table.count("`shift`") == 1
    assert "seed 2" in table
    assert "--seed 1" not in table
    with pytest.raises(OptionError):
        benchmark.markdown_table([])


def test_report_files_that_are_no_reports(tmp_path):
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("[1]")
    with pytest.raises(FileError, match=r"a\.json"):
        benchmark.read_results(tmp_path / "a.json")
    with pytest.raises(FileError, match=r"b\.json"):
        benchmark.read_results(tmp_path / "b.json")
    with pytest.raises(FileError, match=r"c\.json"):
        benchmark.read_results(tmp_path / "c.json")
    with pytest.raises(FileError, match=r"no.a\.json"):
        benchmark.write_results({}, tmp_path / "no" / "a.json")


def test_random_input_shows_its_seeds_and_their_spread(root, calls):
    result = benchmark.run_benchmark(root, ["up4-random"], ["shift"], seed=2, shapes=["ball"])
    row = result["tasks"]["up4-random"]["models"]["shift"]
    table = [cells(line) for line in benchmark.markdown_table(result).splitlines() if line.startswith("|")][2:]
    measured = [
        f"{row[key]:.{digits}f} ± {row['spread'][key]:.{digits}f}" for key, digits in (("cd", 3), ("hd", 2), ("p2f", 2))
    ]
    assert table[0][:5] == ["`shift`", "seeds 2 to 4", *measured]
    assert ["*PointLIE*", "0.320", "4.93", ""] in [[line[0], *line[2:5]] for line in table]

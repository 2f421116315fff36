"""Front matter of a model card: the YAML at its top, which the Hugging Face Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .measured import own_rows

# License identifiers that the Hub knows. Any other license is written as "other" with a `license_name`.
_HUB_LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
)
# Column of a measured row -> (identifier of the metric, its short name).
_METRICS = {
    "cd": ("chamfer-distance", "CD"),
    "hd": ("hausdorff-distance", "HD"),
    "p2f": ("point-to-surface-distance", "P2F"),
}
_TEST_SET = {"type": "pu-gan-test-shapes", "name": "PU-GAN test shapes"}


def front_matter(config: Mapping[str, Any], tasks: Sequence[str]) -> str:
    """The front matter with its "---" lines. It sets no `pipeline_tag`: the Hub has none for point clouds.

    Args:
        config: the content of config.json. Its "data" gives the data sets, its measured rows the metrics and results.
        tasks: the tasks of the model class, see `models.base.tasks_of`.
    """
    about = config["about"]
    purposes = [purpose for task, purpose in (("sample", "sampling"), ("upsample", "upsampling")) if task in tasks]
    tags = ["point-cloud", *(f"point-cloud-{purpose}" for purpose in purposes), "3d", config["model"]]
    rows = own_rows(about.get("measured") or [], config["name"])
    metrics = [name for key, (name, _) in _METRICS.items() if any(row.get(key) is not None for row in rows)]
    lines = [*_license(about.get("license")), "library_name: pcsr-zoo", *_list("tags", tags)]
    lines += [*_list("datasets", _data_sets(about.get("data"))), *_list("metrics", metrics)]
    if metrics:
        lines += ["model-index:", f"- name: {_text(config['name'])}", "  results:"]
        lines += [line for row in rows for line in _result(row, purposes[-1] if purposes else "upsampling")]
    return "\n".join(["---", *lines, "---"])


def _license(license: Any) -> list[str]:
    if not isinstance(license, str) or not license:
        return ["license: unknown"]
    slug = re.sub(r"[^a-z0-9.+-]+", "-", license.lower()).strip("-")
    if slug in _HUB_LICENSES:
        return [f"license: {slug}"]
    return ["license: other", f"license_name: {slug or 'other'}"]


def _data_sets(data: Any) -> list[str]:
    """The sources without their revisions. "/" is replaced: the Hub would take "owner/name" as a link to a data set."""
    items = data if isinstance(data, list) else [data]
    sources = [item.get("source") for item in items if isinstance(item, Mapping)]
    plain = [re.sub(r"[^A-Za-z0-9._]+", "-", str(source).partition("@")[0]).strip("-") for source in sources if source]
    return list(dict.fromkeys(name for name in plain if name))


def _result(row: Mapping[str, Any], purpose: str) -> list[str]:
    sampler = str(row["model"]).rpartition("+")[0]
    task = f"{row['task']}, sampled by {sampler}" if sampler else str(row["task"])
    lines = ["  - task:", f"      type: point-cloud-{purpose}", f"      name: {_text(task)}", "    dataset:"]
    lines += [f"      type: {_TEST_SET['type']}", f"      name: {_text(_TEST_SET['name'])}", "    metrics:"]
    for key, (identifier, name) in _METRICS.items():
        if row.get(key) is not None:
            label = _text(f"{name}x1000 ({row['convention']})")
            lines += [f"    - type: {identifier}", f"      name: {label}", f"      value: {float(row[key]):.6g}"]
    return lines


def _list(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}:", *(f"- {_text(value)}" for value in values)] if values else []


def _text(value: str) -> str:
    """A JSON string, which is also a YAML string."""
    return json.dumps(value, ensure_ascii=False)

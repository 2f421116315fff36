"""The papers behind the models: what their cards cite, and under which name their published rows stand."""

from __future__ import annotations

_POINTLIE = """@inproceedings{zhao2021pointlie,
  title     = {{PointLIE}: Locally Invertible Embedding for Point Cloud Sampling and Recovery},
  author    = {Zhao, Weibing and others},
  booktitle = {Proceedings of the Thirtieth International Joint Conference on Artificial Intelligence (IJCAI)},
  year      = {2021},
  note      = {arXiv:2104.14769}
}"""
_SSPU_NET = """@inproceedings{zhao2021sspunet,
  title     = {{SSPU-Net}: Self-Supervised Point Cloud Upsampling via Differentiable Rendering},
  author    = {Zhao, Yifan and Hui, Le and Xie, Jin},
  booktitle = {Proceedings of the 29th ACM International Conference on Multimedia},
  year      = {2021},
  note      = {arXiv:2108.00454}
}"""

# model -> the name of its paper's method in published tables, and the paper as BibTeX
_PAPERS = {
    "pointlie": ("PointLIE", _POINTLIE),
    "pointlie-geo": ("PointLIE", _POINTLIE),
    "sspu-net": ("SSPU-Net", _SSPU_NET),
}


def published_name(model: str) -> str | None:
    """Under which name the paper of a model class, by its registered name, stands in published tables."""
    return _PAPERS[model][0] if model in _PAPERS else None


def citation(model: str) -> str:
    """Whom to cite for the weights of a model class, in Markdown."""
    if model not in _PAPERS:
        return "The package, pcsr-zoo, by its name and version: there is no paper."
    return f"The paper, and pcsr-zoo by its name and version for the weights:\n\n```bibtex\n{_PAPERS[model][1]}\n```"

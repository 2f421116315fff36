"""Checkpoints: folders with a configuration and weights, in the package, on disk, or on the Hugging Face Hub.

`folder` saves and loads; `config` and `weights` handle its two files; `shipped` lists the checkpoints of this package;
`address`, `fetch` and `push` use the Hub. huggingface_hub does the transfer and the caching, so HF_HOME,
HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN have their usual meaning. This package reads only config.json and
model.safetensors, checks the configuration before it fetches the weights, and checks the weights against their sha256.
"""

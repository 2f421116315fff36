"""A checkpoint is a name and a folder; its weights are in the package, in a folder, or on the Hugging Face Hub.

`folder` saves and loads, `config` and `weights` are its two files, `shipped` the checkpoints of this package,
`address`, `fetch` and `push` the Hub. Transfer and caching are those of huggingface_hub, so HF_HOME, HF_HUB_OFFLINE,
HF_ENDPOINT and HF_TOKEN mean what they mean everywhere. Added to it: only config.json and model.safetensors are read,
the configuration is checked before the weights are fetched, the weights are checked against their sha256, and every
error says what to do.
"""

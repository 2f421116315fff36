"""Checkpoints on the Hugging Face Hub: where they are, getting them, publishing them.

All transfer and caching is that of huggingface_hub, so HF_HOME, HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN mean what
they mean everywhere. What is added: nothing but config.json and model.safetensors is read, the configuration is
checked before the weights are asked for, the weights against their sha256 whenever they are fetched, and every failure
says what to do. huggingface_hub is imported by the functions that need it.
"""

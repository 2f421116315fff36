"""Losses: batched, differentiable, one idea a file."""

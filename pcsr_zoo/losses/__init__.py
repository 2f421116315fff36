"""Losses: batched and differentiable, one in each file."""

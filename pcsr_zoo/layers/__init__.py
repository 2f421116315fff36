"""Blocks that networks share; all take features (B, N, C)."""

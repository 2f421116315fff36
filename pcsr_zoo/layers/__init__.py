"""Network blocks that several models share. They take features (B, N, C)."""

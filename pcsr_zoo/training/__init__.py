"""Training and fine-tuning: one engine for every network. Imports neither Open3D nor anything compiled but torch."""

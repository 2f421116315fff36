"""Geometry on point sets: one idea a file. Arrays stay on the CPU (scipy), CUDA tensors on their device (torch)."""

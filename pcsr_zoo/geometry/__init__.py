"""Geometry of point sets, one algorithm in each file. Arrays use the CPU (scipy), CUDA tensors their device (torch)."""

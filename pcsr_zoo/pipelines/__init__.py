"""Pipelines: sampling, upsampling and recovery of whole clouds with any model."""

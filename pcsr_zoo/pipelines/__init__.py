"""Pipelines: whole clouds through models."""

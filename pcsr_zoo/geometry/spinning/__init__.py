"""Scans of spinning LiDAR sensors as grids of rings and azimuths: rings, the sensor's pose, and lookups."""

"""Models: one file per system. They see numbers in the unit frame, and know nothing of files or Open3D."""

"""Models: a folder for each family, its page included. They see numbers in a unit frame, and know nothing of files."""

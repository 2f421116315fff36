"""Models: one folder for each family, with its documentation page. Models work in the unit frame, without files."""

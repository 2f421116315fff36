"""Models measured: on the tasks of PU-GAN's test shapes, and in round trips beside codecs."""

"""Measurements of models: on PU-GAN's test shapes, and in round trips that compare them with codecs."""

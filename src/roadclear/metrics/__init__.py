"""Metrics: numbers with intervals.

Its job: arrays of targets and probabilities in; metrics, intervals, curves and comparisons out.
It may import utils.
It must not know photos, files, settings of a training, or where a probability comes from.
Every function is pure: the same arrays give the same numbers.
"""

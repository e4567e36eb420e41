"""Predictions and explanations as a model might make them, for pictures that are drawn of them."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadclear import Explanation, Prediction

LONG_NAME = "x" * 250 + ".jpg"
NAMES = ("a.jpg", LONG_NAME, "日本.jpg", "é😀.jpg", os.fsdecode(b"caf\xe9.jpg"), "two\nlines.jpg", "")


def said(name: str = "a.jpg", label: str = "crossing", probability: float = 0.9, unsure: bool = False) -> Prediction:
    return Prediction(Path(name), label, probability, unsure=unsure, distance=0.1, unfamiliar=False)


def explained(heatmap: NDArray[np.float32], prediction: Prediction | None = None) -> Explanation:
    return Explanation(prediction or said(), float(heatmap.sum()) - 0.1, heatmap, -0.1)


def peak(value: float) -> NDArray[np.float32]:
    heatmap = np.zeros((7, 7), np.float32)
    heatmap[1, 5] = value
    return heatmap

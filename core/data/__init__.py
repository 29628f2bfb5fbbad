"""Datasets, the conditions of examples, and values that are missing."""

from genmod.data.dataset import Batch, DataInfo, Dataset, Factor, Split, TensorSplit

__all__ = [
    "Batch",
    "DataInfo",
    "Dataset",
    "Factor",
    "Split",
    "TensorSplit",
]

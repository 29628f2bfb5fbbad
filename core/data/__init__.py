"""Datasets, the conditions of examples, and values that are missing."""

from genmod.data.arrays import arranged, described, finite_values, stored_counts, stored_values
from genmod.data.code_folder import CodeFolder, is_code_folder, read_code_folder
from genmod.data.column import Column, Kind
from genmod.data.dataset import Batch, DataInfo, Dataset, Factor, Split, TensorSplit
from genmod.data.everything import every_row, in_order, together
from genmod.data.labels import class_numbers, classes_of, labels_alike
from genmod.data.matrix import (
    CsrRows,
    Matrix,
    MatrixDataset,
    check_pointers,
    dense_rows,
    numbered,
    of_categories,
)
from genmod.data.order import dealt, mixed, mixed_text, shuffled, split_of, tenths
from genmod.data.table import FrameDataset
from genmod.data.table_files import read_table

__all__ = [
    "Batch",
    "CodeFolder",
    "Column",
    "CsrRows",
    "DataInfo",
    "Dataset",
    "Factor",
    "FrameDataset",
    "Kind",
    "Matrix",
    "MatrixDataset",
    "Split",
    "TensorSplit",
    "arranged",
    "check_pointers",
    "class_numbers",
    "classes_of",
    "dealt",
    "dense_rows",
    "described",
    "every_row",
    "finite_values",
    "in_order",
    "is_code_folder",
    "labels_alike",
    "mixed",
    "mixed_text",
    "numbered",
    "of_categories",
    "read_code_folder",
    "read_table",
    "shuffled",
    "split_of",
    "stored_counts",
    "stored_values",
    "tenths",
    "together",
]

"""Formats: models written for other libraries, and read from there."""

from genmod.plugins._table import table

__all__ = ["COMPONENTS"]

COMPONENTS = table(
    "format",
    ("onnx", "OnnxFormat", "one part of a model as an ONNX file, for onnxruntime and browsers"),
    ("pt2", "Pt2Format", "one part of a model as a program of PyTorch, without genmod"),
    ("diffusers", "DiffusersFormat", "AutoencoderKL and VQModel of diffusers, written and read"),
    requires={"onnx": "onnxscript"},
)

"""Colours of figures and pages: one palette for classes, one for runs, and the greys around them."""

__all__ = ["CLASSES", "CLASSES_ON_DARK", "INK", "LINE", "MARK", "PAPER", "QUIET", "RUNS", "RUNS_ON_DARK"]

CLASSES = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#5c5e66", "#92dadd",
)  # fmt: skip
"""One for each class, in the order of the classes: Petroff's ten, which people tell apart who see colours differently.

Reference:
    Accessible Color Sequences for Data Visualization (Petroff, 2021), arXiv:2107.02270
"""

CLASSES_ON_DARK = (
    "#5aa5ea", "#ffb93b", "#e8593f", "#a9b7b5", "#a04fd6", "#c08a78", "#f58a3c", "#cbbf85", "#8f929c", "#a8e4e6",
)  # fmt: skip
"""The same on dark paper, lighter where they would be lost there."""

RUNS = ("#2f6fb3", "#d9731a", "#2b8a5b", "#b3417a", "#7a5bc2", "#8a6d1f", "#1f8f99", "#c23b3b")
"""One for each run; distinguished by most people who see colours differently, on white and on black."""

RUNS_ON_DARK = ("#93bdfc", "#f17d19", "#8edbae", "#cb719d", "#a572f2", "#e0d073", "#70f0f0", "#eb5f60")
"""The same on dark paper, lighter."""

INK, QUIET, LINE = "#1b1b1f", "#66666b", "#c8c8cc"
"""Of text and outlines, of what is said beside, and of frames."""

MARK = "#e3002b"
"""Of frames around what stands out."""

PAPER = 250
"""Grey level between the tiles of a picture."""

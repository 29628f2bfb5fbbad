"""One self-contained page about one model or several."""

from genmod.report.page import report

__all__ = ["report"]

"""Pictures and figures on disk: the endings of their names, and writing those of matplotlib. No torch."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genmod.errors import UsageError
from genmod.system.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "MOVING_FORMATS", "check_format", "save_figure"]

FORMATS = (".png", ".npz", ".safetensors")
MOVING_FORMATS = (".png", ".gif", ".apng", ".npz", ".safetensors")
"""Those of a walk, which can also be shown step by step."""


def check_format(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """Refuse a file name whose suffix is no known format.

    Raises:
        UsageError: another suffix than those of ``formats``.

    Example:
        >>> check_format(Path("samples.png"))
    """
    if path.suffix.lower() not in formats:
        raise UsageError(
            f"{path} says no known format by its suffix {path.suffix!r}",
            hint=f"end the name in {', '.join(formats[:-1])} or {formats[-1]}",
        )


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure in one step, the same bytes each time it is drawn."""
    from matplotlib import rc_context

    format_ = path.suffix.lower()[1:]
    if format_ == "png":
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        # What ``savefig`` writes, which draws a figure once more before that, to lay it out.
        FigureCanvasAgg(figure).print_png(stream := io.BytesIO())  # type: ignore[no-untyped-call, unused-ignore]
        write_bytes(path, stream.getvalue())
        return
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format_)
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "genmod"}):
        figure.savefig(stream, format=format_, metadata=metadata)
    write_bytes(path, stream.getvalue())

"""``genmod plot``."""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.outputs import Directories
from genmod.errors import FileError, UsageError, quoted

if TYPE_CHECKING:
    from genmod.figures.curves import Curve

__all__ = ["plot"]

_FORMATS = (".png", ".svg", ".pdf", ".csv")
_SECONDS_BETWEEN_LOOKS = 0.5


def plot(
    directories: Directories = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="A .png, .svg or .pdf, or the numbers as .csv.",
            show_default="DIR/curves.png, or curves.png of several runs",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="What to draw, as it is called in metrics.jsonl; repeatable, or with commas between.",
            show_default="loss, elbo, rate and distortion",
        ),
    ] = None,
    smooth: Annotated[int, typer.Option(metavar="N", min=1, help="Draw means of N rows of training.")] = 1,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic, where all values are positive.")] = False,
    x: Annotated[Literal["step", "epoch"], typer.Option("--x", help="What to draw over.")] = "step",
    live: Annotated[
        bool, typer.Option("--live", help="Draw in the terminal, again and again while a run goes on.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE where it exists.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as one JSON document.")] = False,
) -> None:
    """Draw the curves of one run or of several.

    Loss, ELBO, rate and distortion on the training and validation data, from the metrics.jsonl of each directory.
    Values of training are means over the examples since the row before.

    Examples:
      genmod plot
      genmod plot sweep/* --metric rate,distortion --smooth 5 -o curves.svg
      genmod plot model --json > curves.json
      genmod plot model --live
    """
    places = list(dict.fromkeys(directories or [Path("model")]))
    metrics = [name.strip() for text in metric or [] for name in text.split(",") if name.strip()]
    if live:
        _watch(places, metrics)
        return
    path = out or (places[0] / "curves.png" if len(places) == 1 else Path("curves.png"))
    if out is not None or not json:
        _check(path, overwrite=overwrite)

    from genmod.figures.curves import curves, read_curves
    from genmod.system.files import write_bytes

    found = read_curves(places, metrics, smooth=smooth)
    if json:
        console.print_json([_plain(curve) for curve in found])
    if out is None and json:
        return
    if path.suffix.lower() == ".csv":
        content = _table(found).encode(errors="backslashreplace")
    else:
        content = _drawn(curves(places, metrics, smooth=smooth, log=log, x=x), path.suffix.lower()[1:])
    write_bytes(path, content)
    if not json:
        console.print_text(str(path))


def _check(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(
            f"{path} says no known format by its suffix {path.suffix!r}",
            hint=f"end the name in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}",
        )
    if path.is_dir():
        raise FileError(f"{path} is a folder", hint="give the name of a file: -o FILE")
    if not path.parent.is_dir():
        raise FileError(f"there is no folder {path.parent}", hint=f"mkdir -p {quoted(path.parent)}")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise FileError(
            f"{path} exists", hint="replace it with --overwrite, or choose another name with -o FILE"
        )


def _plain(curve: "Curve") -> dict[str, Any]:
    return {
        "run": curve.run,
        "metric": curve.metric,
        "split": curve.split,
        "mean_of_rows": curve.window,
        "steps": list(curve.steps),
        "epochs": list(curve.epochs),
        "values": list(curve.values),
    }


def _table(found: "Sequence[Curve]") -> str:
    """A line for each point of each curve."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["run", "metric", "split", "mean_of_rows", "step", "epoch", "value"])
    for curve in found:
        for point in zip(curve.steps, curve.epochs, curve.values, strict=True):
            writer.writerow([curve.run, curve.metric, curve.split, curve.window, *point])
    return stream.getvalue()


def _drawn(figure: Any, format_: str) -> bytes:
    """The bytes of a figure, the same ones whenever it is drawn."""
    from matplotlib import rc_context

    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "genmod"}):
        figure.savefig(stream, format=format_, metadata=dates.get(format_))
    return stream.getvalue()


def _watch(places: Sequence[Path], metrics: Sequence[str]) -> None:
    """Draw in the terminal until all runs have ended, or Ctrl-C."""
    from genmod.bundle.directory import read_spec

    for place in places:
        read_spec(place)
    if not console.animated():
        raise UsageError("--live draws in a terminal, and this is none", hint="genmod plot -o curves.png")
    import sys

    from rich.console import Console
    from rich.live import Live

    terminal = Console(stderr=True, no_color=not console.colored(sys.stderr))
    try:
        with Live(console=terminal, auto_refresh=False) as live:
            while True:
                # Looked at before the rows are read, so that the last drawing has all of them.
                running = [place for place in places if _status(place) in ("", "running")]
                live.update(_page(places, metrics, running, terminal.width), refresh=True)
                if not running:
                    return
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        console.note("")


def _status(place: Path) -> str:
    """How a run stands; nothing where none was begun."""
    from genmod.bundle.directory import ModelDirectory

    return str(ModelDirectory(place).read_record().get("status", ""))


def _page(places: Sequence[Path], metrics: Sequence[str], running: Sequence[Path], width: int) -> Any:
    from rich.console import Group
    from rich.text import Text

    from genmod.bundle.directory import ModelDirectory
    from genmod.cli.dashboard import SPLITS, Points, panels

    points: Points = {}
    lines = []
    for place in places:
        rows = ModelDirectory(place).read_rows()
        last = f", step {rows[-1]['step']}" if rows else ""
        # How it stands is what is looked for: a long path loses its beginning.
        state, name = f": {_status(place) or 'not begun'}{last}", str(place)
        room = max(10, width - len(state))
        name = name if len(name) <= room else f"…{name[1 - room :]}"
        lines.append(Text(name + state, no_wrap=True, overflow="ellipsis"))
        for row in rows:
            # Of several runs only the validation is drawn, a colour for each.
            what = row.get("split") if len(places) == 1 else str(place)
            if row.get("split") not in SPLITS or (len(places) > 1 and row["split"] != "validation"):
                continue
            for name, value in row.items():
                if name not in ("step", "epoch", "split") and isinstance(value, int | float):
                    x, y = points.setdefault((name, str(what)), ([], []))
                    x.append(row["step"])
                    y.append(value)
    hint = Text("Ctrl-C stops drawing; the run goes on", style="dim") if running else Text("")
    return Group(*lines, *panels(points, width, metrics), hint)

"""``genmod plot``."""

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.options import Directories, Json, Overwrite, file_option, refuse_typed
from genmod.cli.outputs import check_file
from genmod.errors import UsageError

if TYPE_CHECKING:
    from genmod.figures.curves import Curve

__all__ = ["plot"]

_FORMATS = (".png", ".svg", ".pdf", ".csv")
_SECONDS_BETWEEN_LOOKS = 0.5


def plot(
    ctx: typer.Context,
    directories: Directories = None,
    out: Annotated[
        Path | None,
        file_option(
            "A .png, .svg or .pdf, or the numbers as .csv.", "DIR/curves.png, or curves.png of several runs"
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="The metric, by its name in metrics.jsonl; repeatable, or with commas between.",
            show_default="loss, elbo, rate and distortion",
        ),
    ] = None,
    smooth: Annotated[int, typer.Option(metavar="N", min=1, help="Draw means of N rows of training.")] = 1,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic, where all values are positive.")] = False,
    x: Annotated[Literal["step", "epoch"], typer.Option("--x", help="What to draw over.")] = "step",
    live: Annotated[
        bool, typer.Option("--live", help="Draw in the terminal, and redraw during the run.")
    ] = False,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Draw the curves of one run or of several.

    Loss, ELBO, rate and distortion on the training and validation data, from the metrics.jsonl of each directory.
    Values of training are means over the examples since the row before. Where the loss is the negative ELBO, one panel has
    both; values far from the rest, as of the first steps, lie outside, which the panel says.

    Examples:
      genmod plot
      genmod plot sweep/* --metric rate,distortion --smooth 5 -o curves.svg
      genmod plot model --json > curves.json
      genmod plot model --live
    """
    places = list(dict.fromkeys(directories or [Path("model")]))
    metrics = [name.strip() for text in metric or [] for name in text.split(",") if name.strip()]
    if live:
        beside = ("out", "smooth", "log", "x", "overwrite", "json")
        refuse_typed(ctx, beside, "--live", "draws plain curves in the terminal, and writes nothing")
        _watch(places, metrics)
        return
    path = out or (places[0] / "curves.png" if len(places) == 1 else Path("curves.png"))
    if out is not None or not json:
        check_file(path, _FORMATS, overwrite=overwrite)

    from genmod.figures.curves import curves, read_curves
    from genmod.figures.saving import save_figure
    from genmod.system.files import write_bytes

    found = read_curves(places, metrics, smooth=smooth)
    if json:
        console.print_json([_plain(curve) for curve in found])
    if out is None and json:
        return
    if path.suffix.lower() == ".csv":
        write_bytes(path, _table(found).encode(errors="backslashreplace"))
    else:
        save_figure(curves(places, metrics, smooth=smooth, log=log, x=x), path)
    if not json:
        console.print_text(str(path))


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


def _watch(places: Sequence[Path], metrics: Sequence[str]) -> None:
    """Draw in the terminal until all runs have ended, or Ctrl-C."""
    from genmod.bundle.directory import ModelDirectory

    for place in places:
        ModelDirectory(place).read_spec()
    if not console.animated():
        raise UsageError("--live draws in a terminal, and this is none", hint="genmod plot -o curves.png")
    import sys

    from rich.console import Console
    from rich.live import Live

    terminal = Console(stderr=True, no_color=not console.colored(sys.stderr))
    try:
        with Live(console=terminal, auto_refresh=False) as live:
            while True:
                # Read before the rows, so that the last drawing has all of them.
                running = [place for place in places if _status(place) in ("", "running")]
                live.update(_page(places, metrics, running, terminal.width), refresh=True)
                if not running:
                    return
                time.sleep(_SECONDS_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        console.note("")


def _status(place: Path) -> str:
    """The status of a run; empty where none was begun."""
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
        # The status must be readable: a long path loses its beginning.
        state, name = f": {_status(place) or 'not begun'}{last}", str(place)
        room = max(10, width - len(state))
        name = name if len(name) <= room else f"…{name[1 - room :]}"
        lines.append(Text(name + state, no_wrap=True, overflow="ellipsis"))
        for row in rows:
            # Of several runs only validation is drawn, in a colour for each.
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

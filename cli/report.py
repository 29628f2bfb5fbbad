"""``genmod report``."""

from pathlib import Path
from typing import Annotated

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
<<<<<<< HEAD
from genmod.cli.outputs import DataRoot, Device, Directories, Overwrite, Seed, Set, SplitOption
from genmod.errors import FileError, UsageError, quoted
=======
from genmod.cli.outputs import (
    DataRoot,
    Device,
    Directories,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    check_file,
    dataset_options,
    file_option,
    warn_untrained,
)
>>>>>>> f0ee3e1 (Commands share their options, files and settings; the report's pictures give the reason where they fail)

__all__ = ["report"]


def report(
    directories: Directories = None,
    out: Annotated[
        Path | None,
        file_option("The page, an .html.", "DIR/report.html, or report.html of several models"),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="What to measure beside the ELBO and its parts, with a value in brackets where it takes one; "
            "repeatable, or with commas between.",
            show_default="none",
            autocompletion=component_names("metric"),
        ),
    ] = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "auto",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write a page about one model or several.

    One HTML file that loads nothing else: numbers with their errors, curves, samples, reconstructions and the worst
    of them, walks through the latent space, the training examples nearest to samples, every option, and the commands
    that make the model again. A page about several models begins with their differences and shows them side by side.

    Examples:
      genmod report
      genmod report model -o page.html --overwrite
      genmod report sweep/* --metric active-units -o sweep.html
    """
    places = list(dict.fromkeys(directories or [Path("model")]))
    path = out or (places[0] / "report.html" if len(places) == 1 else Path("report.html"))

    from genmod.bundle.directory import ModelDirectory

    models = [ModelDirectory(place) for place in places]
    for model in models:
        model.read_spec()
    check_file(path, (".html", ".htm"), overwrite=overwrite)

    from genmod.cli.progress import StepProgress
    from genmod.evaluation.runner import parse_metrics
    from genmod.report import report as make
    from genmod.system.files import write_bytes

    for model in models:
<<<<<<< HEAD
        if not model.is_trained:
            console.warning(
                f"{model.path} records no training run; if its weights are still random, first: "
                f"genmod train {quoted(model.path)}"
            )
=======
        warn_untrained(model)
>>>>>>> f0ee3e1 (Commands share their options, files and settings; the report's pictures give the reason where they fail)
    with StepProgress() as progress:
        page = make(
            models,
            parse_metrics(metric or []),
            split=split,
            seed=seed,
            device=device,
            root=data_root,
            settings=dataset_options(set_ or []),
            on_progress=progress,
        )
    content = page.encode(errors="backslashreplace")
    write_bytes(path, content)
    console.note(f"seed {seed}")
    if json:
        console.print_json(
            {"report": str(path), "bytes": len(content), "models": list(map(str, places)), "seed": seed}
        )
    else:
        console.print_text(str(path))
<<<<<<< HEAD


def _check(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path} is no page by its suffix {path.suffix!r}", hint="end the name in .html")
    if not path.parent.is_dir():
        raise FileError(f"there is no folder {path.parent}", hint=f"mkdir -p {quoted(path.parent)}")
    if path.is_dir():
        raise FileError(f"{path} is a folder", hint="give the name of a file: -o FILE.html")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise FileError(
            f"{path} exists", hint="replace it with --overwrite, or choose another name with -o FILE.html"
        )


def _settings(texts: list[str]) -> dict[str, object]:
    """Options of the dataset by path.

    Raises:
        UsageError: something else is to be set.
    """
    from genmod.options.schema import Text
    from genmod.spec import parse_setting

    found = {path: Text(value) for path, value in map(parse_setting, texts)}
    wrong = [path for path in found if not path.startswith("dataset.")]
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} cannot be set for a model that is built already",
            hint="options of the dataset can: -s dataset.OPTION=VALUE",
        )
    return dict(found)
=======
>>>>>>> f0ee3e1 (Commands share their options, files and settings; the report's pictures give the reason where they fail)

"""What to do next, after each command: one table, of which the last line of each command is made."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import Any

from genmod.cli import console
from genmod.defaults import RECIPE
from genmod.errors import quoted
from genmod.system.free import free

__all__ = ["GOES_ON", "NEXT", "next_line", "resume_line", "say_next", "say_to_resume"]

Given = Mapping[str, Any]
"""The parameters of a command, and ``result``, what it gives back."""


def _at(directory: Path | None) -> str:
    """The directory as a further word; nothing where it is the one that commands take by default."""
    return "" if directory in (None, Path("model")) else f" {quoted(directory)}"


def _words(directories: Sequence[Path]) -> str:
    return " ".join(map(quoted, directories))


def _model(given: Given) -> str:
    return _at(given["directory"])


def _with_latents(line: str, otherwise: str) -> Callable[[Given], str]:
    """A line for a model with latents, and another for a whole model, which has none."""

    def chosen(given: Given) -> str:
        from genmod.bundle.directory import ModelDirectory

        whole = "model" in ModelDirectory(given["directory"]).read_spec()[0].components
        return f"{otherwise if whole else line}{_model(given)}"

    return chosen


def _to_build() -> str:
    """The line that builds a model, beside those that are there."""
    place = free(Path("model"))
    return "genmod build" + (f" -o {quoted(place)}" if _at(place) else "")


def _to_report(places: Sequence[Path]) -> str:
    """The line that writes a page about models, beside one that is there."""
    page = _page(places)
    place = free(page.with_suffix(""), page.suffix)
    words = "".join(map(_at, places)) if len(places) == 1 else f" {_words(places)}"
    return f"genmod report{words}" + ("" if place == page else f" -o {quoted(place)}")


def _page(places: Sequence[Path]) -> Path:
    """Where a page about these models is written by default."""
    return places[0] / "report.html" if len(places) == 1 else Path("report.html")


def _places(given: Given) -> Sequence[Path]:
    return given["directories"] or [Path("model")]


def _after_build(given: Given) -> str:
    if given["dry_run"]:
        return ""
    where, file = _at(given["out"]), Path(given["recipe"])
    if given["from_"] is not None:
        return f"genmod evaluate{where}"
    from genmod.cli.settings_from import holds_train_settings

    own = file.suffix == ".toml" and file.is_file() and holds_train_settings(file)
    return f"genmod train{where}" + (f" --config {quoted(file)}" if own else "")


def _after_train(given: Given) -> str:
    reports = given["result"]
    if len(reports) != 1:
        return f"genmod compare {_words(given['directories'])}" if reports else ""
    [report] = reports
    whole = not any(Path(picture).stem == "reconstructions" for picture in report["pictures"])
    return f"genmod {'sample' if whole else 'explore'}{_at(Path(report['directory']))}"


def _after_rerun(given: Given) -> str:
    both = _words([given["directory"], given["result"]])
    return f"genmod compare {both}"


def _after_numbers(given: Given) -> str:
    places = _places(given)
    return f"genmod compare {_words(places)}" if len(places) > 1 else _to_report(places)


def _after_encode(given: Given) -> str:
    out = given["out"]
    if not out.is_dir():
        return f"genmod latents{_model(given)}"
    line = f"genmod build --data {quoted(out)} -o {free(Path('latents'))}"
    # A sampler is fitted to draws, which means alone do not give.
    if "scales" not in (given["with_"] or ""):
        return line
    return f"{line}, or genmod fit-sampler {quoted(given['directory'])} --encoded {quoted(out)}"


def _after_push(given: Given) -> str:
    return "" if given["dry_run"] else f"genmod pull {quoted(given['repository'])}"


def _after_pull(given: Given) -> str:
    where = _at(given["out"] or Path(given["repository"].rpartition("/")[2]))
    return f"genmod sample{where}"


def _after_explore(given: Given) -> str:
    if given["export"] is None:
        return f"genmod explore{_model(given)} --export {free(Path('latent-space'), '.html')}"
    return f"python -m webbrowser {quoted(given['export'])}"


def _after_report(given: Given) -> str:
    return f"python -m webbrowser {quoted(given['out'] or _page(_places(given)))}"


def _after_list(given: Given) -> str:
    from genmod.registry.lookup import current_registry

    kind = given["kind"] or "recipe"
    names = current_registry().names(kind)
    return join(["genmod", "show", kind, RECIPE if kind == "recipe" else names[0]]) if names else ""


def _after_grid(given: Given) -> str:
    for kind in ("posterior", "prior", "divergence", "objective"):
        if given[kind]:
            return f"genmod show {kind} {quoted(given[kind][0])}"
    return _to_build()


def _after_config(given: Given) -> str:
    return "genmod train --dry-run" if Path("model/model.json").is_file() else _to_build()


NEXT: Mapping[str, Callable[[Given], str]] = {
    "build": _after_build,
    "train": _after_train,
    "rerun": _after_rerun,
    "fit-sampler": lambda given: f"genmod sample{_model(given)}",
    "export": lambda given: f"genmod show format {quoted(given['format_'])}",
    "push": _after_push,
    "pull": _after_pull,
    "sample": _with_latents("genmod reconstruct", "genmod evaluate"),
    "reconstruct": _with_latents("genmod interpolate", "genmod sample"),
    "interpolate": lambda given: f"genmod traverse{_model(given)}",
    "traverse": lambda given: f"genmod latents{_model(given)}",
    "encode": _after_encode,
    "score": lambda given: f"genmod evaluate{_model(given)}",
    "impute": lambda given: f"genmod evaluate{_model(given)}",
    "latents": lambda given: f"genmod explore{_model(given)}",
    "explore": _after_explore,
    "evaluate": _after_numbers,
    "sweep": lambda given: "" if given["dry_run"] else f"genmod compare {quoted(given['out'])}/*",
    "compare": lambda given: _to_report(given["directories"]),
    "plot": _after_numbers,
    "report": _after_report,
    "reproduce": lambda given: "genmod list reproduction",
    "selftest": lambda given: _to_build(),
    "list": _after_list,
    # Its own last line is an example to type.
    "show": lambda given: "",
    "grid": _after_grid,
    "plugins": lambda given: "genmod list",
    "check": lambda given: "genmod plugins",
    "plugin": lambda given: f"cd {quoted(given['result'])} && pip install -e '.[test]' && pytest",
    "info": lambda given: "genmod selftest",
    "config": _after_config,
}
"""Name of each command → the line to type next, from what it was given; empty for none."""

_ALWAYS = frozenset({"build", "train", "rerun", "fit-sampler", "sweep", "plugin", "pull"})
"""Commands on whose results others work: their line is of use in a log, too. Those of others are for readers."""

GOES_ON = frozenset({"fit-sampler", "encode", "sweep", "reproduce"})
"""Commands that go on where they were stopped, when the same line is typed again."""


def next_line(command: str, given: Given) -> str:
    """The line to type next; empty for none.

    Args:
        command: its name.
        given: its parameters, and ``result``, what it gave back.
    """
    paths = {
        name: Path(given[name]) for name in ("directory", "out", "export") if given.get(name) is not None
    }
    several = {"directories": [Path(each) for each in given.get("directories") or ()]}
    return NEXT[command]({**given, **paths, **several})


def say_next(command: str, given: Given, files: Sequence[Path] = ()) -> None:
    """Print the line to type next: not where JSON is printed, and after most commands on a terminal alone.

    Args:
        command: that is done.
        given: its parameters and result.
        files: plugins that were given by file, and have to be given again.
    """
    # Of several processes that share the work, one speaks.
    if given.get("json") or given.get("format_") == "json" or os.environ.get("RANK", "0") != "0":
        return
    watched = console.stdout().isatty() and sys.stderr.isatty()
    if (command in _ALWAYS or watched) and not console.settings.quiet:
        line = next_line(command, given)
        if line:
            again = "".join(f" --plugin {quoted(file)}" for file in files)
            console.note(f"next: {line}{again}")


def resume_line(directory: Path) -> str:
    """The line that continues the training in a directory."""
    where = _at(directory)
    return f"genmod train{where} --resume"


def say_to_resume(arguments: Sequence[str], error: BaseException) -> None:
    """Let an interruption end with the line that goes on, where the same line does.

    Args:
        arguments: of the command line.
        error: the interruption.
    """
    command = next((word for word in arguments if word in NEXT), "")
    if command in GOES_ON and not getattr(error, "__notes__", None):
        error.add_note(join(["genmod", *arguments]))

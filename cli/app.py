"""The commands and the global options; a command's file is imported when the command is used."""

import contextlib
import inspect
import itertools
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from genmod.cli import console
from genmod.cli.completion import distributions, registry_of

__all__ = ["COMMANDS", "global_options_first", "load_command", "run"]

COMMANDS = {
    "build": ("build:build", "Assemble a model from named components."),
    "train": ("train:train", "Train a model in its directory."),
    "rerun": ("rerun:rerun", "Repeat a run from its record."),
    "fit-sampler": ("fit_sampler:fit_sampler", "Fit a distribution of latents to draw new examples from."),
    "export": ("export:export", "Write a model for another library, or a part of it as one file."),
    "push": ("push:push", "Send a model to the Hugging Face Hub."),
    "pull": ("pull:pull", "Take a model from the Hugging Face Hub."),
    "sample": ("sample:sample", "Draw new examples from a model."),
    "reconstruct": ("reconstruct:reconstruct", "Show examples next to their reconstructions."),
    "interpolate": ("interpolate:interpolate", "Decode the points between two examples."),
    "traverse": ("traverse:traverse", "Decode what each latent dimension changes."),
    "encode": ("encode:encode", "Write the codes of data, a row for each row of a file."),
    "score": ("score:score", "Write the log-likelihood of data, a row for each row of a file."),
    "impute": ("impute:impute", "Fill in the missing values of a file."),
    "latents": ("latents:latents", "Show the codes of a model and the gaps between them."),
    "explore": ("explore:explore", "Walk through the latent space in a browser."),
    "evaluate": ("evaluate:evaluate", "Measure a model on its test data."),
    "sweep": ("sweep:sweep", "Train a model for each combination of values."),
    "compare": ("compare:compare", "Compare models side by side."),
    "plot": ("plot:plot", "Draw the curves of one run or of several."),
    "report": ("report:report", "Write a page about one model or several."),
    "reproduce": ("reproduce:reproduce", "Run a published experiment again."),
    "selftest": ("selftest:selftest", "Check the mathematics on this machine."),
    "list": ("listing:list_components", "List the components."),
    "show": ("show:show", "Explain a component and its options, or how one is written."),
    "grid": ("grid:grid", "Show which parts of a model go together."),
    "plugins": ("plugins:plugins", "List the installed plugins and their status."),
    "check": ("check:check", "Check plugins and components against the laws of their kinds."),
    "plugin": ("plugin:plugin", "Start a plugin of your own."),
    "config": ("config:config", "Show the settings that hold, and where each is from."),
    "info": ("info:info", "Describe this installation, for error reports."),
}
"""Name of each command → its function, in a file of this folder, and its line in ``genmod --help``."""

_FLAGS = frozenset(
    {
        *("--version", "--no-plugins", "--accept-changed", "--offline", "--no-cache"),
        *("-q", "--quiet", "-v", "--verbose", "--debug"),
    }
)
_VALUED = frozenset({"--plugin", "--disable-plugin", "--color"})
_TRAINING = frozenset({"train", "rerun", "sweep", "reproduce"})


class _Commands(TyperGroup):
    """The commands by name and summary; each is imported when it is used."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, (_, summary) in COMMANDS.items():
            self.commands[name] = TyperCommand(name, short_help=summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if not ctx.resilient_parsing:
            # Before anything is imported that could fail: the options also say how errors are shown.
            given = {key: ctx.params[key] for key in ("quiet", "verbose", "color")}
            console.configure(console.Settings(**given, debug=ctx.params["debug"] or console.settings.debug))
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


class _Command(TyperCommand):
    """A command that ends with the line to type next."""

    def invoke(self, ctx: Any) -> Any:
        if ctx.find_root().params.get("plugin"):
            # A file that is named is broken or not before anything is done, whether a name of it is needed or not.
            from genmod.registry.lookup import current_registry

            current_registry().load_files()
        with console.only_data_on_stdout():
            result = super().invoke(ctx)
        from genmod.cli.following import say_next

        files = ctx.find_root().params.get("plugin") or ()
        say_next(str(self.name), {**ctx.params, "result": result}, files)
        return result


def load_command(name: str) -> Any:
    """The command of that name, complete with its options; this imports its file."""
    module, _, function = COMMANDS[name][0].partition(":")
    callback: Callable[..., Any] = getattr(import_module(f"genmod.cli.{module}"), function)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=_Command, help=_verbatim_examples(inspect.getdoc(callback) or ""))(callback)
    return get_command(app)


def _verbatim_examples(text: str) -> str:
    """Mark the lines from ``Examples:`` to the next empty line as not to be wrapped."""
    return re.sub(r"^(Examples|Quick start):$", "\b\n\\g<0>", text, flags=re.MULTILINE)


app = typer.Typer(
    cls=_Commands,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)


@app.callback(
    help=_verbatim_examples(
        """Build, train, measure and sample generative models that are assembled from named components.

Quick start:
  genmod build --encoder conv --prior normal
  genmod train

The options below may also stand after the command."""
    )
)
def _options(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show versions and exit.")] = False,
    no_plugins: Annotated[
        bool, typer.Option("--no-plugins", help="Use the built-in components alone.")
    ] = False,
    plugin: Annotated[
        list[Path] | None,
        typer.Option("--plugin", metavar="FILE", help="Use the components of a Python file; repeatable."),
    ] = None,
    accept_changed: Annotated[
        bool,
        typer.Option("--accept-changed", help="Load models with a --plugin file that has changed since."),
    ] = False,
    disable_plugin: Annotated[
        list[str] | None,
        typer.Option(
            "--disable-plugin",
            metavar="DIST",
            help="Do not look into this plugin; repeatable.",
            autocompletion=distributions,
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Download nothing; also GENMOD_OFFLINE=1.")
    ] = False,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Keep nothing of pictures for the next start; also GENMOD_CACHE=0."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print data and errors only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is done.")] = False,
    color: Annotated[
        Literal["auto", "always", "never"], typer.Option(help="When to use colours; auto asks the terminal.")
    ] = "auto",
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error happened; also GENMOD_DEBUG=1.")
    ] = False,
) -> None:
    if version:
        from genmod.system.environment import versions

        found = versions()
        names = {"genmod": "genmod-torch", "Python": "python", "torch": "torch"}
        console.print_text(", ".join(f"{name} {found.get(key, 'unknown')}" for name, key in names.items()))
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        sys.stderr.write(f"{ctx.get_help()}\n")
        raise typer.Exit(2)
    from genmod.cli.settings_from import in_all_commands
    from genmod.registry.lookup import use_registry

    if ctx.invoked_subcommand not in _TRAINING:
        # Between the small operations of these commands, threads sleep; awake, each would take a processor from others.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if ctx.invoked_subcommand != "config":
        chosen = str(ctx.invoked_subcommand)

        def opens_data() -> bool:
            return any(each.name == "data_root" for each in load_command(chosen).params)

        ctx.with_resource(in_all_commands(offline=offline, no_cache=no_cache, opens_data=opens_data))
    ctx.with_resource(use_registry(registry_of(ctx.params)))


def run(arguments: list[str]) -> int:
    """Run a command line and give its exit code; errors are raised."""
    group = get_command(app)
    if os.environ.get("_GENMOD_COMPLETE"):
        return _complete(group)
    try:
        with group.make_context("genmod", global_options_first(arguments)) as context:
            group.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


def global_options_first(arguments: list[str]) -> list[str]:
    """The same command line with its global options in front of the command.

    Example:
        >>> global_options_first(["list", "encoder", "--color", "never", "-q"])
        ['--color', 'never', '-q', 'list', 'encoder']
    """
    front, rest = [], []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in _FLAGS or ("=" in word and word.partition("=")[0] in _VALUED):
            front.append(word)
        elif word in _VALUED:
            front += [word, *itertools.islice(words, 1)]
        else:
            rest.append(word)
    return front + rest


def _complete(group: Any) -> int:
    """Answer the shell, without errors and without what plugins print."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        try:
            group.main(args=[], prog_name="genmod")
        except Exception:
            return 1
    return 0

"""``genmod explore``."""

import secrets
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genmod.cli import console
from genmod.cli.options import (
    DataRoot,
    Device,
    Directory,
    Json,
    Overwrite,
    Seed,
    Set,
    SplitOption,
    number_option,
    refuse_typed,
)
from genmod.cli.outputs import check_file, open_model, open_split
from genmod.errors import DataError, UsageError

if TYPE_CHECKING:
    from genmod.data.dataset import Split
    from genmod.model.latent_variable import LatentVariableModel

__all__ = ["explore"]

_LARGE = 20_000_000


def explore(
    ctx: typer.Context,
    directory: Directory = Path("model"),
    export: Annotated[
        Path | None,
        typer.Option(
            "--export",
            "-o",
            metavar="FILE.html",
            help="Write one page that needs no genmod, rather than serve it.",
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="With --export: weights of 16 bits, for half the size.")
    ] = False,
    no_examples: Annotated[
        bool,
        typer.Option(
            "--no-examples",
            help="Nothing of the data in the file of --export; the map shows draws from the prior.",
        ),
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help="Serve there.", show_default="a free port"),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address only.")] = False,
    number: Annotated[
        int | None, number_option("examples on the map", default="as many as a page takes")
    ] = None,
    split: SplitOption = "test",
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Walk through the latent space in a browser.

    Sliders for the most active latents, a map of the codes to click and drag in, a walk between two points, samples,
    and images of your own. The page is served to this machine alone, at the address that is printed, until Ctrl-C.
    With --export it is one file that decodes by itself: put it on any web server, or send it to somebody. It holds up to
    1,000 examples of the data, as codes and small pictures or rows, and their classes, unless --no-examples.

    Examples:
      genmod explore
      genmod explore beta8 --no-browser --port 8000
      genmod explore beta8 --export beta8.html
      genmod explore beta8 --export beta8.html --no-examples
    """
    if no_examples:
        refuse_typed(ctx, ("split", "set_", "data_root"), "--no-examples", "reads no data")
    if export is not None:
        refuse_typed(ctx, ("device",), "--export", "makes its page on the CPU")
    _check(export, half=half, no_examples=no_examples, port=port, no_browser=no_browser, overwrite=overwrite)
    model = open_model(directory, "cpu" if export is not None else device)
    if no_examples:
        _require_prior(model)
    examples = None if no_examples else _examples(model, split, set_ or [], data_root)
    name = directory.resolve().name
    if export is not None:
        _write(model, examples, export, name, half=half, seed=seed, number=number, json=json)
    else:
        _serve(
            model, examples, name, port=port or 0, no_browser=no_browser, seed=seed, number=number, json=json
        )


def _check(
    export: Path | None,
    *,
    half: bool,
    no_examples: bool,
    port: int | None,
    no_browser: bool,
    overwrite: bool,
) -> None:
    """Refuse options that exclude each other, and a file that could not be written, before any work is done."""
    if export is None:
        for flag, given in {"--half": half, "--no-examples": no_examples, "--overwrite": overwrite}.items():
            if given:
                raise UsageError(
                    f"{flag} is for a page that is written, and none is",
                    hint="genmod explore --export FILE.html",
                )
        return
    if port is not None or no_browser:
        raise UsageError(
            f"{'--no-browser' if no_browser else '--port'} is for serving, and --export serves nothing",
            hint="leave one of them out",
        )
    check_file(export, (".html", ".htm"), overwrite=overwrite, flag="--export FILE.html")


def _require_prior(model: "LatentVariableModel") -> None:
    if model.spec.components["prior"].name == "none":
        raise UsageError(
            "--no-examples shows draws from the prior in place of examples, and this model has no prior",
            hint="leave --no-examples out: the file then holds codes and pictures of examples",
        )


def _examples(
    model: "LatentVariableModel", split: SplitOption, settings: list[str], root: Path | None
) -> "Split | None":
    """Examples for the map; None where the data are missing and the model has a prior to draw from instead."""
    try:
        return open_split(model, split, settings, root)
    except DataError as error:
        if model.spec.components["prior"].name == "none":
            raise
        console.warning(f"the map shows draws from the prior: {error.message.partition(chr(10))[0]}")
        return None


def _write(
    model: "LatentVariableModel",
    examples: "Split | None",
    path: Path,
    name: str,
    *,
    half: bool,
    seed: int,
    number: int | None,
    json: bool,
) -> None:
    from genmod.explorer import scene, standalone
    from genmod.system.files import write_bytes

    plain = scene(model, examples, name=name, seed=seed, number=number)
    page, reason = standalone(model, plain, half=half, seed=seed)
    content = page.document.encode(errors="backslashreplace")
    write_bytes(path, content)
    if reason:
        console.warning(f"no images can be encoded there: {reason}")
    console.note(f"{len(content) / 1e6:.1f} MB, seed {seed}")
    if plain["examples"]:
        what = "rows" if len(model.data.shape) == 1 else "small pictures"
        # Whoever sends the page on sends these along.
        console.note(
            f"it holds codes of {plain['examples']:,} examples of the data, and {what} of "
            f"{plain['pictures']['count']:,} of them; none with --no-examples"
        )
    if len(content) > _LARGE and not half:
        console.note("about half as large, with differences of about a thousandth: --half")
    if json:
        console.print_json(
            {"file": str(path), "bytes": len(content), "examples": plain["examples"], "seed": seed}
        )
    else:
        console.print_text(str(path))


def _serve(
    model: "LatentVariableModel",
    examples: "Split | None",
    name: str,
    *,
    port: int,
    no_browser: bool,
    seed: int,
    number: int | None,
    json: bool,
) -> None:
    from genmod.explorer import bind, explorer_app, make_server

    with bind(port) as listening:
        port = listening.getsockname()[1]
        token = secrets.token_urlsafe(16)
        app = explorer_app(model, examples, name=name, token=token, port=port, seed=seed, number=number)
        listening.listen()
        url = f"http://127.0.0.1:{port}/?token={token}"
        if json:
            console.print_json({"url": url, "seed": seed})
        else:
            console.print_text(url)
        console.note("Ctrl-C ends it")
        # Whoever reads the address from a pipe is to have it now.
        console.stdout().flush()
        if not no_browser:
            # Beside the server, which a browser of the terminal would otherwise keep from answering it.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        make_server(app).run(sockets=[listening])

"""``genmod build``."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import SEED, DataRoot, Json, set_option, typed
from genmod.cli.settings_from import build_settings, holds_train_settings
from genmod.defaults import RECIPE

if TYPE_CHECKING:
    from genmod.model.latent_variable import LatentVariableModel
    from genmod.spec import ModelSpec

__all__ = ["build"]

_MAX_BYTES = 1_000_000


def _part(kind: str, text: str) -> Any:
    return typer.Option(metavar="NAME", help=text, autocompletion=component_names(kind))


def build(
    ctx: typer.Context,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="[RECIPE|FILE.toml|-]",
            help="What to start from: a recipe, a TOML file, or - for TOML from the standard input.",
            autocompletion=component_names("recipe"),
        ),
    ] = RECIPE,
    model: Annotated[
        str | None, _part("model", "A whole model, in place of all parts below but the dataset.")
    ] = None,
    encoder: Annotated[str | None, _part("encoder", "From data to features.")] = None,
    posterior: Annotated[str | None, _part("posterior", "From features to q(z|x).")] = None,
    prior: Annotated[str | None, _part("prior", "The distribution p(z) of the latents.")] = None,
    decoder: Annotated[str | None, _part("decoder", "The likelihood p(x|z).")] = None,
    network: Annotated[
        str | None, _part("network", "From latents to the decoder; by default the encoder mirrored.")
    ] = None,
    divergence: Annotated[str | None, _part("divergence", "How far q(z|x) is from p(z).")] = None,
    objective: Annotated[str | None, _part("objective", "What is minimised.")] = None,
    critic: Annotated[
        str | None, _part("critic", "What judges latents or pictures, in the loss; by default nothing.")
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT:FOLDER",
            help="A model of another library, whose parts and weights are taken; see `genmod list format`.",
        ),
    ] = None,
    data: Annotated[str | None, _part("dataset", "The dataset, or the path of a file or folder.")] = None,
    latent: Annotated[
        str | None, typer.Option(metavar="N[xM]", help="Number of latent dimensions, or their shape.")
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[,NAME]", help="What encoder, decoder and prior are given: label, or factors."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None, set_option("KIND.OPTION=VALUE", "Set an option of a part; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to save it.")] = Path(
        "model"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and describe it; write nothing.")] = False,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights/--no-weights",
            help="Write the first weights now, or leave them to `genmod train`, of a model too large for this machine.",
        ),
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a trained model in DIR.")] = False,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help=f"{SEED[:-1]}: the first weights.")] = 0,
    data_root: DataRoot = None,
    json: Json = False,
) -> None:
    """Assemble a model from named components.

    Names come from `genmod list`, options from `genmod show`. What is not named comes from the recipe. Of
    a path in place of a dataset, `--data people.csv` or `--data photos/`, encoder and decoder suit what is there. Posterior,
    prior, divergence and objective that are not named are exchanged where they do not fit those that are.

    Examples:
      genmod build --encoder conv --prior normal
      genmod build beta-vae --latent 10 -s objective.beta=8 -o beta8
      genmod build --decoder gaussian -s encoder.channels=32,64 --dry-run
      genmod build --from diffusers:sd-vae-ft-mse --data photos -s dataset.size=256
    """
    from genmod.bundle.directory import ModelDirectory

    place = ModelDirectory(out)
    if not dry_run:
        question = f"{out} holds a trained model. Replace it?"
        overwrite = overwrite or (not json and place.is_trained and console.agreed(question))
        place.check_free(overwrite=overwrite)
    parts = {
        "model": model,
        "encoder": encoder,
        "posterior": posterior,
        "prior": prior,
        "decoder": decoder,
        "network": network,
        "divergence": divergence,
        "objective": objective,
        "critic": critic,
        "dataset": data,
    }
    chosen = {kind: name for kind, name in parts.items() if name is not None}
    given = typed(ctx, ("recipe", "seed"))
    start = build_settings(recipe="recipe" in given or from_ is not None, typed=chosen)
    recipe, latent = start.get("recipe", recipe), latent or start.get("latent")
    condition = condition or start.get("condition")
    seed = seed if "seed" in given else start.get("seed", seed)
    chosen = start["parts"]
    incoming = None
    if from_ is not None and not weights:
        raise typer.BadParameter("--no-weights draws them later; a model of another library brings its own")
    if from_ is not None:
        from genmod.model.incoming import read_source, with_parts

        incoming = read_source(from_)
        chosen = with_parts(incoming, chosen, latent, from_)
        recipe = incoming.recipe if recipe == RECIPE else recipe
    spec = _compose(recipe, chosen, latent if incoming is None else incoming.latent, condition, set_ or [])
    described = _own_file(recipe)
    if described is not None:
        # Mistakes in it are found now, and not by the command that trains.
        holds_train_settings(described)

    from genmod.bundle.model import save
    from genmod.model.adapt import with_fitting_parts
    from genmod.model.assembly import assemble, blueprint
    from genmod.model.suggest import with_data
    from genmod.model.summary import columns_table, summarize

    spec, info = with_data(spec, data_root)

    def make(spec: "ModelSpec") -> "LatentVariableModel":
        if incoming is not None and from_ is not None:
            from genmod.model.incoming import assemble_incoming

            return assemble_incoming(spec, info, incoming, from_, seed=seed)
        if dry_run or not weights:
            planned = blueprint(spec, info)
            planned.weights_seed = seed
            return planned
        return assemble(spec, info, seed=seed)

    made = with_fitting_parts(spec, info, make, console.note)
    summary = summarize(made)
    was_trained = place.is_trained
    if not dry_run:
        save(made, out, overwrite=overwrite)
    if json:
        console.print_json({"directory": None if dry_run else str(out), **summary.to_json()})
    else:
        if info.columns:
            names, *rows = columns_table(made)
            console.print_table(names, rows)
            console.print_text("")
        names, *rows = summary.table()
        console.print_table(names, rows)
        console.print_prose("\n".join(["", *summary.sentences()]))
    if dry_run:
        console.note("nothing was written; leave out --dry-run to build it")
    else:
        console.note(f"wrote {out}" + ("" if from_ is None else f", with the weights of {from_}"))
        if was_trained:
            console.note(f"the previous model is kept in {out}/before-… until this one has been trained")


def _compose(
    recipe: str, parts: Mapping[str, Any], latent: Any, condition: Any, settings: list[str]
) -> "ModelSpec":
    from genmod.model.build import compose
    from genmod.options.schema import Text
    from genmod.spec import parse_setting

    values = {path: Text(value) for path, value in map(parse_setting, settings)}
    choices: dict[str, Any] = {
        "components": parts,
        "latent": latent,
        "condition": condition,
        "settings": values,
    }
    if recipe == "-":
        return compose(text=_standard_input(), **choices)
    path = _own_file(recipe)
    return compose(recipe, **choices) if path is None else compose(file=path, **choices)


def _own_file(recipe: str) -> Path | None:
    """The user's own file, where the name is that of one and not of a recipe."""
    from genmod.registry.lookup import current_registry

    path = Path(recipe)
    is_file = path.suffix == ".toml" or (path.is_file() and recipe not in current_registry().names("recipe"))
    return path if is_file else None


def _standard_input() -> str:
    from genmod.errors import FileError

    content = sys.stdin.buffer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise FileError(f"the standard input is longer than {_MAX_BYTES:,} bytes; that is no specification")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise FileError(
            f"the standard input is no UTF-8 text ({error.reason} at byte {error.start})"
        ) from None

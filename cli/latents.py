"""``genmod latents``."""

from pathlib import Path
from typing import Annotated, Literal

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
    file_option,
    number_option,
)
from genmod.cli.outputs import check_out, open_model, open_split, picture_path
from genmod.errors import quoted

__all__ = ["latents"]


def latents(
    directory: Directory = Path("model"),
    panel: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Which panels: scatter, manifold, kl, traversals, gaps; of tables marginals, pairs, correlations.",
            show_default="all that the model has",
        ),
    ] = None,
    number: Annotated[int, number_option("examples to encode", least=16)] = 2000,
    projection: Annotated[
        Literal["auto", "pca", "tsne"],
        typer.Option(
            help="For codes of more than two numbers; auto: pca where two components have half of the variance, else tsne."
        ),
    ] = "auto",
    colour_by: Annotated[
        str | None,
        typer.Option(
            "--colour-by",
            "--color-by",
            metavar="NAME",
            help="label, or a factor of the data.",
            show_default="the label, else the first factor",
        ),
    ] = None,
    split: SplitOption = "test",
    out: Annotated[
        Path | None,
        file_option(
            "A .png, .svg or .pdf, or the arrays as .npz or .safetensors.", "DIR/samples/latents.png"
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    set_: Set = None,
    data_root: DataRoot = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Show the codes of a model and the gaps between them.

    Panels: the codes, with the prior and some posteriors; decodings of a grid over two dimensions; the KL of each
    dimension; traversals of the most active ones; decodings on the line between two codes that is farthest from all
    others, and of draws from the prior. The gaps are a number: the share of draws that decode to what is farther from all
    examples than 99 of 100 examples, and of 100 reconstructions, are. A latent space without gaps has 1 %, or less.

    Examples:
      genmod latents
      genmod latents beta8 --panel scatter,kl --projection tsne
      genmod latents --colour-by shape -n 5000 -o latents.svg
      genmod latents -o latents.npz
    """
    from genmod.figures.latents import FIGURE_FORMATS, check_panels, latents_figure

    check_out(out, overwrite=overwrite, formats=FIGURE_FORMATS)
    chosen = [] if panel is None else [word.strip() for word in panel.split(",")]
    check_panels(chosen)
    model = open_model(directory, device)
    examples = open_split(model, split, set_ or [], data_root)
    compared = open_split(model, "train", set_ or [], data_root) if split != "train" else None
    drawn = latents_figure(
        model,
        examples,
        reference=compared,
        panels=chosen,
        number=number,
        projection=projection,
        colour_by=colour_by,
        name=directory.name or str(directory),
        seed=seed,
    )
    path = out or picture_path(directory, "latents")
    drawn.save(path)
    if path.suffix.lower() in (".npz", ".safetensors"):
        console.note(
            f"{len(drawn.arrays['codes'])} codes, of examples drawn from {len(examples)}; all of them in their order: "
            f"genmod encode {quoted(directory)} --split {split} -o FILE"
        )
    for name, reason in drawn.left_out.items():
        # "No gaps" would read as praise.
        console.note(f"{'gaps are not measured' if name == 'gaps' else f'no {name}'}: {reason}")
    if drawn.gap is not None:
        console.note(str(drawn.gap))
    console.note(f"seed {seed}")
    if json:
        console.print_json(
            {
                "file": str(path),
                "seed": seed,
                "gap": None if drawn.gap is None else drawn.gap.to_json(),
                "left_out": drawn.left_out,
            }
        )
    else:
        console.print_text(str(path))

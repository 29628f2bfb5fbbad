"""``genmod fit-sampler``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from genmod.cli import console
from genmod.cli.completion import component_names
from genmod.cli.options import DataRoot, Device, Directory, Json, Seed, set_option
from genmod.cli.outputs import open_model, settings_by_owner
from genmod.defaults import SAMPLER
from genmod.errors import UsageError, quoted

__all__ = ["fit_sampler"]


def fit_sampler(
    directory: Directory = Path("model"),
    sampler: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The sampler, one of `genmod list sampler`.",
            autocompletion=component_names("sampler"),
        ),
    ] = SAMPLER,
    set_: Annotated[
        list[str] | None,
        set_option("NAME.OPTION=VALUE", "Set an option of the sampler or the dataset; repeatable."),
    ] = None,
    codes: Annotated[
        Literal["draws", "means"], typer.Option(help="Of q(z|x): a draw for each example, or its mean.")
    ] = "draws",
    encoded: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where genmod encode has written the codes.", show_default="encode again"
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    data_root: DataRoot = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sampler in DIR.")] = False,
    json: Json = False,
) -> None:
    """Fit a distribution of latents to draw new examples from.

    It is fitted to the codes of the training split and saved in the directory; `genmod sample` draws from it from then
    on. So a model without a prior generates, and one whose prior does not fit its codes generates better. After the
    model is trained again, it must be fitted again. Where a fit by steps was stopped or killed, the same command goes on.

    Examples:
      genmod fit-sampler
      genmod fit-sampler --sampler gmm -s sampler.components=20 --overwrite
      genmod fit-sampler ae --sampler flow
      genmod fit-sampler --sampler vae
      genmod fit-sampler --sampler flow-matching --encoded codes/
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.sampler import check_no_sampler, fit_folder, has_sampler

    there = ModelDirectory(directory)
    spec, info = there.with_dataset(), there.read_spec()[1]
    question = f"{directory} has a sampler already. Replace it?"
    overwrite = overwrite or (not json and has_sampler(directory) and console.agreed(question))
    check_no_sampler(directory, overwrite=overwrite)
    options = settings_by_owner(set_ or [], ("sampler", "dataset"))

    from genmod.bundle.sampler import read_origin, save_sampler
    from genmod.cli.progress import StepProgress
    from genmod.data.code_folder import CODES, is_code_folder
    from genmod.model.assembly import open_dataset
    from genmod.model.fit_sampler import fit_sampler as fit

    data: Any = encoded
    if encoded is None:
        own = {f"dataset.{key}": value for key, value in options["dataset"].items()}
        data = open_dataset(spec.with_options(own), data_root, info=info)
    elif not is_code_folder(encoded):
        raise UsageError(
            f"{encoded} is no folder of genmod encode: it has no {CODES}",
            hint=f"genmod encode {quoted(directory)} --with scales -o {quoted(encoded)}",
        )
    elif options["dataset"]:
        raise UsageError(
            f"the codes in {encoded} are there already, and options of a dataset change nothing in them",
            hint=f"leave out -s {' and -s '.join(f'dataset.{name}' for name in options['dataset'])}, or --encoded",
        )
    model = open_model(there, device)
    with there.alone(), StepProgress() as progress:
        made = fit(
            model,
            data,
            {"name": sampler, **options["sampler"]},
            codes=codes,
            seed=seed,
            folder=fit_folder(directory),
            on_progress=progress,
        )
    place = save_sampler(made, there, overwrite=overwrite)
    origin = read_origin(directory)
    if json:
        console.print_json({"directory": str(directory), **origin.to_json()})
        return
    console.print_text(str(place))
    density = (
        "" if origin.log_density is None else f"; log p(z) of held-out codes {origin.log_density:.3f} nats"
    )
    console.note(f"fitted {origin.component.name} to {origin.count:,} codes{density}")

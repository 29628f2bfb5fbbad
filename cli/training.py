"""What ``genmod train`` does in each directory: open the data, train, measure, draw pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from genmod.cli import console
from genmod.errors import GenmodError, quoted

if TYPE_CHECKING:
    from genmod.bundle.directory import ModelDirectory
    from genmod.data.dataset import Dataset
    from genmod.evaluation import Evaluation
    from genmod.model.latent_variable import LatentVariableModel
    from genmod.training.train import TrainResult

__all__ = ["Data", "Source", "train_all"]


class Source(Protocol):
    """Where the data of each model come from."""

    def open(self, place: "ModelDirectory") -> "Dataset":
        """The data for the model in a directory; nothing is read yet."""


@dataclass(frozen=True)
class Data:
    """The data to train on.

    Args:
        name: of a dataset; None for the one that a model was built for.
        options: of the dataset, set anew.
        root: folder with data files.
    """

    name: str | None
    options: Mapping[str, Any]
    root: Path | None

    def open(self, place: "ModelDirectory") -> "Dataset":
        """The data for the model in a directory; nothing is read yet."""
        from genmod.model.assembly import open_dataset

        spec, info = place.read_spec()
        if self.name is None and not self.options:
            return open_dataset(place.with_dataset(), self.root, info=info)
        if self.name is not None:
            spec = spec.with_component("dataset", self.name)
        options = {f"dataset.{key}": value for key, value in self.options.items()}
        return open_dataset(spec.with_options(options), self.root, info=info)


def train_all(
    directories: Sequence[Path],
    source: Source,
    overrides: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    dashboard: bool = False,
) -> tuple[list[dict[str, Any]], int]:
    """Train the models of all directories in turn; after a failure, the others are still trained.

    Args:
        directories: checked before the first is trained.
        source: the data.
        overrides: training settings that are not the default.
        resume: continue runs that were stopped.
        overwrite: start over with fresh weights where a model is trained.
        quiet: print no results.
        dashboard: draw curves during the run, where stderr is a terminal.

    Returns:
        A report of each, as plain data, and the exit code of the first failure, else 0.

    Raises:
        GenmodError: the only model failed, or the run was interrupted.
    """
    from genmod.bundle.directory import ModelDirectory
    from genmod.bundle.model import load
    from genmod.system.parallel import local
    from genmod.training.distributed import Team, process_group
    from genmod.training.signals import Interrupted

    places = [ModelDirectory(directory) for directory in directories]
    datasets = [source.open(place) for place in places]
    reports, failed = [], 0
    with process_group(overrides.get("device", "auto")) as device:
        together = {"device": device} if Team().size > 1 else {}
        for number, place in enumerate(places, 1):
            directory = place.path
            if len(directories) > 1 and Team().leads:
                console.note(f"model {number} of {len(directories)}: {directory}")
            try:
                dataset = datasets.pop(0)
                model, result = _train(
                    place,
                    dataset,
                    {**overrides, **together},
                    resume=resume,
                    overwrite=overwrite,
                    dashboard=dashboard,
                )
            except GenmodError as error:
                if len(directories) == 1 or isinstance(error, Interrupted):
                    raise
                console.error(error.message, error.hint)
                reports.append({"directory": str(directory), "status": "failed", "error": error.message})
                failed = failed or error.exit_code
                continue
            if together:
                # The weights may be spread over the processes.
                model = load(place)
            if Team().leads:
                with local():
                    reports.append(_report(directory, model, result, dataset, quiet=quiet))
    return reports, failed


def _train(
    place: "ModelDirectory",
    dataset: "Dataset",
    overrides: Mapping[str, Any],
    *,
    resume: bool,
    overwrite: bool,
    dashboard: bool,
) -> "tuple[LatentVariableModel, TrainResult]":
    from genmod.bundle.model import load
    from genmod.cli.dashboard import Dashboard
    from genmod.cli.progress import TrainingProgress
    from genmod.model.assembly import assemble
    from genmod.training.distributed import Team
    from genmod.training.train import train

    team = Team()
    if not team.leads:
        # One process fetches what has to be fetched; the others find it.
        team.wait()
    dataset.split("train")
    if team.leads:
        team.wait()
    seed = overrides.get("seed", 0)
    # A model that was never trained begins with the weights that it was built with, which may be those of another library.
    overwrite = overwrite and place.is_trained
    drawn = place.read_seed() if not (place.weights().exists() or place.is_trained) else None
    if overwrite or drawn is not None:
        model = assemble(*place.read_spec(), seed=seed if drawn is None else drawn)
    else:
        model = load(place, weights="last")
    how: dict[str, Any] = {"resume": resume, "overwrite": overwrite, **overrides}
    if resume and team.leads:
        _say_if_done(place, overrides)
    try:
        with Dashboard() if dashboard and console.animated() else TrainingProgress() as progress:
            result = train(model, dataset, directory=place, on_event=progress, **how)
    except KeyboardInterrupt as stopped:
        from genmod.cli.following import resume_line

        if team.leads:
            stopped.add_note(resume_line(place.path))
        raise
    return model, result


def _say_if_done(place: "ModelDirectory", overrides: Mapping[str, Any]) -> None:
    """Say that a run that is to be resumed has come to its end, and what trains the model longer."""
    record = place.read_record()
    status, done = record.get("status"), record.get("step") or 0
    if status not in ("finished", "stopped early") or max(
        overrides.get("steps") or 0, overrides.get("epochs") or 0
    ):
        return
    console.note(f"the run in {place.path} is done: {status} after {done:,} steps; nothing is left to resume")
    settings, where = record.get("settings") or {}, quoted(place.path)
    moving = settings.get("schedule") != "constant" or "%" in str(place.read_spec()[0].to_json())
    if status == "finished" and not moving:
        console.note(f"to train longer: genmod train {where} --resume --steps {2 * int(done)}")
    else:
        why = (
            "its schedules have ended with it" if status == "finished" else "validation no longer got better"
        )
        more = (
            f"--steps {2 * int(done)}"
            if status == "finished"
            else f"--patience {2 * int(settings.get('patience') or 1)}"
        )
        console.note(f"{why}; to train longer, start over: genmod train {where} --overwrite {more}")


def _report(
    directory: Path,
    model: "LatentVariableModel",
    result: "TrainResult",
    dataset: "Dataset",
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Measure the best weights on the test data, draw pictures, and print the results."""
    from genmod.cli.gauge import shown
    from genmod.evaluation import evaluate

    console.note(
        f"{result.status} after {result.steps} steps, {result.seconds:.1f} s; "
        f"best validation loss {shown(result.best_loss)} at step {result.best_step}"
    )
    evaluation = evaluate(model, dataset.split("test"))
    pictures = _pictures(model, dataset, directory)
    if not quiet:
        _print(evaluation)
        for picture in pictures:
            console.print_text(str(picture))
    return {
        "directory": str(directory),
        "status": result.status,
        "steps": result.steps,
        "best_step": result.best_step,
        "seconds": result.seconds,
        "test": evaluation.to_json(),
        "pictures": list(map(str, pictures)),
    }


def _print(evaluation: "Evaluation") -> None:
    from genmod.cli.metrics import number

    rows = [
        [row.name, number(row.value), number(row.standard_error), row.unit, row.n] for row in evaluation.rows
    ]
    console.print_table(["test", "value", "standard error", "unit", "examples"], rows)
    for name, reason in evaluation.undefined.items():
        console.note(f"no {name}: {reason}")


def _pictures(model: "LatentVariableModel", dataset: "Dataset", directory: Path) -> list[Path]:
    """The paths of samples, where the model has a prior, and of reconstructions of test examples."""
    from genmod.cli.outputs import picture_path
    from genmod.errors import UndefinedError
    from genmod.figures import choose_examples, reconstruction_grid, sample_grid

    pictures = {}
    if model.has_latents:
        batch = choose_examples(dataset.split("test"), 10)
        pictures["reconstructions"] = reconstruction_grid(model, batch.x, context=model.context(batch))
    try:
        pictures["samples"] = sample_grid(model, 64)
    except UndefinedError as error:
        console.note(f"no picture of samples: {error.message}")
    paths = []
    for name, picture in sorted(pictures.items(), reverse=True):
        paths.append(picture_path(directory, name))
        picture.save(paths[-1])
    return paths

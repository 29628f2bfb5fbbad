"""Numbers and pictures for the card of a model, made anew from its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Dataset
from genmod.errors import DataError, GenmodError, UndefinedError
from genmod.evaluation import Evaluation, evaluate
from genmod.figures import Picture, choose_examples, reconstruction_grid, sample_grid
from genmod.hub.allowed import PICTURES
from genmod.hub.wishes import CardWishes
from genmod.model.evaluating import evaluating
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.opening import data_for

__all__ = ["Measured", "look_at"]

_SAMPLES, _RECONSTRUCTIONS = PICTURES
_SHOWN, _COMPARED = 64, 10


@dataclass(frozen=True)
class Measured:
    """What was seen of a model.

    Args:
        evaluation: its numbers; None where nothing was measured.
        pictures: name of each → where it lies, seen from the folder of the model.
        problems: name of what is missing → why, for the user; these texts may have paths, and do not go up.
    """

    evaluation: Evaluation | None
    pictures: Mapping[str, str]
    problems: Mapping[str, str] = field(default_factory=dict)


def look_at(
    model: LatentVariableModel,
    folder: Path,
    wishes: CardWishes,
    *,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Measured:
    """Measure a model and draw its pictures into a folder.

    Args:
        model: to look at; put in evaluation mode meanwhile.
        folder: of the model.
        wishes: which numbers, of which data.
        on_progress: called with the task, the steps done and their total.

    Raises:
        UsageError: an unknown metric, or data that do not suit the model.
    """
    problems: dict[str, str] = {}
    data, evaluation = _data(model, wishes, problems), None
    split = None if data is None else data.split(wishes.split)
    if data is not None and wishes.metrics:
        evaluation = evaluate(
            model, data, wishes.metrics, split=wishes.split, seed=wishes.seed, on_progress=on_progress
        )
        problems |= evaluation.undefined

    def samples() -> Picture:
        return sample_grid(model, _SHOWN, seed=wishes.seed)

    def reconstructions() -> Picture:
        if split is None or not model.has_latents:
            raise UndefinedError("there are no examples, or no latents")
        batch = choose_examples(split, _COMPARED, seed=wishes.seed)
        return reconstruction_grid(model, batch.x, context=model.context(batch), seed=wishes.seed)

    place, drawn = ModelDirectory(folder), {}
    wanted = {_SAMPLES: samples, **({_RECONSTRUCTIONS: reconstructions} if wishes.examples else {})}
    for name, draw in wanted.items():
        try:
            with evaluating(model):
                picture = draw()
            path = place.pictures(f"{name}.png")
            path.parent.mkdir(exist_ok=True)
            picture.save(path)
        except GenmodError as error:
            problems[name] = error.message
        else:
            drawn[name] = path.relative_to(folder).as_posix()
    return Measured(evaluation, drawn, problems)


def _data(model: LatentVariableModel, wishes: CardWishes, problems: dict[str, str]) -> Dataset | None:
    """The data to measure; None where the model's own are not at hand."""
    try:
        data: Dataset = model.suited(data_for(model.spec, model.data, wishes.data, wishes.root))
        if len(data.split(wishes.split)) == 0:
            raise DataError(f"the {wishes.split} split has no examples")
    except DataError as error:
        if wishes.data is not None:
            raise
        problems["numbers"] = error.message
        return None
    return data

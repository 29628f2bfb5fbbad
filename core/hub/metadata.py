"""The metadata of a model card, and ``config.json``, by which the Hub counts downloads."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genmod.evaluation import Row
from genmod.hub.measured import Measured
from genmod.hub.wishes import CardWishes
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.installed import OWN_DISTRIBUTION, installed, version_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

__all__ = ["config_of", "front_matter"]

_TASK, _OTHER = "unconditional-image-generation", "other"


def front_matter(model: LatentVariableModel, name: str, measured: Measured, wishes: CardWishes) -> str:
    """The metadata in YAML between lines ``---``: library, licence, task, and a ``model-index`` with the numbers.

    A number is the value of its entry; what else is known of it, such as its standard error, are its ``args``.
    """
    from huggingface_hub import ModelCardData

    numbers = measured.evaluation.rows if measured.evaluation else ()
    results = [_result(model, row, wishes) for row in numbers if row.value - row.value == 0]
    recipe = model.spec.recipe
    card = ModelCardData(
        library_name="genmod",
        license=wishes.license or None,
        pipeline_tag=_task(model) if _task(model) != _OTHER else None,
        tags=["genmod", "generative-model", *([recipe] if recipe.replace("-", "").isalnum() else [])],
        model_name=name.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    return f"---\n{card.to_yaml()}\n---\n"


def _task(model: LatentVariableModel) -> str:
    return _TASK if model.data.is_image and not model.conditions else _OTHER


def _result(model: LatentVariableModel, row: Row, wishes: CardWishes) -> "EvalResult":
    from huggingface_hub import EvalResult

    dataset = "given" if wishes.data is not None else model.spec.components["dataset"].name
    known = {"standard_error": row.standard_error} if row.standard_error - row.standard_error == 0 else {}
    return EvalResult(
        task_type=_task(model),
        task_name="Generative modelling",
        dataset_type=dataset,
        dataset_name=dataset,
        dataset_split=wishes.split,
        metric_type=row.name,
        metric_name=f"{row.name}, {row.unit}" if row.unit else row.name,
        metric_value=row.value,
        metric_args={**known, "examples": row.n, "seed": wishes.seed},
    )


def config_of(model: LatentVariableModel, more: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``config.json``: what the model is, in short; loading it needs nothing of this.

    Args:
        model: any model.
        more: further entries of the user.
    """
    whole = model.spec.components.get("model")
    return {
        **more,
        "library_name": "genmod",
        "genmod_version": version_of(installed(OWN_DISTRIBUTION)),
        "model_type": whole.name if whole else model.spec.recipe or "genmod",
        "data_shape": list(model.data.shape),
        **({"latent_shape": list(model.latent_shape)} if model.has_latents else {}),
        "components": {kind: part.name for kind, part in model.spec.components.items()},
    }

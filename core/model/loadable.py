"""Whether a model is what its specification says, so that it can be loaded from what is saved of it."""

from typing import Any

from torch import Tensor

from genmod.errors import GenmodError, UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import blueprint
from genmod.model.coded import PriorOfCodes
from genmod.model.foreign import foreign_kinds
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.resolve import resolve
from genmod.spec import MODEL_KINDS

__all__ = ["check_loadable"]

_HINT = "give the part when the model is built: genmod.build(encoder=module), and load it with modules={...}"
_SHOWN = 3


def check_loadable(model: GenerativeModel) -> None:
    """Refuse a model that could not be loaded from its specification and its weights.

    Raises:
        UsageError: a part or a weight is another one than the specification says; names it.
    """
    if not isinstance(model, LatentVariableModel) and "model" not in model.spec.components:
        raise UsageError(
            f"a {type(model).__name__} cannot be saved: its specification names no model that could be loaded",
            hint="make it a component, genmod plugin new NAME --kind model; or train it without a directory, and save its "
            "state_dict yourself",
        )
    foreign = foreign_kinds(model.spec)
    try:
        resolved = resolve(model.spec).resolved
        planned = None if foreign else blueprint(model.spec, model.data)
    except GenmodError as error:
        raise UsageError(
            f"the model cannot be saved, since it could not be loaded: {error.message}", hint=error.hint
        ) from error
    for kind in ("model",) if "model" in model.spec.components else MODEL_KINDS:
        part: Any = model if kind == "model" else getattr(model, kind)
        part = part.of if isinstance(part, PriorOfCodes) else part
        wanted = resolved[kind].cls if kind in resolved else object
        if kind not in foreign and not isinstance(part, wanted):
            raise UsageError(
                f"the model cannot be saved: its {kind} is a {type(part).__name__}, and its specification says "
                f"{model.spec.components[kind].name!r}",
                hint=_HINT,
            )
    precisions = {str(t.dtype)[6:] for t in model.state_dict().values() if t.is_floating_point()}
    if len(precisions) > 1:
        raise UsageError(
            f"the model cannot be saved: its weights are of several precisions, {', '.join(sorted(precisions))}",
            hint="bring them to one: model.float() or model.double()",
        )
    if planned is None:
        return
    given, said = _shapes(model.state_dict()), _shapes(planned.state_dict())
    differ = [name for name in {**said, **given} if given.get(name) != said.get(name)]
    if differ:
        raise UsageError(
            f"the model cannot be saved: its weights are not those of its specification, {', '.join(differ[:_SHOWN])}",
            hint=_HINT,
        )


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}

"""What a run would take of memory in each of its processes, computed without any of it: tensors have shapes and no values."""

import math
import weakref
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from genmod.data.dataset import Batch, DataInfo, Dataset, TensorSplit
from genmod.distributions.unvalidated import unvalidated
from genmod.errors import GenmodError, UsageError
from genmod.interfaces.model import GenerativeModel
from genmod.model.assembly import blueprint, constructed
from genmod.spec import ModelSpec
from genmod.system.device import pick_device
from genmod.system.memory import physical_memory
from genmod.training.activation_checkpointing import activation_checkpointing
from genmod.training.freezing import frozen
from genmod.training.groups import trained
from genmod.training.lr import make_optimizer
from genmod.training.precision import network_dtype, settled
from genmod.training.settings import TrainSettings
from genmod.training.units import network_units, units_of

__all__ = ["Estimate", "estimate", "too_large"]


@dataclass(frozen=True)
class Estimate:
    """What a run would take in each of its processes.

    Args:
        settings: all of them, as plain data.
        processes: number of processes; each takes the same.
        parameters: of each part; those that parts share count in each.
        trained: parameters that move.
        fixed: those that do not.
        batch: examples that a process computes at once.
        memory: bytes in each process, by what they are for.
        with_checkpointing: bytes of the activations where they are computed again in the backward pass; None if unknown.
        unknown: why the activations could not be computed; empty if they were.
    """

    settings: Mapping[str, Any]
    processes: int
    parameters: Mapping[str, int]
    trained: int
    fixed: int
    batch: int
    memory: Mapping[str, int]
    with_checkpointing: int | None
    unknown: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def estimate(
    spec: ModelSpec, info: DataInfo, data: Dataset, settings: TrainSettings, processes: int = 1
) -> Estimate:
    """What a run would take in each of its processes; neither weights nor activations are made.

    Forward and backward pass run on tensors without values, whose sizes are added up while they live.

    Args:
        spec: of the model.
        info: shape and range of the data.
        data: to train on; some examples are read.
        settings: of the run.
        processes: that share each batch.

    Raises:
        UsageError: the parts do not fit, or the processes cannot share a batch evenly.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    at_once = _at_once(settings, processes)
    planned, split = blueprint(spec, info), data.split("train")
    batch = split.__getitems__([i % len(split) for i in range(at_once)])
    with unvalidated(), FakeTensorMode(allow_non_fake_inputs=True):
        model = constructed(planned.spec, info).train()
        with suppress(UsageError):  # the device may be one of another machine
            settings = settled(settings, model, pick_device(settings.device))
        model.autocast_dtype = network_dtype(settings)
        with frozen(model, settings.freeze):
            moving = [p for p in model.parameters() if p.requires_grad]
            counts = [
                sum(p.numel() for p in model.parameters() if p.requires_grad is on) for on in (True, False)
            ]
            some, units = batch[:2], list[tuple[nn.Module, ...]]()
            if settings.strategy == "fsdp" and processes > 1:
                units = units_of(model, lambda: model.terms(some.x.clone(), model.context(some)))
            slots = _slots(model, settings)
            memory = _of_state(model, moving, slots, settings, processes, units)
            if model.autocast_dtype is not None:
                # They are gathered as what networks compute with, and kept no longer than they are gathered.
                for unit in network_units(model, units):
                    _convert(unit, model.autocast_dtype)
            found, unknown = _kept_and_again(model, batch)
    parameters = {name: sum(p.numel() for p in part.parameters()) for name, part in planned.named_children()}
    known = len(found) == 2
    if known:
        memory["activations"] = found[settings.checkpoint_activations]
    held = (
        (split.batch.x, split.batch.labels, split.batch.factors)
        if isinstance(split, TensorSplit)
        else (batch.x,)
    )
    memory["data"] = sum(each.nbytes for each in held if each is not None)
    return Estimate(
        settings.to_json(),
        processes,
        {name: count for name, count in parameters.items() if count},
        counts[0],
        counts[1],
        at_once,
        memory,
        found[1] if known else None,
        "" if known else unknown,
    )


def _at_once(settings: TrainSettings, processes: int) -> int:
    """Examples that a process works on at a time.

    Raises:
        UsageError: the processes cannot share a batch evenly.
    """
    at_once, left = divmod(settings.batch_size, settings.accumulate * processes)
    if left:
        raise UsageError(
            f"a batch of {settings.batch_size} in {settings.accumulate} parts cannot be shared evenly among "
            f"{processes} processes",
            hint=f"choose a --batch-size that {settings.accumulate * processes} divides",
        )
    return at_once


def _kept_and_again(model: GenerativeModel, batch: Batch) -> tuple[list[int], str]:
    """Bytes of activations that are kept, and of those where they are computed again; or less than two, and the reason."""
    found, unknown = [], ""
    for again in (False, True):
        try:
            with activation_checkpointing(model, again):
                found.append(_activations(model, batch.x, model.context(batch)))
        except GenmodError:
            raise
        except Exception as error:  # whatever a component does that needs values
            unknown = f"{type(error).__name__}: {str(error).partition(chr(10))[0]:.150}"
    return found, unknown


def too_large(spec: ModelSpec, info: DataInfo, settings: TrainSettings) -> bool:
    """Whether weights, gradients and two moments of a model take more memory than there is, so that no step can be tried."""
    device = pick_device(settings.device)
    there = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else physical_memory()
    return 4 * sum(each.nbytes for each in blueprint(spec, info).state_dict().values()) > there


def _of_state(
    model: GenerativeModel,
    moving: list[nn.Parameter],
    slots: Mapping[int, list[Tensor]],
    settings: TrainSettings,
    processes: int,
    units: list[tuple[nn.Module, ...]],
) -> dict[str, int]:
    """Bytes of what stays between steps, and of what is gathered within one."""
    sharded = settings.strategy == "fsdp" and processes > 1

    def own(tensor: Tensor) -> int:
        # Rows are shared out evenly, the last processes have fewer and room for as many.
        if not sharded or not tensor.dim():
            return tensor.nbytes
        rows = -(-tensor.shape[0] // processes)
        return rows * math.prod(tensor.shape[1:]) * tensor.element_size()

    parameters, named = list(model.parameters()), {name for name, _ in model.named_parameters()}
    buffers = sum(each.nbytes for name, each in model.state_dict().items() if name not in named)
    weights = sum(map(own, parameters)) + buffers
    memory = {
        "weights": weights,
        "gradients": sum(map(own, moving)),
        "optimizer": sum(
            own(value) if value.shape == p.shape else value.nbytes
            for p in moving
            for value in slots.get(id(p), ())
        ),
        "averages": sum(map(own, moving)) if settings.ema else 0,
        "best weights": weights,
    }
    if processes > 1 and not sharded:
        # DistributedDataParallel sends copies of them.
        memory["gradients to be sent"] = memory["gradients"]
    if sharded:
        memory |= _gathered(model, parameters, units)
    return memory


def _gathered(
    model: GenerativeModel, parameters: list[nn.Parameter], units: list[tuple[nn.Module, ...]]
) -> dict[str, int]:
    """Bytes of weights that are whole within a step, and of their gradients."""
    low = network_units(model, units) if model.autocast_dtype is not None else []
    taken, sizes = set[int](), list[int]()
    for unit in units:
        own = {id(p): p.nbytes for module in unit for p in module.parameters() if id(p) not in taken}
        taken |= own.keys()
        sizes.append(sum(own.values()) // (2 if unit in low else 1))
    root = sum(p.nbytes for p in parameters if id(p) not in taken)
    sizes.sort(reverse=True)
    # While the largest computes its gradients, the next is on its way; gradients are copied, in full, to be sent.
    gradients = (3 if low else 2) * max([root, *sizes])
    return {"gathered weights": root + sum(sizes[:2]), "gathered gradients": gradients}


def _convert(unit: tuple[nn.Module, ...], dtype: torch.dtype) -> None:
    """Give modules weights in another precision, not by torch's own way, which needs values."""
    for module in (each for part in unit for each in part.modules()):
        for name, p in module._parameters.items():
            if p is not None:
                module._parameters[name] = nn.Parameter(p.detach().to(dtype), p.requires_grad)


def _slots(model: GenerativeModel, settings: TrainSettings) -> dict[int, list[Tensor]]:
    """The states of the optimizers, by parameter, once they have stepped."""
    found: dict[int, list[Tensor]] = {}
    for group in trained(model.groups()).values():
        parameters = [p for p in group.parameters if p.requires_grad]
        if not parameters:
            continue
        options = dict(group.optimizer)
        kind = options.pop("name", settings.optimizer)
        more = settings.optimizer_options if kind == settings.optimizer else {}
        optimizer = make_optimizer(kind, parameters, settings.lr, {**more, **options})
        for p in parameters:
            p.grad = torch.empty_like(p)
        optimizer.step()
        for p in parameters:
            p.grad = None
        for moved, state in optimizer.state.items():
            found[id(moved)] = [value for value in state.values() if isinstance(value, Tensor)]
    return found


def _activations(model: GenerativeModel, x: Tensor, context: Tensor | None) -> int:
    """The most bytes that a forward and a backward pass take beside weights and the gradients of these."""
    moving = [p for p in model.parameters() if p.requires_grad]
    with ExitStack() as stack:
        for p in moving:
            # They are counted by themselves: nothing is left of them once they are added up.
            stack.callback(p.register_post_accumulate_grad_hook(_forget).remove)
        living = stack.enter_context(_Living())
        terms = model.terms(x.clone(), context)
        losses = [terms.loss] if isinstance(terms.loss, Tensor) else list(terms.loss.values())
        for i, loss in enumerate(losses):
            if loss.requires_grad:
                loss.backward(retain_graph=i < len(losses) - 1)  # type: ignore[no-untyped-call]
    return living.most


def _forget(parameter: Tensor) -> None:
    parameter.grad = None


class _Living(TorchDispatchMode):
    """Adds up the bytes of all tensors that are made within it, as long as they live.

    Attributes:
        most: the largest sum so far.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        given = {id(t.untyped_storage()) for t in tree_flatten((args, kwargs))[0] if isinstance(t, Tensor)}
        for tensor in tree_flatten(made)[0]:
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if id(storage) not in self._known and id(storage) not in given:
                    size = storage.nbytes()
                    self._known.add(id(storage))
                    self.now += size
                    weakref.finalize(storage, self._gone, id(storage), size)
        self.most = max(self.most, self.now)
        return made

    def _gone(self, number: int, size: int) -> None:
        self._known.discard(number)
        self.now -= size

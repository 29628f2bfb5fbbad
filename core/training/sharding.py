"""Weights that are sharded over processes (FSDP2), for models that do not fit on one device."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genmod.interfaces.objective import Terms
from genmod.system.shards import Shard, StoredTensor, write_in_turn
from genmod.system.tensors import write_tensors

__all__ = ["TermsModule", "as_whole", "local_part", "shard", "shards_of", "shared_out_like", "write_whole"]


class TermsModule(nn.Module):
    """A module whose forward pass is the ``terms`` of a model, so that torch gathers its weights and averages gradients.

    Args:
        model: the model.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, context: Tensor | None = None) -> Terms:
        """Loss and terms of stored examples ``x (B, *data.shape)``, given ``context (B, size)``."""
        terms: Terms = self.model.terms(x, context)  # type: ignore[operator]
        return terms


def shard(
    root: TermsModule, device: torch.device, units: Iterable[tuple[tuple[nn.Module, ...], torch.dtype | None]]
) -> None:
    """Shard the weights of a model over all processes.

    The parameters become ``DTensor``, so optimizers must be made after this call.

    Args:
        root: the model.
        device: of the weights.
        units: modules whose weights are gathered together, only while they compute, the inner ones first, and the precision
            in which they compute, and so are gathered; None for that of the weights. All other weights stay gathered from the
            forward to the backward pass.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for unit, low in units:
        # Weights in low precision are kept for the backward pass: they must be what is freed, not copies of it.
        policy = MixedPrecisionPolicy(low, torch.float32 if low else None, cast_forward_inputs=False)
        fully_shard(list(unit) if len(unit) > 1 else unit[0], mesh=mesh, mp_policy=policy)
    fully_shard(root, mesh=mesh, reshard_after_forward=False)
    # The outputs of components are not modified in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")


def as_whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors, gathered from all processes if they are sharded; all processes must call this together."""
    return {name: t.full_tensor() if hasattr(t, "full_tensor") else t for name, t in tensors.items()}


def local_part(tensor: Tensor) -> Tensor:
    """This process's part of a tensor."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def shared_out_like(tensor: Tensor | StoredTensor, model_of: Tensor) -> Tensor:
    """A whole tensor, sharded over the processes like another one of its shape, and moved to its device.

    Of one on disk, a process reads the rows that it is to have.
    """
    # The import brings torch's compiler with it, and a sharded tensor has already been there.
    if not hasattr(model_of, "device_mesh") or tensor.shape != model_of.shape:
        whole = tensor.whole() if isinstance(tensor, StoredTensor) else tensor
        return whole.to(model_of.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(model_of, DTensor)

    mesh, placements = model_of.device_mesh, model_of.placements
    if isinstance(tensor, DTensor):
        return tensor
    if isinstance(tensor, StoredTensor):
        first = _first_row(model_of)
        if first is None:
            return distribute_tensor(tensor.whole().to(model_of.device), mesh, placements, src_data_rank=None)
        rows = tensor.rows(first, first + len(model_of.to_local())).to(model_of.device)
        own: Tensor = DTensor.from_local(
            rows, mesh, placements, run_check=False, shape=model_of.shape, stride=model_of.stride()
        )
        return own
    # Every process has read the whole tensor and keeps its part; nothing is sent.
    return distribute_tensor(tensor.to(model_of.device), mesh, placements, src_data_rank=None)


def shards_of(tensors: Mapping[str, Tensor], *, leads: bool) -> dict[str, Shard]:
    """What a process writes of tensors: its rows of sharded ones, and of the others all, if it is the first."""
    found = {}
    for name, tensor in tensors.items():
        first = _first_row(tensor) if hasattr(tensor, "device_mesh") else None
        if first is not None:
            found[name] = Shard(local_part(tensor), first, tuple(tensor.shape))
        elif hasattr(tensor, "full_tensor") or leads:
            whole = as_whole({name: tensor})[name]
            if leads:
                found[name] = Shard(whole, 0, tuple(whole.shape))
    return found


def _first_row(tensor: Any) -> int | None:
    """Index of the first row that this process has of a sharded tensor; None if it is not split into rows."""
    mesh, placements = tensor.device_mesh, tensor.placements
    if mesh.ndim != 1 or len(placements) != 1 or not placements[0].is_shard(0):
        return None
    rows, held = tensor.shape[0], tensor.to_local().shape[0]
    each = -(-rows // mesh.size())
    first = min(each * mesh.get_local_rank(), rows)
    assert held == min(each, rows - first)
    return first


def write_whole(path: Path | None, tensors: Mapping[str, Tensor | StoredTensor]) -> None:
    """Write tensors whole, one after the other; sharded ones are gathered by all processes, those on disk are read by one.

    Args:
        path: of the file; None in processes that only give what they have.
        tensors: the same names in all processes.

    Raises:
        FileError: the file cannot be written.
    """
    here = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
    if len(here) == len(tensors) and not any(hasattr(tensor, "full_tensor") for tensor in here.values()):
        if path is not None:
            write_tensors(path, here)
        return
    left = sorted(tensors)

    def fetch(name: str) -> Tensor:
        left.remove(name)
        tensor = tensors[name]
        return tensor.whole() if isinstance(tensor, StoredTensor) else as_whole({name: tensor})[name]

    try:
        if path is not None:
            write_in_turn(path, {name: (t.dtype, tuple(t.shape)) for name, t in tensors.items()}, fetch)
    finally:
        # The others wait for this process, also where it cannot write.
        for name in list(left):
            fetch(name)

"""Weights that are sharded over processes (FSDP2), for models that do not fit on one device."""

import warnings
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.interfaces.objective import Terms

__all__ = ["TermsModule", "as_whole", "local_part", "shard", "shared_out_like"]


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


def shard(root: TermsModule, device: torch.device) -> None:
    """Shard the weights of a model over all processes, component by component.

    The parameters become ``DTensor``, so optimizers must be made after this call.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # FSDP needs components that return tensors, on which it hooks the backward pass. Components that return
    # distributions are left to the root, whose weights stay gathered from the forward to the backward pass.
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for part in root.model.children():
        if isinstance(part, Encoder | Network) and any(True for _ in part.parameters()):
            fully_shard(part, mesh=mesh)
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


def shared_out_like(tensor: Tensor, model_of: Tensor) -> Tensor:
    """A whole tensor, sharded over the processes like another one of its shape, and moved to its device."""
    # The import brings torch's compiler with it, and a sharded tensor has already been there.
    if not hasattr(model_of, "device_mesh") or tensor.shape != model_of.shape:
        return tensor.to(model_of.device)
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(model_of, DTensor)

    # Every process has read the whole tensor and keeps its part; nothing is sent.
    mesh, placements = model_of.device_mesh, model_of.placements
    return distribute_tensor(tensor.to(model_of.device), mesh, placements, src_data_rank=None)

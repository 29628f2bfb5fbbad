"""Weights that are spread over processes (FSDP2), for models that do not fit on one device."""

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
    """A model whose forward is its ``terms``: where torch gathers weights and averages gradients.

    Args:
        model: whose ``terms`` to compute.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, context: Tensor | None = None) -> Terms:
        """Loss and terms of stored examples ``x (B, *data.shape)``, given ``context (B, size)``."""
        terms: Terms = self.model.terms(x, context)  # type: ignore[operator]
        return terms


def shard(root: TermsModule, device: torch.device) -> None:
    """Spread the weights of a model over all processes, component by component.

    The parameters become ``DTensor``, so an optimizer must be made after this.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    # What a component returns must be a tensor, from which the way back is watched. The others (distributions)
    # are left to the root, whose weights stay whole from the forward to the backward.
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for part in root.model.children():
        if isinstance(part, Encoder | Network) and any(True for _ in part.parameters()):
            fully_shard(part, mesh=mesh)
    fully_shard(root, mesh=mesh, reshard_after_forward=False)
    # We only read what components return.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")


def as_whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors gathered from all processes, where they are spread; all processes must ask at once."""
    return {name: t.full_tensor() if hasattr(t, "full_tensor") else t for name, t in tensors.items()}


def local_part(tensor: Tensor) -> Tensor:
    """What of a tensor is in this process."""
    part: Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return part


def shared_out_like(tensor: Tensor, model_of: Tensor) -> Tensor:
    """A whole tensor, spread over the processes as another one of its shape is; on its device."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(model_of, DTensor) or tensor.shape != model_of.shape:
        return tensor.to(model_of.device)

    # Every process has read the whole tensor and keeps its part; nothing is sent.
    mesh, placements = model_of.device_mesh, model_of.placements
    return distribute_tensor(tensor.to(model_of.device), mesh, placements, src_data_rank=None)

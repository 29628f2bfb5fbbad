"""Spectral normalisation of the layers of a network."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["normalise_spectrally"]

_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def normalise_spectrally(net: nn.Module) -> None:
    """Divide the weights of every layer by their largest singular value, in place.

    It is found by one step of a power iteration in each pass of training, whose state is saved with the weights. Of a
    convolution it is that of the kernel as a matrix, one row for each output channel.

    Reference:
        Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018), arXiv:1802.05957

    Example:
        >>> import torch
        >>> layer = nn.Linear(4, 4)
        >>> normalise_spectrally(layer)
        >>> 0.9 < torch.linalg.matrix_norm(layer.weight, 2) < 1.1
        tensor(True)
    """
    for module in list(net.modules()):
        if isinstance(module, _LAYERS):
            spectral_norm(module)

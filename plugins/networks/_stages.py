"""Options of stages of convolutions, which encoders and networks of images share."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Ge, Gt, MinLen

from genmod import Doc

__all__ = ["DownChannels", "SpectralNorm", "UpChannels", "Width", "Widths"]

_Channels = Annotated[Sequence[Annotated[int, Gt(0)]], MinLen(1)] | None

DownChannels = Annotated[
    _Channels, Doc("output channels of each stage; by default 32, 64, 128, … until 4 to 7 pixels are left")
]
UpChannels = Annotated[
    _Channels,
    Doc(
        "channels of each stage, coarsest first; by default …, 128, 64, 32, as many as the encoder of that name"
    ),
]
Width = Annotated[int, Ge(0), Doc("width of the linear layer next to the convolutions; 0 for none")]
Widths = Annotated[Sequence[Annotated[int, Gt(0)]], Doc("width of each hidden layer; empty for none")]
SpectralNorm = Annotated[bool, Doc("divide the weights of each layer by their largest singular value")]

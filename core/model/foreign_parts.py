"""What makes a module, a distribution or a function a part of a model."""

import math
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from genmod.data.dataset import DataInfo
from genmod.defaults import ENCODER
from genmod.distributions.reshaped import Reshaped, tensors_of, with_tensors
from genmod.errors import UsageError
from genmod.interfaces.decoder import Decoder
from genmod.interfaces.encoder import Encoder
from genmod.interfaces.network import Network
from genmod.interfaces.prior import Prior
from genmod.spec import ComponentSpec
from genmod.system.random import seeded

__all__ = ["ForeignDecoder", "ForeignEncoder", "ForeignNetwork", "ForeignPrior", "named", "output_shape"]

_MOST = 8
"""Parameters for each value that a likelihood is tried with."""

Apply = Callable[..., Any]


def named(kind: str, given: Any) -> str:
    """What a part that is given is called in messages."""
    return f"{kind} {ComponentSpec.given(given).name!r}"


def output_shape(given: Apply, what: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what a module makes of one example, found by running it on two of zeros.

    Raises:
        UsageError: it fails, or returns no tensor of two examples.
    """
    made = tried(given, what, shape)
    if not isinstance(made, Tensor) or made.dim() < 2 or made.shape[0] != 2 or not made.is_floating_point():
        found = (
            f"{made.dtype} {tuple(made.shape)}" if isinstance(made, Tensor) else f"a {type(made).__name__}"
        )
        raise UsageError(
            f"{what} makes {found} of two examples of shape {shape}; it must return one tensor of floats, (B, …)",
            hint="wrap it in a module whose forward returns that tensor",
        )
    return tuple(made.shape[1:])


@torch.no_grad()
def tried(given: Apply, what: str, shape: tuple[int, ...]) -> Any:
    """What a module makes of two examples of zeros, in evaluation mode, on the CPU."""
    module = given if isinstance(given, nn.Module) else None
    if module is not None:
        module.to("cpu")
    was_training = module is not None and module.training
    # Lazy layers learn their shapes here, and are of no type before.
    floats = [p.dtype for p in (module.parameters() if module else ()) if p.is_floating_point()]
    try:
        with seeded(0), torch.device("cpu"):
            if module is not None:
                module.eval()
            return given(torch.zeros(2, *shape, dtype=floats[0] if floats else None))
    except Exception as error:
        raise UsageError(
            f"{what} fails for two examples of shape {shape}: {error!s:.300}",
            hint=f"it is given x (B, {', '.join(map(str, shape))})",
        ) from error
    finally:
        if module is not None:
            module.train(was_training)


@final
class ForeignEncoder(Encoder):
    """A module from examples to features."""

    def __init__(self, given: Apply, data_shape: tuple[int, ...]) -> None:
        super().__init__(data_shape)
        self.module = given
        self.feature_shape = output_shape(given, named("encoder", given), data_shape)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.module(x)
        return features

    def mirror(self) -> ComponentSpec:
        """A module has no mirror image; the usual network does for any shape."""
        return ComponentSpec(ENCODER)


@final
class ForeignNetwork(Network):
    """A module from latents to parameters, which may be flat."""

    def __init__(self, given: Apply, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        super().__init__(in_shape, out_shape)
        self.module = given
        made = output_shape(given, named("network", given), in_shape)
        if math.prod(made) != math.prod(out_shape):
            raise UsageError(
                f"{named('network', given)} makes parameters of shape {made}; the decoder takes {out_shape}",
                hint=f"let its last layer have {math.prod(out_shape)} outputs for each latent",
            )

    def forward(self, z: Tensor) -> Tensor:
        parameters: Tensor = self.module(z)
        return parameters.reshape(len(z), *self.out_shape)


@final
class ForeignPrior(Prior):
    """A torch distribution of one latent, whose tensors move with the model, or a module that returns one.

    Its batch dimensions are taken for dimensions of the latent; a distribution of a single number is that of each.
    """

    def __init__(self, given: Any, latent_shape: tuple[int, ...]) -> None:
        super().__init__(latent_shape)
        self.module = given if isinstance(given, nn.Module) else None
        self._distribution, self._names = given, dict[str, str]()
        if self.module is None:
            for i, (path, tensor) in enumerate(tensors_of(given)):
                name = f"{path.replace('.', '_')}_{i}"
                self._names[path] = name
                if tensor.requires_grad:
                    raise UsageError(
                        f"{named('prior', given)} has tensors that are to be trained, which it no longer knows as such",
                        hint="give a module that returns the distribution, made in its forward of its parameters",
                    )
                self.register_buffer(name, tensor.detach().clone())
        with torch.no_grad(), seeded(0):
            made = self()
            self.support = made.support
            try:
                made.log_prob(made.sample())
            except NotImplementedError:
                self.has_density = False

    def forward(self, context: Tensor | None = None) -> Distribution:
        made = self._made()
        if not isinstance(made, Distribution):
            raise UsageError(
                f"prior is given as a module that returns a {type(made).__name__}; a distribution is needed"
            )
        shape, whole = self.latent_shape, (*made.batch_shape, *made.event_shape)
        if whole == () and shape:
            made = made.expand(torch.Size(shape))
        elif whole != shape:
            raise UsageError(
                f"{named('prior', self._distribution)} is one of latents of shape {whole}, and the posterior draws {shape}",
                hint=f"give a distribution of that shape, or build with latent={whole if len(whole) != 1 else whole[0]}",
            )
        return Independent(made, len(made.batch_shape), validate_args=False) if made.batch_shape else made

    def _made(self) -> Any:
        if self.module is not None:
            return self.module()
        return with_tensors(self._distribution, lambda path: getattr(self, self._names[path]))


@final
class ForeignDecoder(Decoder):
    """A function from parameters to a distribution of the data.

    The parameters have the shape that ``given.parameter_shape`` says, or that the given network makes, or else the shape of
    the data with its first dimension once, twice, … eight times as long, whichever is the first that it makes a
    distribution of the data of. Levels are dequantised where it is a density.
    """

    def __init__(
        self, given: Apply, data: DataInfo, *, parameter_shape: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(data)
        self.module, what = given, named("decoder", given)
        own = getattr(given, "parameter_shape", parameter_shape)
        first, *rest = data.shape
        shapes = [tuple(own)] if own is not None else [(k * first, *rest) for k in range(1, _MOST + 1)]
        problems = []
        for shape in shapes:
            try:
                made = self._checked(tried(given, what, shape))
            except UsageError as error:
                problems.append(error.message)
                continue
            self.parameter_shape, self.support = shape, made.support  # type: ignore[assignment]
            break
        else:
            raise UsageError(
                f"{what} makes no distribution of data of shape {data.shape}: {problems[0]}",
                hint="give the function an attribute parameter_shape, that of the parameters of one example; tried were "
                + ", ".join(map(str, shapes)),
            )
        self.dequantize = data.levels is not None and not self.support.is_discrete

    def _checked(self, made: Any) -> Distribution:
        """A distribution with the dimensions of the data as event, of two examples."""
        if not isinstance(made, Distribution):
            raise UsageError(f"it returns a {type(made).__name__}, where a distribution is needed")
        whole = self._whole(made)
        if (tuple(whole.batch_shape), tuple(whole.event_shape)) != ((2,), self.data.shape):
            raise UsageError(
                f"of two examples it makes a distribution of batch {tuple(made.batch_shape)} and event "
                f"{tuple(made.event_shape)}"
            )
        return whole

    def _whole(self, made: Distribution) -> Distribution:
        beyond = len(made.batch_shape) - 1
        return Independent(made, beyond, validate_args=False) if beyond > 0 else made

    def forward(self, parameters: Tensor) -> Distribution:
        batch = parameters.shape[: parameters.dim() - len(self.parameter_shape)]
        made = self.module(parameters.reshape(-1, *self.parameter_shape))
        if len(batch) == 1:
            return self._whole(made)
        # Reshaped inside, so that values stay independent where they are.
        count = 0
        while isinstance(made, Independent):
            made, count = made.base_dist, count + made.reinterpreted_batch_ndims
        made = Reshaped(made, batch)
        count = max(count, len(made.batch_shape) - len(batch))
        return Independent(made, count, validate_args=False) if count else made

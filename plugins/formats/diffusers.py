"""Autoencoders of diffusers."""

import math
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast, final

import torch
from annotated_types import Ge, Gt

from genmod import (
    Doc,
    FileError,
    Format,
    GenmodError,
    GivenModel,
    Incoming,
    LatentVariableModel,
    Split,
    UndefinedError,
)
from genmod.plugins.formats._layout import Layout
from genmod.plugins.formats._layout_of import layout_of
from genmod.plugins.formats._weights import folded, taken
from genmod.system import (
    drawn_on_cpu,
    parse_json,
    read_text,
    seed_for,
    seeded,
    write_bytes,
    write_json,
)

__all__ = ["DiffusersFormat"]

_CONFIG, _STEM = "config.json", "diffusion_pytorch_model"
_AT_ONCE = 16


@final
class DiffusersFormat(Format):
    """``config.json`` and ``diffusion_pytorch_model.safetensors``, as ``AutoencoderKL.from_pretrained(FOLDER)`` opens them.

    A model with encoder and network ``autoencoder-2d`` and posterior ``normal-map`` becomes an ``AutoencoderKL``, one with
    posterior ``vq`` a ``VQModel``. Pictures have values from -1 to 1 there, and those of the data here: the last convolution
    is scaled and shifted. The output of the network must be the mean of the decoder, as with ``gaussian`` and ``laplace``.

    ``scaling_factor = 1/σ`` and ``shift_factor = μ``, with mean μ and standard deviation σ of all numbers in draws of
    ``q(z|x)`` of training pictures, chosen at random: ``(z - μ)/σ`` is what a diffusion model there is trained on. A
    ``VQModel`` has no shift.

    ``genmod build --from diffusers:FOLDER --data photos`` reads both classes, with blocks ``DownEncoderBlock2D`` and
    ``UpDecoderBlock2D``: the autoencoders of Stable Diffusion 1, 2, XL and 3, and of FLUX.1. Neither way needs diffusers.

    Reference:
        High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2021), arXiv:2112.10752

    Raises:
        UsageError: the model has other parts, or options that diffusers has not.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "latent": 2,
        "encoder": {"name": "autoencoder-2d", "channels": [4, 8], "features": 4, "groups": 2},
        "posterior": {"name": "normal-map", "scale": "log-variance"},
        "decoder": {"name": "laplace"},
    }
    reads = True

    def __init__(
        self,
        *,
        scaling: Annotated[
            Annotated[float, Gt(0)] | None, Doc("scaling_factor; by default it is measured on training data")
        ] = None,
        shift: Annotated[
            float | None,
            Doc("shift_factor; by default it is measured with the other one, and none where that is given"),
        ] = None,
        pictures: Annotated[int, Ge(1), Doc("training pictures whose codes are measured")] = 512,
    ) -> None:
        self.scaling, self.shift, self.pictures = scaling, shift, pictures

    def write(
        self, model: GivenModel, folder: Path, training: Callable[[], Split], seed: int
    ) -> Sequence[str]:
        from safetensors.torch import save

        model = cast(LatentVariableModel, model)
        layout, notes = layout_of(model)
        tensors = folded(model, layout)
        config = layout.config()
        factors, said = self._factors(model, config, training, seed)
        config |= {"sample_size": max(model.data.shape[1:]), **factors}
        write_bytes(folder / f"{_STEM}.safetensors", save(tensors, metadata={"format": "pt"}))
        write_json(folder / _CONFIG, config)
        return [f"{layout.cls}, {sum(t.numel() for t in tensors.values()):,} weights", *notes, *said]

    def read(self, folder: Path) -> Incoming:
        where = _config_in(folder)
        config = parse_json(read_text(where, "configuration"), str(where))
        if not isinstance(config, dict):
            raise FileError(f"{where} is damaged: it is no table")
        layout = Layout.from_config(config, str(where))
        path = _weights_in(folder)
        options: dict[str, Any] = {
            "channels": list(layout.channels),
            "layers": layout.layers,
            "groups": layout.groups,
            "attention": layout.attention,
        }
        wider = {} if layout.length == layout.latent else {"features": layout.latent}
        posterior: dict[str, Any] = {"name": "normal-map", "scale": "log-variance"}
        if layout.codes:
            posterior = {"name": "vq", "codes": layout.codes, "codebook": "gradient", "revive": 0.0}
        return Incoming(
            {
                "encoder": {"name": "autoencoder-2d", "features": layout.features, **options},
                "posterior": posterior,
                "network": {"name": "autoencoder-2d", **options, **wider},
            },
            (layout.length,),
            weights=lambda model: taken(path, layout, model),
            recipe="vq-vae" if layout.codes else "vae",
            others={"decoder": {"name": "laplace"}},
            shape=(layout.inputs, None, None),
        )

    def _factors(
        self, model: LatentVariableModel, known: Collection[str], training: Callable[[], Split], seed: int
    ) -> tuple[dict[str, float | None], list[str]]:
        """Of ``scaling_factor`` and ``shift_factor`` those that the class knows, and what is to be said of them."""
        given = {"scaling_factor": self.scaling, "shift_factor": self.shift}
        factors = {name: value for name, value in given.items() if name in known}
        notes = [
            f"{name} {value:g} is left out: this class has none"
            for name, value in given.items()
            if name not in known and value is not None
        ]
        if self.scaling is not None:
            return factors, notes
        try:
            measured, count = _measured(model, training(), self.pictures, seed)
        except GenmodError as error:
            said = (
                f"scaling_factor is 1, not measured ({error.message}); set it with -s format.scaling=NUMBER"
            )
            return factors | {"scaling_factor": 1.0}, [*notes, said]
        new = {name: measured[name] for name, value in factors.items() if value is None}
        said = " and ".join(f"{name} {value:.5g}" for name, value in new.items())
        return factors | new, [*notes, f"{said}, measured on {count:,} training pictures"]


@torch.no_grad()
def _measured(model: LatentVariableModel, split: Split, most: int, seed: int) -> tuple[dict[str, float], int]:
    """The factors that bring all numbers in the codes of some examples to mean 0 and variance 1, and how many examples."""
    count = min(most, len(split))
    order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count].sort()[0]
    draws = []
    for start in range(0, count, _AT_ONCE):
        with seeded(seed_for(seed, "scaling", start)), drawn_on_cpu(model.device):
            batch = split.__getitems__(order[start : start + _AT_ONCE].tolist())
            draws.append(model.encode(model.observe(batch.x.to(model.device))).sample().double().cpu())
    codes = torch.cat(draws)
    mean, deviation = float(codes.mean()), float(codes.std(correction=0))
    if not (math.isfinite(mean) and 0 < deviation < math.inf):
        raise UndefinedError(
            f"the codes of {count:,} training pictures have the standard deviation {deviation:g}"
        )
    return {"scaling_factor": 1 / deviation, "shift_factor": mean}, count


def _config_in(folder: Path) -> Path:
    """The file that says what the model is."""
    if (folder / _CONFIG).exists():
        return folder / _CONFIG
    hint = "give a folder that save_pretrained wrote"
    for inner in ("vae", "movq", "vqvae"):
        if (folder / inner / _CONFIG).is_file():
            source = shlex.quote(f"diffusers:{folder / inner}")
            hint = f"it is a pipeline; give the folder of its autoencoder: --from {source}"
            break
    raise FileError(f"{folder} has no {_CONFIG}", hint=hint)


def _weights_in(folder: Path) -> Path:
    """The file of the weights, of full precision where there are several."""
    there = sorted(path.name for path in folder.glob(f"{_STEM}*"))
    for name in (f"{_STEM}.safetensors", f"{_STEM}.fp32.safetensors", f"{_STEM}.fp16.safetensors"):
        if name in there:
            return folder / name
    if any(name.endswith((".bin", ".ckpt", ".pt")) for name in there):
        raise FileError(
            f"{folder} has its weights as {there[0]}, a format that may hold code, which is not read",
            hint="write them as safetensors, if you trust them:\n"
            '  python -P -c "import sys, diffusers as d; '
            'd.AutoencoderKL.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])"'
            f" {shlex.quote(str(folder))} {shlex.quote(f'{folder}-safe')}",
        )
    found = f"; there is {', '.join(there[:3])}" if there else ""
    raise FileError(
        f"{folder} has no {_STEM}.safetensors{found}", hint="give a folder that save_pretrained wrote"
    )

"""The layout of diffusers' autoencoders: what their configuration says, and which weight is which of genmod's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genmod import UsageError

__all__ = ["CLASSES", "Layout"]

_DEFAULTS: dict[str, Any] = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ("DownEncoderBlock2D",),
    "up_block_types": ("UpDecoderBlock2D",),
    "block_out_channels": (64,),
    "layers_per_block": 1,
    "act_fn": "silu",
    "norm_num_groups": 32,
    "sample_size": 32,
    "scaling_factor": 0.18215,
    "mid_block_add_attention": True,
}
CLASSES: dict[str, dict[str, Any]] = {
    "AutoencoderKL": {
        **_DEFAULTS,
        "latent_channels": 4,
        "shift_factor": None,
        "latents_mean": None,
        "latents_std": None,
        "force_upcast": True,
        "use_quant_conv": True,
        "use_post_quant_conv": True,
    },
    "VQModel": {
        **_DEFAULTS,
        "latent_channels": 3,
        "num_vq_embeddings": 256,
        "vq_embed_dim": None,
        "norm_type": "group",
        "lookup_from_codebook": False,
        "force_upcast": False,
    },
}
"""Class → entries of its configuration, with what they are where a file leaves them out."""

_BLOCKS = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}
_NAMES = {"act_fn": "silu", "norm_type": "group"}
_MOST = 1_000_000
_MOST_STAGES, _MOST_LAYERS, _MOST_SAID = 12, 100, 5


@dataclass(frozen=True)
class Layout:
    """An autoencoder of diffusers.

    Args:
        cls: name of its class.
        inputs: channels of the pictures.
        channels: of each stage, finest first.
        layers: residual blocks in a stage of the encoder; one less than in the decoder.
        groups: of channels that are normalised together.
        attention: whether there is attention at the coarsest stage.
        latent: channels from which the decoder begins; half of those that the encoder ends with, or all of ``VQModel``.
        length: of the vectors in the codebook, the channels of its latents; those of ``AutoencoderKL`` are ``latent``.
        codes: vectors in the codebook; 0 of ``AutoencoderKL``.
        quant: whether a convolution of one pixel follows the encoder.
        post_quant: whether one precedes the decoder.

    Example:
        >>> layout = Layout("AutoencoderKL", 3, (32, 64), 1, 32, True, 4, 4)
        >>> layout.keys()["decoder.up_blocks.0.resnets.1.conv2.weight"]
        'network.stages.0.1.conv2.weight'
    """

    cls: str
    inputs: int
    channels: tuple[int, ...]
    layers: int
    groups: int
    attention: bool
    latent: int
    length: int
    codes: int = 0
    quant: bool = True
    post_quant: bool = True

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> "Layout":
        """The layout that a ``config.json`` describes.

        Raises:
            UsageError: it describes a model that genmod's parts are not; the message lists all that differs.
        """
        name = config.get("_class_name")
        if not isinstance(name, str) or name not in CLASSES:
            raise UsageError(
                f"{where} describes a {name!r:.80}; format diffusers reads {' and '.join(CLASSES)}",
                hint="give the folder of the autoencoder alone, such as the folder vae of a pipeline",
            )
        defaults = CLASSES[name]
        own = {key: value for key, value in config.items() if not key.startswith("_")}
        unknown = [key for key in own if key not in defaults]
        wrong = [f"{key:.80}, which is no entry of {name}" for key in unknown[:_MOST_SAID]]
        own = defaults | own
        channels = own["block_out_channels"]
        wrong += [f"{key} = {own[key]!r:.80}" for key in _NAMES if key in own and own[key] != _NAMES[key]]
        if _is_list(channels) and all(map(_is_count, channels)):
            wrong += [
                f"{key} = {own[key]!r:.200}"
                for key, block in _BLOCKS.items()
                if not _is_list(own[key]) or list(own[key]) != [block] * len(channels)
            ]
        else:
            wrong.append(f"block_out_channels = {channels!r:.80}")
        counts = ["in_channels", "layers_per_block", "norm_num_groups", "latent_channels"]
        counts += ["num_vq_embeddings"] * (name == "VQModel")
        wrong += [f"{key} = {own[key]!r:.80}" for key in counts if not _is_count(own[key])]
        if own.get("vq_embed_dim") is not None and not _is_count(own["vq_embed_dim"]):
            wrong.append(f"vq_embed_dim = {own['vq_embed_dim']!r:.80}")
        if own["out_channels"] != own["in_channels"]:
            wrong.append(
                f"out_channels = {own['out_channels']!r:.80} with in_channels = {own['in_channels']!r:.80}"
            )
        flags = ("mid_block_add_attention", "use_quant_conv", "use_post_quant_conv")
        wrong += [f"{key} = {own[key]!r:.80}" for key in flags if not isinstance(own.get(key, True), bool)]
        if not wrong and any(n % own["norm_num_groups"] for n in channels):
            wrong.append(
                f"norm_num_groups = {own['norm_num_groups']}, which does not divide {list(channels)}"
            )
        if not wrong and (len(channels) > _MOST_STAGES or own["layers_per_block"] > _MOST_LAYERS):
            wrong.append(f"{len(channels)} stages of {own['layers_per_block']} layers")
        if wrong:
            raise UsageError(
                f"{where} has what genmod has not: {'; '.join(wrong)}",
                hint="genmod show format diffusers says which models can be read",
            )
        return cls(
            cls=name,
            inputs=own["in_channels"],
            channels=tuple(channels),
            layers=own["layers_per_block"],
            groups=own["norm_num_groups"],
            attention=own["mid_block_add_attention"],
            latent=own["latent_channels"],
            length=own.get("vq_embed_dim") or own["latent_channels"],
            codes=own.get("num_vq_embeddings", 0),
            quant=own.get("use_quant_conv", True),
            post_quant=own.get("use_post_quant_conv", True),
        )

    def config(self) -> dict[str, Any]:
        """The entries of ``config.json``."""
        config = {"_class_name": self.cls, **CLASSES[self.cls]}
        config |= {key: [block] * len(self.channels) for key, block in _BLOCKS.items()}
        config |= {
            "in_channels": self.inputs,
            "out_channels": self.inputs,
            "block_out_channels": list(self.channels),
            "layers_per_block": self.layers,
            "norm_num_groups": self.groups,
            "mid_block_add_attention": self.attention,
            "latent_channels": self.latent,
        }
        if self.codes:
            return config | {"num_vq_embeddings": self.codes, "vq_embed_dim": self.length}
        return config | {"use_quant_conv": self.quant, "use_post_quant_conv": self.post_quant}

    @property
    def features(self) -> int:
        """Channels that the encoder ends with."""
        return self.latent * (1 if self.codes else 2)

    def keys(self) -> dict[str, str]:
        """Every key of the weights there → the name in the ``state_dict`` of genmod's model; empty where it has none.

        The offset of keys in attention has none: it shifts all scores of a query alike, which changes no attention.
        """
        named = {}
        for theirs, ours in self._modules():
            for weight in ("weight", "bias"):
                dropped = theirs.endswith("to_k") and weight == "bias"
                named[f"{theirs}.{weight}"] = "" if dropped else f"{ours}.{weight}"
        if self.codes:
            named["quantize.embedding.weight"] = "posterior.books.0.vectors"
        return named

    def _modules(self) -> Iterator[tuple[str, str]]:
        yield from self._side("encoder", "encoder", "down", self.channels)
        yield from self._side("decoder", "network", "up", self.channels[::-1])
        if self.quant:
            yield "quant_conv", "posterior.places.head"
        if self.post_quant:
            yield "post_quant_conv", "network.start"

    def _side(self, theirs: str, ours: str, way: str, channels: Sequence[int]) -> Iterator[tuple[str, str]]:
        yield from (
            (f"{theirs}.{name}", f"{ours}.{own}")
            for name, own in (("conv_in", "conv_in"), ("conv_norm_out", "norm_out"), ("conv_out", "conv_out"))
        )
        last = 2 if self.attention else 1
        for number, own in ((0, 0), (1, last)):
            yield from _block(f"{theirs}.mid_block.resnets.{number}", f"{ours}.middle.{own}")
        if self.attention:
            there = f"{theirs}.mid_block.attentions.0"
            pairs = {"group_norm": "norm", "to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "out"}
            yield from ((f"{there}.{name}", f"{ours}.middle.1.{own}") for name, own in pairs.items())
        previous, blocks = channels[0], self.layers + (way == "up")
        for i, now in enumerate(channels):
            there, here = f"{theirs}.{way}_blocks.{i}", f"{ours}.stages.{i}"
            for j in range(blocks):
                yield from _block(f"{there}.resnets.{j}", f"{here}.{j}")
                if previous != now:
                    yield f"{there}.resnets.{j}.conv_shortcut", f"{here}.{j}.shortcut"
                previous = now
            if i < len(channels) - 1:
                yield f"{there}.{way}samplers.0.conv", f"{here}.{blocks}.conv"


def _block(theirs: str, ours: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{theirs}.{name}", f"{ours}.{name}") for name in ("norm1", "conv1", "norm2", "conv2"))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and 0 < len(value) <= 1000


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST

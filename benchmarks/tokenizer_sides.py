"""The sides that ``tokenizers.py`` compares: recipes, the same without critics, and pythae's models of the same layers."""

import contextlib
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from family_sides import Clock, Enough, until
from torch import Tensor, nn

import genmod
from genmod.model.assembly import assemble

__all__ = ["SIDES", "trained"]

BATCH, RATE = 16, 1e-3
SETTINGS: dict[str, Any] = {"per_device_train_batch_size": BATCH, "num_epochs": 10**6, "no_cuda": True}
"""Of pythae's trainers."""

SIDES = (
    "autoencoder-kl-small",
    "autoencoder-kl-small-plain",
    "fsq-small",
    "fsq-small-plain",
    "vqvae",
    "vaegan",
)

Trained = tuple[int, Callable[[Tensor], Tensor]]
"""The number of parameters that reconstruct, and the function from pictures in 0…1 to their reconstructions."""


def trained(side: str, train: Tensor, clock: Clock, start: int, seed: int) -> Trained:
    """Train a side on pictures ``(N, channels, 32, 32)`` of 0…255 until the clock stops it."""
    peers = {"vqvae": ("fsq-small", vqvae), "vaegan": ("autoencoder-kl-small", vaegan)}
    recipe = peers[side][0] if side in peers else side.removesuffix("-plain")
    model = built(recipe, train, start, seed, plain=side != recipe)
    if side in peers:
        return peers[side][1](model, train.float() / 255, clock, seed)
    data = {"train": train, "validation": train[-256:], "test": train[-256:]}

    def stop(event: Any) -> None:
        if event.kind == "progress":
            clock.check(event.step)

    how = {"batch_size": BATCH, "lr": RATE, "device": "cpu", "film_every": 0}
    with contextlib.suppress(Enough):
        genmod.train(model, data, steps=10**7, seed=seed, on_event=stop, **how)
    model.eval()
    return count(
        model.encoder, model.posterior, model.network
    ), lambda x: model.decode(model.encode(x).mean).mean


def built(recipe: str, train: Tensor, start: int, seed: int, *, plain: bool) -> Any:
    """A recipe for pictures, whose patch critic begins at another step; without its critics where it is plain."""
    spec = genmod.compose(recipe)
    parts = dict(spec.components)
    critic = parts.pop("critic")
    if not plain:
        texts = [re.sub(r"start=\d+", f"start={start}", text) for text in critic.options["critics"]]
        parts["critic"] = replace(critic, options={**critic.options, "critics": texts})
    return assemble(replace(spec, components=parts), genmod.as_dataset(train[:100]).info, seed=seed)


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def on_map(model: Any, x: Tensor) -> Tensor:
    """What the posterior of a genmod model makes of pictures before it draws, ``(B, channels, height, width)``."""
    found = model.posterior.places(model.encoder(x)).mT
    return found.unflatten(2, model.posterior.places.shape)  # type: ignore[no-any-return]


def encoder(model: Any, outputs: Callable[[Tensor], dict[str, Tensor]]) -> Any:
    """Encoder and head of the posterior as pythae's encoder, with outputs that are made of :func:`on_map`."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = model.encoder, model.posterior

        def forward(self, x: Tensor) -> Any:
            return ModelOutput(**outputs(on_map(model, x)))

    return Encoder()


def decoder(model: Any) -> Any:
    """The network as pythae's decoder; it ends in a sigmoid, as pythae's do."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = model.network

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.body(z.reshape(len(z), *model.latent_shape)).sigmoid())

    return Decoder()


def fit(peer: Any, kind: Any, config: Any, train: Tensor, clock: Clock) -> None:
    from pythae.data.datasets import BaseDataset

    with tempfile.TemporaryDirectory() as place, until(clock, kind):
        config.output_dir = place
        kind(peer, BaseDataset(train, torch.zeros(len(train))), training_config=config).train()
    peer.eval()


def vqvae(twin: Any, train: Tensor, clock: Clock, seed: int) -> Trained:
    """pythae's VQVAE with as many codes as the recipe has, moved by running means."""
    from pythae.models import VQVAE, VQVAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    config = VQVAEConfig(
        input_dim=tuple(train.shape[1:]),
        latent_dim=twin.latent_shape[0],
        num_embedding=twin.posterior.classes,
        use_ema=True,
    )
    peer = VQVAE(config, encoder(twin, lambda found: {"embedding": found}), decoder(twin))
    fit(peer, BaseTrainer, BaseTrainerConfig(learning_rate=RATE, seed=seed, **SETTINGS), train, clock)
    return count(peer), lambda x: peer({"data": x}).recon_x


def vaegan(twin: Any, train: Tensor, clock: Clock, seed: int) -> Trained:
    """pythae's VAEGAN with its discriminator for pictures of 32×32 and the weights of its own scripts."""
    from pythae.models import VAEGAN, VAEGANConfig
    from pythae.models.nn.benchmarks.cifar import Discriminator_Conv_CIFAR
    from pythae.trainers import CoupledOptimizerAdversarialTrainer, CoupledOptimizerAdversarialTrainerConfig

    def moments(found: Tensor) -> dict[str, Tensor]:
        mean, log_var = found.chunk(2, 1)
        return {"embedding": mean.flatten(1), "log_covariance": log_var.flatten(1)}

    size = torch.Size(twin.latent_shape).numel()
    config = VAEGANConfig(
        input_dim=tuple(train.shape[1:]),
        latent_dim=size,
        adversarial_loss_scale=0.8,
        reconstruction_layer=3,
        margin=0.4,
        equilibrium=0.68,
    )
    discriminator = Discriminator_Conv_CIFAR(config)
    first = discriminator.layers[0][0]
    discriminator.layers[0][0] = nn.Conv2d(train.shape[1], first.out_channels, 4, 2, padding=1)
    peer = VAEGAN(config, encoder(twin, moments), decoder(twin), discriminator)
    rates = {f"{part}_learning_rate": RATE for part in ("encoder", "decoder", "discriminator")}
    settings = CoupledOptimizerAdversarialTrainerConfig(**rates, seed=seed, **SETTINGS)
    fit(peer, CoupledOptimizerAdversarialTrainer, settings, train, clock)
    return count(peer.encoder, peer.decoder), lambda x: peer.decoder(peer.encoder(x).embedding).reconstruction

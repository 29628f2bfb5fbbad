"""The two sides that ``families.py`` compares: a recipe trained by genmod, and pythae's model of its layers."""

import contextlib
import os
import tempfile
import time
import warnings
from typing import Any
from unittest.mock import patch

import torch
from torch.distributions import Independent, Normal
from torch.nn import functional

import genmod

__all__ = ["Clock", "Ours", "Theirs"]

BATCH, RATE = 128, 1e-3


class Enough(Exception):
    """The seconds are over."""


class Clock:
    """Counts steps, and seconds of the processor from the end of the first of them."""

    def __init__(self, seconds: float) -> None:
        self.steps, self.first, self.seconds, self.began, self.ended = 0, 0, seconds, 0.0, 0.0

    def check(self, steps: int) -> None:
        """Take note of the steps that were made, and end the training when its time has come."""
        self.steps, self.ended = steps, time.process_time()
        if not self.first:
            self.first, self.began = steps, self.ended
        if self.passed > self.seconds:
            raise Enough

    @property
    def passed(self) -> float:
        return self.ended - self.began

    def an_epoch(self, examples: int) -> float:
        return self.passed / (self.steps - self.first) * (examples // BATCH)


class Ours:
    """The recipe, trained by genmod."""

    def __init__(self, model: Any, name: str, train: torch.Tensor, clock: Clock, seed: int) -> None:
        self.model = model

        def stop(event: Any) -> None:
            if event.kind == "progress":
                clock.check(event.step)

        how = {"batch_size": BATCH, "lr": RATE, "device": "cpu", "film_every": 0}
        with contextlib.suppress(Enough):
            genmod.train(model, steps=10**8, seed=seed, on_event=stop, **how)
        model.eval()

    def encoded(self, x: torch.Tensor) -> Any:
        """The normal of the encoder, from which a chain starts that is given no density to move along."""
        return self.model.posterior(self.model.features(x))

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        return self.model.decoded(z)[1]

    def reconstructed(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self.model.encode(x).sample()).mean

    def samples(self, n: int, name: str) -> dict[str, torch.Tensor]:
        found = {"prior": self.model.sample(n, seed=0)}
        if name == "aae":
            genmod.fit_sampler(self.model, sampler={"name": "gmm", "components": 10})
            found["gmm"] = self.model.sample(n, seed=0, source="sampler")
        return found


class Theirs:
    """pythae's model of the same layers, with its losses, trainer and samplers."""

    def __init__(self, twin: Any, name: str, train: torch.Tensor, clock: Clock, seed: int) -> None:
        from pythae.data.datasets import BaseDataset

        self.name, self.train, self.seed = name, train, seed
        self.model = {
            "hvae": hvae,
            "factor-vae": factor_vae,
            "aae": aae,
        }[name](twin)
        kind, config = trainer_of(name, seed)
        with tempfile.TemporaryDirectory() as place, until(clock, kind):
            config.output_dir = place
            kind(self.model, BaseDataset(train, torch.zeros(len(train))), training_config=config).train()
        self.model.eval()

    def encoded(self, x: torch.Tensor) -> Any:
        found = self.model.encoder(x)
        log_var = found.log_covariance
        # As it draws in training; the chain after it moves by hundredths.
        scale = functional.softplus(log_var) if self.name == "hvae" else (0.5 * log_var).exp()
        return Independent(Normal(found.embedding, scale), 1)

    def logits(self, z: torch.Tensor) -> torch.Tensor:
        made = self.model.decoder(z).reconstruction
        return made if self.name == "hvae" else made.logit(1e-7)

    def reconstructed(self, x: torch.Tensor) -> torch.Tensor:
        if self.name == "factor-vae":
            return self.model.decoder(self.encoded(x).sample()).reconstruction
        with torch.enable_grad():
            made = self.model({"data": x}).recon_x.detach()
        return made.sigmoid() if self.name == "hvae" else made

    def samples(self, n: int, name: str) -> dict[str, torch.Tensor]:
        from pythae.samplers import GaussianMixtureSampler, GaussianMixtureSamplerConfig, NormalSampler

        torch.manual_seed(0)
        found = {"prior": NormalSampler(self.model).sample(n)}
        if name == "aae":
            mixture = GaussianMixtureSampler(self.model, GaussianMixtureSamplerConfig(n_components=10))
            mixture.fit(self.train[:20000])
            found["gmm"] = mixture.sample(n)
        return {key: each.sigmoid() if name == "hvae" else each for key, each in found.items()}


@contextlib.contextmanager
def until(clock: Clock, kind: Any) -> Any:
    """Trainers of this kind stop when the time has come; what they print is not shown."""
    step, made = kind._optimizers_step, [0]

    def stepped(trainer: Any, output: Any) -> None:
        step(trainer, output)
        made[0] += 1
        clock.check(made[0])

    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
        patch.object(kind, "_optimizers_step", stepped),
        contextlib.suppress(Enough),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def trainer_of(name: str, seed: int) -> tuple[Any, Any]:
    """The trainer that pythae has for a model, and its settings."""
    import pythae.trainers as those

    common = {"per_device_train_batch_size": BATCH, "num_epochs": 10**6, "no_cuda": True, "seed": seed}
    # As the critics of genmod have them.
    betas = {"betas": (0.5, 0.9 if name == "factor-vae" else 0.999)}
    critic = {"discriminator_learning_rate": RATE, "discriminator_optimizer_params": betas}
    if name in ("aae", "factor-vae"):
        config = those.AdversarialTrainerConfig(autoencoder_learning_rate=RATE, **critic, **common)
        return those.AdversarialTrainer, config
    return those.BaseTrainer, those.BaseTrainerConfig(learning_rate=RATE, **common)


def layers(twin: Any, *, squash: bool = True) -> tuple[Any, Any]:
    """Encoder and decoder of a genmod model as pythae's, whose decoders put out probabilities where it has a cross-entropy."""
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = twin.encoder, twin.posterior.head

        def forward(self, x: torch.Tensor) -> Any:
            found = self.head(self.body(x).flatten(1))
            if found.shape[1] == twin.latent_shape[0]:
                return ModelOutput(embedding=found, log_covariance=torch.zeros_like(found))
            mean, log_var = found.chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=log_var)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.body = twin.network

        def forward(self, z: torch.Tensor) -> Any:
            made = self.body(z)
            return ModelOutput(reconstruction=made.sigmoid() if squash else made)

    return Encoder(), Decoder()


def hvae(twin: Any) -> Any:
    from pythae.models import HVAE, HVAEConfig

    config = HVAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce")
    return HVAE(config, *layers(twin, squash=False))


def factor_vae(twin: Any) -> Any:
    from pythae.models import FactorVAE, FactorVAEConfig
    from pythae.models.factor_vae.factor_vae_utils import FactorVAEDiscriminator

    config = FactorVAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce", gamma=2.0)
    model = FactorVAE(config, *layers(twin))
    model.discriminator = FactorVAEDiscriminator(latent_dim=16, hidden_units=256)
    return model


def aae(twin: Any) -> Any:
    from pythae.models import Adversarial_AE, Adversarial_AE_Config

    config = Adversarial_AE_Config(
        input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce", deterministic_posterior=True
    )
    return Adversarial_AE(config, *layers(twin))

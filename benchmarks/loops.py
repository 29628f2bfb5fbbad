"""The loops that are compared by ``training.py``: each makes a function that trains a model for some steps.

Every loop is ``of_...(name, data, options) → block``, where ``block()`` runs ``options.steps`` steps of
``options.batch`` pictures and returns how many pictures those were, or that and the seconds they took.
"""

import contextlib
import importlib.util
import logging
import math
import os
import tempfile
import time
from functools import partial

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import genmod
from genmod import Batch, DataInfo, Dataset, TensorSplit
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.training.signals import StopSignals
from genmod.training.trainer import Run

__all__ = ["MODELS", "Pictures", "Vae", "build", "of_lightning", "of_pythae", "variants"]

MODELS = {
    "mlp": ({"encoder": {"name": "mlp", "hidden": [400], "activation": "relu"}}, 20, (1, 28, 28)),
    "conv": ({"encoder": {"name": "conv", "channels": [32, 64], "activation": "relu"}}, 16, (1, 28, 28)),
    "resnet": ({"encoder": {"name": "resnet", "channels": [32, 64, 128]}}, 64, (3, 64, 64)),
}
"""Name → encoder, size of the latents, shape of the pictures."""


class Pictures(Dataset):
    """Binary pictures of the shape that a model is for, drawn as handwriting is: most of a picture's edge is hardly ever on.

    That matters to the speed: running means of gradients that are nearly always zero become subnormal numbers.
    """

    def __init__(self, name, examples):
        self.shape = MODELS[name][2]
        generator = torch.Generator().manual_seed(0)
        digits = torch.from_numpy(load_digits(return_X_y=True)[0]).float().reshape(-1, 1, 8, 8) / 16
        chosen = digits[torch.randint(len(digits), (examples,), generator=generator)]
        places = torch.randn(examples, 3, generator=generator) * torch.tensor([0.1, 0.1, 0.1])
        moves = torch.eye(2, 3).repeat(examples, 1, 1) * (1.4 + places[:, None, :1])
        moves[:, :, 2] = places[:, 1:]
        size = (examples, 1, *self.shape[1:])
        grey = functional.grid_sample(
            chosen, functional.affine_grid(moves, size, align_corners=False), align_corners=False
        )
        self.x = (grey > 0.4).to(torch.uint8).expand(-1, *self.shape).contiguous()

    @property
    def info(self):
        return DataInfo(self.shape, levels=2)

    def split(self, name):
        return TensorSplit(Batch(self.x if name == "train" else self.x[:64]))


def build(name):
    parts, latent, shape = MODELS[name]
    spec = compose("vae", components={**parts, "dataset": "digits"}, latent=latent)
    return assemble(spec, DataInfo(shape, levels=2))


class Vae(nn.Module):
    """The layers of the genmod model, with the loss written by hand."""

    def __init__(self, name):
        super().__init__()
        model = build(name)
        self.encoder, self.head, self.network = model.encoder, model.posterior.head, model.network

    def forward(self, x):
        mean, log_scale = self.head(self.encoder(x).flatten(1)).chunk(2, -1)
        z = mean + torch.randn_like(mean) * log_scale.exp()
        logits = self.network(z)
        distortion = (
            functional.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        )
        rate = 0.5 * (mean.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum(1)
        return (distortion + rate).mean(), distortion, rate


def of_genmod(name, data, options, compiled=False):
    settings = genmod.TrainSettings(steps=10**9, batch_size=options.batch, device="cpu", compile=compiled)
    run = Run(build(name), data, settings, None, None, lambda event: None, StopSignals(), {})

    def block():
        run.total = run.state.step + options.steps
        run._loop()
        return options.steps * options.batch

    return block


class Terms(nn.Module):
    """The genmod model itself, as a loop written by hand would use it."""

    def __init__(self, name):
        super().__init__()
        self.model = build(name)

    def forward(self, x):
        terms = self.model.terms(x)
        return terms.loss, terms.values["distortion"], terms.values["rate"]


def of_hand(model, data, options, checked, fused=True):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=fused)
    parameters, examples = list(model.parameters()), len(data.x)

    def block():
        sums = torch.zeros(3)
        for step in range(options.steps):
            place = step % (examples // options.batch)
            if place == 0:
                order = torch.randperm(examples)
            indices = order[place * options.batch : (place + 1) * options.batch]
            loss, distortion, rate = model(data.x.index_select(0, indices).float())
            loss.backward()
            total = sum(float(p.grad.sum()) for p in parameters) if checked else 0.0
            if not math.isfinite(total):
                raise ArithmeticError("a gradient is not finite")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            sums += torch.stack([loss.detach(), distortion.detach().mean(), rate.detach().mean()])
        return options.steps * options.batch

    return block


class Items(torch.utils.data.Dataset):
    """As torchvision's MNIST: a picture and a transform for each example."""

    def __init__(self, x):
        from torchvision import transforms

        self.x, self.transform = x, transforms.ToTensor()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        from PIL import Image

        pixels = self.x[index].permute(1, 2, 0).numpy() * np.uint8(255)
        return self.transform(Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def of_examples(name, data, options):
    model = Vae(name)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loader = torch.utils.data.DataLoader(Items(data.x), options.batch, shuffle=True)

    def block():
        seen, batches = 0, iter(loader)
        for _ in range(options.steps):
            x = next(batches, None)
            if x is None:
                batches = iter(loader)
                x = next(batches)
            optimizer.zero_grad()
            loss = model(x)[0]
            loss.backward()
            loss.item()
            optimizer.step()
            seen += len(x)
        return seen

    return block


def _on_gpu(options):
    return getattr(options, "device", "cpu") == "cuda"


def of_pythae(name, data, options):
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    parts, (_, latent, shape) = Vae(name), MODELS[name]

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.body, self.head = parts.encoder, parts.head

        def forward(self, x):
            mean, log_scale = self.head(self.body(x).flatten(1)).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=2 * log_scale)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.body = parts.network

        def forward(self, z):
            return ModelOutput(reconstruction=self.body(z).sigmoid())

    config = VAEConfig(input_dim=shape, latent_dim=latent, reconstruction_loss="bce")
    part = data.x[: options.steps * options.batch].float()
    place = tempfile.mkdtemp()
    trainer = BaseTrainer(
        VAE(config, Encoder(), Decoder()),
        BaseDataset(part, torch.zeros(len(part))),
        training_config=BaseTrainerConfig(
            output_dir=place,
            per_device_train_batch_size=options.batch,
            num_epochs=1,
            no_cuda=not _on_gpu(options),
            learning_rate=1e-3,
        ),
    )
    trainer.set_optimizer()
    trainer.set_scheduler()
    trainer.prepare_training()

    def block():
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            trainer.train_step(1)
        return len(part)

    return block


def of_lightning(name, data, options):
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.vae = Vae(name)

        def training_step(self, batch, index):
            return self.vae(batch[0])[0]

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    class Clock(lightning.Callback):
        def on_train_start(self, *arguments):
            self.began = time.perf_counter()

        def on_train_end(self, *arguments):
            if _on_gpu(options):
                torch.cuda.synchronize()
            self.took = time.perf_counter() - self.began

    part = data.x[: options.steps * options.batch].float()
    module, clock = Module(), Clock()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(part), options.batch, shuffle=True)

    def block():
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="gpu" if _on_gpu(options) else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[clock],
        )
        trainer.fit(module, loader)
        return len(part), clock.took

    return block


def of_layers(name, data, options):
    model, work = Vae(name), []

    def keep(layer, inputs, output):
        kind = dict(transposed=isinstance(layer, nn.ConvTranspose2d)) if hasattr(layer, "stride") else None
        needs_input = inputs[0].requires_grad
        work.append((layer, inputs[0].detach(), torch.ones_like(output), needs_input, kind))

    for layer in model.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(keep)
    model(data.x[: options.batch].float())

    def once(layer, x, gradient, needs_input, convolution):
        if convolution is None:
            torch.addmm(layer.bias, x, layer.weight.t())
            torch.mm(gradient.t(), x)
            if needs_input:
                torch.mm(gradient, layer.weight)
            return
        padding = getattr(layer, "output_padding", (0, 0))
        how = (layer.stride, layer.padding, layer.dilation, convolution["transposed"], padding, layer.groups)
        torch.convolution(x, layer.weight, layer.bias, *how)
        biases = [len(layer.weight)] if layer.bias is None else [len(layer.bias)]
        wanted = [needs_input, True, layer.bias is not None]
        torch.ops.aten.convolution_backward(gradient, x, layer.weight, biases, *how, wanted)

    def block():
        with torch.no_grad():
            for _ in range(options.steps):
                for piece in work:
                    once(*piece)
        return options.steps * options.batch

    return block


def of_hand_model(kind, checked, name, data, options, fused=True):
    return of_hand(kind(name), data, options, checked, fused)


def variants(options):
    """Variant → what makes its loop, given name of the model, data and options."""
    found = {
        "genmod": of_genmod,
        "hand": partial(of_hand_model, Vae, False),
        "hand, default Adam": partial(of_hand_model, Vae, False, fused=False),
        "hand + check": partial(of_hand_model, Vae, True),
        "hand + check, genmod's model": partial(of_hand_model, Terms, True),
        "layers alone": of_layers,
        "examples": of_examples,
    }
    if options.compile:
        found["genmod --compile"] = partial(of_genmod, compiled=True)
    for peer, make in (("pythae", of_pythae), ("lightning", of_lightning)):
        if importlib.util.find_spec(peer):
            found[peer] = make
    return found

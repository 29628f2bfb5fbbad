"""Faults: formats."""

import time
from dataclasses import replace

from genmod import (
    FileError,
    Incoming,
    UsageError,
)
from genmod.scaffold.templates.format import TemplateFormat
from planted import caught_by


@caught_by("check_format_files")
class WritesBeside(TemplateFormat):
    def write(self, model, folder, training, seed):
        (folder.parent / "latest.txt").write_text("here")
        return super().write(model, folder, training, seed)


@caught_by("check_format_files", "check_format_damaged")
class WritesTheTime(TemplateFormat):
    def write(self, model, folder, training, seed):
        (folder / "time.txt").write_text(str(time.perf_counter()))
        return super().write(model, folder, training, seed)


@caught_by("check_format_files")
class NeedsTheData(TemplateFormat):
    def write(self, model, folder, training, seed):
        training()
        return super().write(model, folder, training, seed)


@caught_by("check_format_leaves", "check_format_files")
class HalvesTheModel(TemplateFormat):
    def write(self, model, folder, training, seed):
        for parameter in model.encoder.parameters():
            parameter.data.mul_(0.5)
        return super().write(model, folder, training, seed)


@caught_by("check_format_refusals")
class RefusesWithoutAHint(TemplateFormat):
    def write(self, model, folder, training, seed):
        if not model.spec.components:
            raise UsageError("no")
        return super().write(model, folder, training, seed)


@caught_by("check_format_reads")
class ReadsHalfOfTheWeights(TemplateFormat):
    def read(self, folder):
        incoming = super().read(folder)
        return replace(incoming, weights=lambda model: {k: t / 2 for k, t in incoming.weights(model).items()})


@caught_by("check_format_reads")
class ForgetsTheNetwork(TemplateFormat):
    def read(self, folder):
        incoming = super().read(folder)
        return replace(
            incoming,
            weights=lambda model: {
                k: t for k, t in incoming.weights(model).items() if not k.startswith("network")
            },
        )


@caught_by("check_format_damaged")
class TakesAnything(TemplateFormat):
    def read(self, folder):
        try:
            return super().read(folder)
        except FileError:
            return Incoming({}, (2,), weights=lambda model: {}, recipe="vae", others={}, shape=(12,))


@caught_by("check_format_damaged")
class FailsOtherwise(TemplateFormat):
    def read(self, folder):
        (folder / "parts.json").read_text()
        return super().read(folder)

"""Faults: formats."""

import time
import uuid
from dataclasses import replace

import torch

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


def _changed(incoming, change):
    """The same, with other weights."""
    return replace(incoming, weights=lambda model: change(dict(incoming.weights(model))))


@caught_by("check_format_reads")
class RoundsToHalf(TemplateFormat):
    def read(self, folder):
        return _changed(super().read(folder), lambda found: {k: t.half().float() for k, t in found.items()})


@caught_by("check_format_reads")
class ExchangesMeansAndScales(TemplateFormat):
    """Two weights of the posterior that have one shape; UsageError."""

    def read(self, folder):
        def change(found):
            names = [name for name in found if name.startswith("posterior") and name.endswith("bias")]
            rows = {name: found[name].flip(0) for name in names}
            return {**found, **rows}

        return _changed(super().read(folder), change)


@caught_by("check_format_reads")
class Transposes(TemplateFormat):
    def read(self, folder):
        def change(found):
            return {
                k: t.T.contiguous() if t.dim() == 2 and t.shape[0] == t.shape[1] else t.flip(0)
                for k, t in found.items()
            }

        return _changed(super().read(folder), change)


@caught_by("check_format_leaves")
class MovesTheRandomState(TemplateFormat):
    def write(self, model, folder, training, seed):
        torch.manual_seed(0)
        return super().write(model, folder, training, seed)


@caught_by("check_format_leaves", "check_format_reads")
class LeavesTrainingMode(TemplateFormat):
    def write(self, model, folder, training, seed):
        model.train()
        return super().write(model, folder, training, seed)


@caught_by("check_format_leaves")
class TidiesUpWhatItReads(TemplateFormat):
    def read(self, folder):
        found = super().read(folder)
        with open(folder / "parts.json", "ab") as file:
            file.write(b"\n")
        return found


@caught_by("check_format_files", "check_format_damaged")
class DrawsItsName(TemplateFormat):
    def write(self, model, folder, training, seed):
        (folder / f"{uuid.uuid4().hex}.txt").write_text("one of many")
        return super().write(model, folder, training, seed)

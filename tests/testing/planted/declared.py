"""Faults: shapes that are declared for the checks, and refused by the constructor."""

from typing import ClassVar

from genmod import UsageError
from genmod.scaffold.templates.decoder import TemplateDecoder
from genmod.scaffold.templates.encoder import TemplateEncoder
from genmod.scaffold.templates.network import TemplateNetwork
from genmod.scaffold.templates.prior import TemplatePrior
from planted import caught_by


@caught_by("check_declared")
class DeclaresSequencesAndWantsTables(TemplateEncoder):
    """Rows of a table; UsageError."""

    check_cases: ClassVar = {"data": [(12,), (2, 40)]}

    def __init__(self, data_shape):
        if len(data_shape) != 1:
            raise UsageError(f"{data_shape} is no row of a table", hint="choose --encoder conv")
        super().__init__(data_shape)


@caught_by("check_declared")
class DeclaresAShapeWithoutItsRange(TemplateDecoder):
    """Any real values; of a bare shape they are between 0 and 1. UsageError."""

    check_cases: ClassVar = {"data": [(5,)]}

    def __init__(self, data):
        if data.low == 0.0:
            raise UsageError("data that cannot be negative are refused", hint="choose another decoder")
        super().__init__(data)


@caught_by("check_declared")
class DeclaresOddLatents(TemplatePrior):
    """Pairs of latents; UsageError."""

    check_cases: ClassVar = {"latents": [(6,), (7,)]}

    def __init__(self, latent_shape):
        if latent_shape[-1] % 2 and latent_shape[-1] > 5:
            raise UsageError("latents come in pairs", hint="choose an even number: --latent 6")
        super().__init__(latent_shape)


@caught_by("check_declared")
class DeclaresOutputsThatNoLatentsGive(TemplateNetwork):
    """Pictures alone; UsageError."""

    check_cases: ClassVar = {"latents": [(4,)], "outputs": [(9,)]}

    def __init__(self, in_shape, out_shape):
        if len(out_shape) < 2 and out_shape != (12,):
            raise UsageError(f"{out_shape} is no picture", hint="choose --network mlp")
        super().__init__(in_shape, out_shape)

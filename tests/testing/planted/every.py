"""Faults: what every component owes."""

from pathlib import Path
from typing import Annotated

from genmod import (
    Doc,
    UsageError,
)
from genmod.scaffold.templates.dataset import TemplateDataset
from genmod.scaffold.templates.encoder import TemplateEncoder
from planted import caught_by


@caught_by("check_class")
class Unfinished(TemplateEncoder.__base__):
    pass


@caught_by("check_signature")
class PositionalOption(TemplateEncoder):
    def __init__(self, data_shape, width: int = 32):
        super().__init__(data_shape, width=width)


@caught_by("check_options")
class UndocumentedOption(TemplateEncoder):
    def __init__(self, data_shape, *, width: int = 32):
        super().__init__(data_shape, width=width)


@caught_by("check_options")
class KeywordSink(TemplateEncoder):
    def __init__(self, data_shape, **options):
        super().__init__(data_shape)


@caught_by("check_options", "check_given")
class NoDefault(TemplateEncoder):
    def __init__(self, data_shape, *, width: Annotated[int, Doc("width")]):
        super().__init__(data_shape, width=width)


@caught_by("check_given")
class NeedsAFile(TemplateDataset):
    def __init__(self, root, *, path: Annotated[Path, Doc("file with the examples")]):
        super().__init__(root)


@caught_by("check_options")
class DefaultOfAnotherType(TemplateEncoder):
    def __init__(self, data_shape, *, width: Annotated[int, Doc("width")] = "wide"):
        super().__init__(data_shape)


@caught_by("check_options_round_trip")
class ReversesItsOption(TemplateEncoder):
    def __init__(self, data_shape, *, hidden: Annotated[list[int], Doc("widths")] = (1, 2)):
        hidden.reverse()
        super().__init__(data_shape)


@caught_by("check_refusals")
class RefusesWithoutHint(TemplateEncoder):
    def __init__(self, data_shape):
        if len(data_shape) == 3:
            raise UsageError("no images")
        super().__init__(data_shape)


@caught_by("check_refusals")
class RefusesInSilence(TemplateEncoder):
    """Nothing is said of refusals."""

    def __init__(self, data_shape):
        if len(data_shape) == 3:
            raise UsageError("no images", hint="use a table")
        super().__init__(data_shape)


@caught_by("check_usable")
class RefusesEverything(TemplateEncoder):
    def __init__(self, data_shape):
        raise UsageError("not today", hint="try tomorrow")

"""Laws for formats: models that are written, and read back."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from genmod.data.dataset import Batch, DataInfo, Split, TensorSplit
from genmod.errors import DataError, FileError, GenmodError, UsageError
from genmod.interfaces.format import Format
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.model.incoming import assemble_incoming
from genmod.model.latent_variable import LatentVariableModel
from genmod.options.schema import validate
from genmod.spec import ModelSpec
from genmod.system.random import seeded
from genmod.testing.case import Case, NotApplicable, mean_of
from genmod.testing.check import check_for, expect, expect_close
from genmod.testing.checks.modules import random_state_untouched
from genmod.testing.inputs import examples, jostle
from genmod.testing.reference import reference_model

__all__: list[str] = []

_INFOS = tuple(DataInfo(shape, levels=256) for shape in ((3, 16, 16), (1, 16, 16), (12,)))
_COUNT = 6


def _format(case: Case) -> Format:
    made: Format = case.cls(**validate(case.cls, case.options, case.kind))
    return made


def _spec(case: Case) -> ModelSpec:
    own = ModelSpec.from_table(case.cls.example, where=f"the example of {case.label}")
    return compose(components=own.components, latent=own.latent, registry=case.registry)


def _model(case: Case, seed: int = 3) -> LatentVariableModel:
    """The example of the format for the first data that it takes, with weights that are not those of the start."""
    reason = ""
    for info in _INFOS:
        try:
            model = assemble(_spec(case), info, seed=seed, registry=case.registry)
        except UsageError as error:
            reason = error.message
            continue
        with seeded(seed):
            jostle(model)
        return model.eval()
    raise UsageError(f"its example is no model of pictures or vectors: {reason}")


def _training(model: LatentVariableModel) -> Split:
    stored = torch.randint(256, (_COUNT, *model.data.shape), generator=torch.Generator().manual_seed(5))
    return TensorSplit(Batch(stored.to(torch.uint8)))


def _written(case: Case, model: LatentVariableModel, folder: Path) -> Mapping[str, bytes]:
    folder.mkdir()
    with torch.no_grad():
        _format(case).write(model, folder, lambda: _training(model), 0)
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@check_for("format", remedy="write below the folder that you are given, from the model and the seed alone")
def check_format_files(case: Case) -> None:
    """It writes files, into the folder alone; a second time the same bytes; with the data out of reach, too."""
    model = _model(case)
    with tempfile.TemporaryDirectory() as place:
        first = _written(case, model, Path(place, "a"))
        again = _written(case, model, Path(place, "b"))
        beside = {each.name for each in Path(place).iterdir()} - {"a", "b"}

        def lost() -> Split:
            raise DataError("the data are not at hand")

        Path(place, "c").mkdir()
        _format(case).write(model, Path(place, "c"), lost, 0)
    expect(first, "it wrote no file")
    expect(not beside, f"it wrote {', '.join(sorted(beside))} beside the folder")
    different = sorted(name for name in {*first, *again} if first.get(name) != again.get(name))
    expect(not different, f"written again, {', '.join(different)} differs")


@check_for("format", remedy="work on copies: tensor.detach().clone()")
def check_format_leaves(case: Case) -> None:
    """The model, its mode and the global random states do not change, nor what was written where it is read."""
    model = _model(case)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with tempfile.TemporaryDirectory() as place:
        with random_state_untouched("writing it"):
            files = _written(case, model, Path(place, "a"))
        if case.cls.reads:
            with random_state_untouched("reading it"):
                _format(case).read(Path(place, "a")).weights(model)
            left = {
                str(p.relative_to(Path(place, "a"))): p.read_bytes()
                for p in Path(place, "a").rglob("*")
                if p.is_file()
            }
            touched = sorted(name for name in {*files, *left} if files.get(name) != left.get(name))
            expect(not touched, f"reading it changed {', '.join(touched)}")
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])]
    expect(not changed, f"it changed {', '.join(changed)} of the model")
    expect(not model.training, "it left the model in training mode")


@check_for("format", remedy="raise UsageError(what it cannot write, hint=what to choose instead)")
def check_format_refusals(case: Case) -> None:
    """A model that it cannot write is refused with a hint."""
    with tempfile.TemporaryDirectory() as place:
        try:
            _written(case, reference_model(), Path(place, "a"))
        except UsageError as error:
            expect(error.hint, f"refused without a hint: {error.message}")


def _outputs(model: LatentVariableModel) -> dict[str, Tensor]:
    x = examples(model.data, _COUNT, torch.Generator().manual_seed(6)).float()
    z = torch.randn((_COUNT, *model.latent_shape), generator=torch.Generator().manual_seed(7))
    with torch.no_grad(), seeded(8):
        q = model.encode(x)
        found = {"the mean of q(z|x)": mean_of(q)[0]} if mean_of(q) else {}
        # A latent of the model: of a codebook, few tensors are.
        z = z if model.posterior.support is None or model.posterior.has_density else q.sample()
        return found | {"a draw of q(z|x)": q.sample(), "the mean of p(x|z)": model.decode(z).mean}


@check_for("format", remedy="give in Incoming.weights what write() wrote, under the names of the model")
def check_format_reads(case: Case) -> None:
    """A model that is written and read has the same weights in the parts that are there, and the same outputs."""
    if not case.cls.reads:
        raise NotApplicable("it reads nothing")
    model = _model(case)
    with tempfile.TemporaryDirectory() as place:
        _written(case, model, Path(place, "a"))
        incoming = _format(case).read(Path(place, "a"))
        spec = compose(
            components={**_spec(case).components, **incoming.others, **incoming.components},
            latent=incoming.latent,
            registry=case.registry,
        )
        other = assemble_incoming(spec, model.data, incoming, "what was written", seed=9)
    own = {name: p for name, p in model.named_parameters() if name.partition(".")[0] in incoming.components}
    expect(own, "it gives no part that has weights")
    theirs = dict(other.named_parameters())
    for name, parameter in own.items():
        there = name in theirs and theirs[name].shape == parameter.shape
        expect(there, f"the model that was read has no {name} of shape {tuple(parameter.shape)}")
        expect_close(theirs[name], parameter, name, rtol=1e-6, atol=1e-7)
    for name, parameter in theirs.items():
        if name.partition(".")[0] not in incoming.components:
            parameter.data = dict(model.named_parameters())[name].data
    found = _outputs(other.eval())
    for what, wanted in _outputs(model).items():
        scale = float(wanted.abs().max()) or 1.0
        expect_close(found[what] / scale, wanted / scale, what, rtol=0, atol=1e-5)


@check_for("format", remedy="raise FileError(what is missing or wrong with which file)")
def check_format_damaged(case: Case) -> None:
    """An empty folder, and one whose files are cut or exchanged, are refused by an error of genmod."""
    if not case.cls.reads:
        raise NotApplicable("it reads nothing")
    model = _model(case)
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place, "a")
        names = list(_written(case, model, whole))
        Path(place, "empty").mkdir()
        _expect_refused(case, model, Path(place, "empty"), "an empty folder")
        for name in names:
            content = (whole / name).read_bytes()
            for what, wrong in (
                ("cut in half", content[: len(content) // 2]),
                ("zeros", bytes(len(content))),
            ):
                (whole / name).write_bytes(wrong)
                _expect_refused(case, model, whole, f"{name} {what}")
            (whole / name).write_bytes(content)


def _expect_refused(case: Case, model: LatentVariableModel, folder: Path, what: str) -> None:
    try:
        incoming = _format(case).read(folder)
        incoming.weights(model)
    except (FileError, UsageError):
        return
    except GenmodError as error:
        expect(False, f"{what} is refused by a {type(error).__name__}: {error.message}")
    except Exception as error:
        expect(False, f"{what} ends in {type(error).__name__}: {error}")
    expect(False, f"{what} is read without an error")

"""Laws for every part of a model: training, saving, copying, devices."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genmod.interfaces.part import Draw
from genmod.model.losses import adds_losses
from genmod.system.random import reseed
from genmod.testing.case import BATCH, Case, NotApplicable, Trial, whole
from genmod.testing.check import check_for, expect, expect_close, expect_gradient
from genmod.testing.reference import ReferencePrior

__all__ = ["NETWORKS", "moved", "random_state_untouched"]

NETWORKS = ("encoder", "posterior", "prior", "decoder", "network")
"""Kinds of part whose forward is a network or makes a distribution."""
_PARTS = (*NETWORKS, "divergence")
_SLIGHT = 1e-10
_PER_EXAMPLE = ("encoder", "posterior", "decoder", "network")
"""Those that are called with a batch of examples."""


@check_for(
    *_PARTS,
    remedy="register buffers, and make new tensors like given ones: x.new_zeros(…), not torch.zeros(…)",
)
def check_dtype(case: Case) -> None:
    """Single precision stays single and double stays double, all the way."""
    trial = case.trial()
    for dtype in (torch.float32, torch.float64):
        part = copy.deepcopy(trial.part)
        whole(part).to(dtype)
        for mode in (True, False):
            whole(part).train(mode)
            answers = trial(part, trial.converted(partial(Tensor.to, dtype=dtype)))
            for answer in answers:
                expect(answer.dtype == dtype, f"a part of {dtype} given {dtype} answers in {answer.dtype}")
    if case.kind not in _PER_EXAMPLE or getattr(getattr(part, "support", None), "is_discrete", False):
        return
    inputs = trial.converted(Tensor.double)
    moved = trial(part, (inputs[0] + _SLIGHT * torch.randn_like(inputs[0]), *inputs[1:]))
    changed = any(bool((a != b).any()) for a, b in zip(trial(part, inputs), moved, strict=True))
    expect(changed, f"given double precision, it takes inputs that differ by {_SLIGHT:g} for the same")


@check_for(
    *_PARTS,
    remedy="make tensors on the device of a given one, no .item(), and distributions with validate_args=False",
)
def check_device(case: Case) -> None:
    """It is built and run on another device, here torch's ``meta``, which has shapes and no values."""
    trial = case.trial()
    with torch.device("meta"):
        part, _ = next(case.accepted())
        left = [name for name, t in [*part.named_parameters(), *part.named_buffers()] if not t.is_meta]
        expect(not left, f"built on another device, these stay on the CPU: {', '.join(left)}")
        companions = tuple(moved(each, "meta") for each in trial.companions)
        there = Trial(case.kind, part, trial.converted(lambda x: x.to("meta")), companions)
        expect(
            all(answer.is_meta for answer in there()), "given another device's tensors it answers on the CPU"
        )
    if torch.cuda.is_available():
        part = moved(trial.part, "cuda")
        for answer, there_too in zip(trial(), trial(part, trial.converted(Tensor.cuda)), strict=True):
            expect(there_too.is_cuda, "given tensors on a GPU it answers on the CPU")
            expect_close(there_too.cpu(), answer, "GPU and CPU differ", rtol=1e-3, atol=1e-3)


def moved(part: nn.Module, device: str) -> nn.Module:
    """A copy of the part, or of the model that it is bound to, on another device."""
    there = copy.deepcopy(part)
    whole(there).to(device)
    return there


@check_for(
    *_PARTS,
    remedy="use every parameter in the result, and neither detach() nor .data nor no_grad() on the way",
)
def check_gradient(case: Case) -> None:
    """A gradient, finite and not zero, reaches every parameter."""
    trial = case.trial()
    names = [name for name, p in trial.part.named_parameters() if p.requires_grad]
    if not names:
        raise NotApplicable("it has no parameters")
    answers = [answer for answer in (*trial(), *_added(trial)) if answer.requires_grad]
    expect(answers, "its answer carries no gradient at all")
    # Random weights: a plain sum has no gradient below a normalisation.
    torch.autograd.backward([(answer * torch.randn_like(answer)).sum() for answer in answers])
    for name, parameter in trial.part.named_parameters():
        if parameter.requires_grad:
            expect_gradient(parameter.grad, name)


def _added(trial: Trial) -> Iterator[Tensor]:
    """Draws that a posterior moves along a density, and the losses that it adds to those of an objective."""
    part: Any = trial.part
    if trial.kind == "posterior" and part.wants_joint:
        yield part(trial.inputs[0], ReferencePrior(part.latent_shape)().log_prob).rsample()
    if trial.kind != "posterior" or not adds_losses(trial.part):
        return
    features = trial.inputs[0]
    q = trial.part(features)
    z, nothing = q.rsample((1,)), torch.zeros(len(features))
    draw = Draw(features, q, z, ReferencePrior(tuple(q.event_shape)), q, features, nothing)
    yield from (loss.values for loss in trial.part.losses(draw).values())


@check_for(
    *_PER_EXAMPLE,
    remedy="compute the answer from what forward is given, in every example",
)
def check_input(case: Case) -> None:
    """Another input gives another output, in every example."""
    trial = case.trial().eval()
    other = trial(inputs=(trial.inputs[0] + 1, *trial.inputs[1:]))
    rows = [(a != b).reshape(len(a), -1).any(1) for a, b in zip(trial(), other, strict=True)]
    changed = torch.stack(rows).any(0)
    rounds = getattr(getattr(trial.part, "support", None), "is_discrete", False)
    expect(
        # What is rounded to may be the same for another input, not for all of them.
        changed.any() if rounds else changed.all(),
        f"{int((~changed).sum())} of {len(changed)} examples get the same answer to another input",
    )


@check_for(
    *_PER_EXAMPLE,
    "divergence",
    remedy="take no statistics over the batch in evaluation mode, and never mix the batch with other dimensions",
)
def check_batch_independence(case: Case) -> None:
    """In evaluation mode the output for an example does not depend on the others in its batch."""
    trial = _in_double(case, 2 * BATCH - 1)
    before, after = (
        trial.converted(lambda x: x[:BATCH]),
        trial.converted(lambda x: torch.cat([x[:1], x[BATCH:]])),
    )
    for old, new in zip(trial(inputs=before), trial(inputs=after), strict=True):
        expect_close(new[:1], old[:1], "an example's answer among other neighbours, and before")


@check_for(
    *_PARTS,
    remedy="sum over event dimensions and keep the batch dimension: the batch is averaged by the trainer alone",
)
def check_batch_size(case: Case) -> None:
    """In evaluation mode a batch gives the outputs of its examples one by one, and of the batch repeated."""
    trial = _in_double(case)
    whole = trial()
    for i, size in ((0, 1), (1, 1), (0, 2)):
        part = trial(inputs=trial.rows(i, i + size))
        for alone, together in zip(part, whole, strict=True):
            expect_close(
                alone, together[i : i + size], f"{size} of {len(together)} examples alone, and within"
            )
    for twice, once in zip(trial(inputs=trial.converted(lambda x: torch.cat([x, x]))), whole, strict=True):
        expect_close(twice, torch.cat([once, once]), "a batch twice, and once")


def _in_double(case: Case, batch: int = BATCH) -> Trial:
    trial = case.trial(batch)
    of_batch = getattr(trial.part, "batch_statistics", "none")
    if of_batch != "none":
        raise NotApplicable(f"it declares batch_statistics = {of_batch!r}")
    whole(trial.part).double().eval()
    trial = Trial(trial.kind, trial.part, trial.converted(Tensor.double), trial.companions)
    first, second = trial(), trial()
    if not all(torch.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise NotApplicable("it changes from call to call, see check_evaluation")
    if case.kind == "divergence" and not all(map(torch.equal, first, trial(seed=3))):
        raise NotApplicable("it draws numbers of its own, which are others for a batch of another size")
    return trial


@check_for(
    *_PARTS, remedy="keep no state in forward outside of training, and change no tensor that you are given"
)
def check_evaluation(case: Case) -> None:
    """In evaluation mode the same input gives the same output, with gradients or not; asking changes neither part nor input."""
    trial = case.trial()
    given = trial.converted(Tensor.clone)
    trial()
    for before, after in zip(given, trial.inputs, strict=True):
        expect(torch.equal(before, after), "in training mode it changed its input in place")
    trial.eval()
    state = {name: tensor.clone() for name, tensor in trial.part.state_dict().items()}
    inputs = trial.converted(Tensor.clone)
    for first, second in zip(trial(), trial(), strict=True):
        expect(torch.equal(first, second), "the same inputs and seed gave different answers")
    with torch.no_grad():
        without = trial()
    for first, second in zip(trial(), without, strict=True):
        expect(
            torch.equal(first, second),
            _difference("answers with gradients and without differ", first, second),
        )
    for name, tensor in trial.part.state_dict().items():
        expect(torch.equal(tensor, state[name]), f"asking it changed {name}")
    for before, after in zip(inputs, trial.inputs, strict=True):
        expect(torch.equal(before, after), "it changed its input in place")


@check_for(*_PARTS, remedy="draw initial weights from torch's global generator alone, in a fixed order")
def check_same_seed(case: Case) -> None:
    """The same seed gives the same weights and the same outputs."""
    parts = []
    for _ in range(2):
        reseed(3)
        parts.append(next(case.accepted())[0])
    first, second = (part.state_dict() for part in parts)
    for name, tensor in first.items():
        expect(torch.equal(tensor, second[name]), f"{name} differs between two builds from one seed")
    trial = case.trial()
    for a, b in zip(trial(parts[0]), trial(parts[1]), strict=True):
        expect(torch.equal(a, b), "answers differ between two builds from one seed")


@check_for(
    *_PARTS,
    "objective",
    remedy="never call torch.manual_seed, numpy.random.seed or random.seed; draw in sample and rsample alone",
)
def check_random_state(case: Case) -> None:
    """Building seeds no global generator, and parts that do not draw use none of them."""
    states = []
    for seed in (3, 4):
        reseed(seed)
        with random_state_untouched("building it", torch_too=False):
            next(case.accepted())
        states.append(torch.get_rng_state())
    expect(not torch.equal(*states), "building it seeds torch's global generator")
    if case.kind not in NETWORKS:
        return
    trial = case.trial().eval()
    with random_state_untouched("asking it in evaluation mode"):
        if case.kind == "prior":
            trial.part()
        else:
            trial.part(trial.inputs[0])


@contextmanager
def random_state_untouched(what: str, *, torch_too: bool = True) -> Iterator[None]:
    """Fail if a global random state changes inside.

    Raises:
        CheckFailed: one changes; says which.
    """
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        # From states that no seed sets: setting the seed of before again would not be seen.
        random.seed(20_071)
        random.random()
        np.random.seed(20_071)
        np.random.random()
        if torch_too:
            torch.manual_seed((torch.initial_seed() + 20_071) % 2**63)
            torch.rand(())
        before = random.getstate(), _numpy_state(), torch.get_rng_state()
        yield
        after = random.getstate(), _numpy_state(), torch.get_rng_state()
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        if torch_too:
            torch.set_rng_state(kept[2])
    expect(after[0] == before[0], f"{what} moves Python's global random state")
    expect(after[1] == before[1], f"{what} moves NumPy's global random state")
    if torch_too:
        expect(torch.equal(after[2], before[2]), f"{what} moves torch's global random state")


def _numpy_state() -> tuple[str, ...]:
    name, keys, *rest = np.random.get_state()
    return (str(name), np.asarray(keys).tobytes().hex(), *map(str, rest))


@check_for(
    *_PARTS, remedy="keep all state in parameters and buffers; what is drawn at construction must be saved"
)
def check_state_dict(case: Case) -> None:
    """The saved state of a part in use, restored into one built from another seed, gives bit-equal outputs."""
    trial = case.trial()
    whole(trial.part).train()
    for _ in range(2):
        trial()
    trial.eval()
    reseed(99)
    other, _ = next(case.accepted())
    saved = {name: tensor.clone() for name, tensor in whole(trial.part).state_dict().items()}
    apart = set(whole(other).state_dict()) ^ set(saved)
    expect(not apart, f"after use its state has other names than before: {', '.join(sorted(apart)[:5])}")
    whole(other).eval().load_state_dict(saved)
    for restored, original in zip(trial(other), trial(), strict=True):
        expect(
            torch.equal(restored, original),
            _difference("restored and original answers differ", restored, original),
        )


@check_for(
    *_PARTS,
    remedy="hold no tensors that are part of a graph, no open files and no locks; keep state in buffers",
)
def check_deepcopy(case: Case) -> None:
    """A deep copy gives the same outputs, and its changes do not affect the original."""
    trial = case.trial().eval()
    # Clones: an answer may be a view of a parameter, and change with it.
    before = [answer.detach().clone() for answer in trial()]
    other = copy.deepcopy(trial.part)
    for copied, original in zip(trial(other), before, strict=True):
        expect(
            torch.equal(copied, original),
            _difference("copy and original answer differently", copied, original),
        )
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    for after, original in zip(trial(), before, strict=True):
        expect(torch.equal(after, original), "changing the copy's parameters changed the original")


def _difference(what: str, a: Tensor, b: Tensor) -> str:
    return f"{what} by up to {(a - b).abs().max().item():.3g}"

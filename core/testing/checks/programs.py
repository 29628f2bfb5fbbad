"""Laws for compilers: the forward of a part can be exported and compiled, with the same outputs."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genmod.errors import UndefinedError
from genmod.testing.case import Case, NotApplicable, Trial, mean_of
from genmod.testing.check import CheckFailed, check_for, expect_close
from genmod.testing.checks.modules import NETWORKS

__all__: list[str] = []


class _Forward(nn.Module):
    """The outputs of a part as a function of its inputs."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self.part = trial.part
        self._kind = trial.kind

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        # Not through Trial: it seeds, which is no part of the computation.
        match self._kind:
            case "prior":
                return (self.part().log_prob(inputs[0]),)
            case "encoder" | "network":
                return (self.part(inputs[0]),)
        made = self.part(inputs[0])
        return (*mean_of(made), *(made.log_prob(each) for each in inputs[1:]))


@check_for(
    *NETWORKS,
    remedy="give distributions validate_args=False, and let no value of a tensor decide what is computed",
    once=True,
)
def check_export(case: Case) -> None:
    """``torch.export`` works for a batch of any size, and the program gives the same outputs."""
    trial = case.trial(3).eval()
    forward = _Forward(trial).eval()
    # With a bound: older versions of torch find that without one it is not the largest number that they know.
    batch = torch.export.Dim("batch", max=2**31 - 1)
    shapes = (tuple({0: batch} for _ in trial.inputs),)
    with _no_warnings(), torch.no_grad():
        try:
            program = torch.export.export(forward, trial.inputs, dynamic_shapes=shapes).module()
        except UndefinedError as error:
            raise NotApplicable(error.message) from error
        except Exception as error:
            raise CheckFailed(f"torch.export fails: {type(error).__name__}: {str(error)[:300]}") from error
        twice = trial.converted(lambda x: torch.cat([x, x]))
        for size in (3, 2, 5):
            inputs = Trial(trial.kind, trial.part, twice).rows(0, size)
            for exported, eager in zip(program(*inputs), forward(*inputs), strict=True):
                expect_close(exported, eager, "exported and eager", rtol=1e-4, atol=1e-5)


@check_for(
    *NETWORKS,
    remedy="let no value of a tensor decide what is computed, and use operations that torch.compile knows",
    slow=True,
    once=True,
)
def check_compile(case: Case) -> None:
    """``torch.compile`` works, with the same outputs."""
    trial = case.trial().eval()
    forward = _Forward(trial).eval()
    torch.compiler.reset()
    with _no_warnings(), torch.no_grad():
        try:
            answers = torch.compile(forward)(*trial.inputs)
        except Exception as error:
            raise CheckFailed(f"torch.compile fails: {type(error).__name__}: {str(error)[:300]}") from error
        for compiled, eager in zip(answers, forward(*trial.inputs), strict=True):
            expect_close(compiled, eager, "compiled and eager", rtol=1e-4, atol=1e-5)


@contextmanager
def _no_warnings() -> Iterator[None]:
    # torch warns of itself while it traces.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

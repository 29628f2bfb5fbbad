"""The cases of the law tests: every registered component, with every option moved once.

A law test asks for a component by naming a parameter after its kind, ``def test_shapes(encoder)``, and is run
for each :class:`Case` of that kind; one that names the parameter ``component`` is run for all kinds of parts of a
model. Which laws apply follows from what a component declares, never from its name.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genmod import DataInfo, UsageError, diagonal_normal
from genmod.option_types import Form
from genmod.option_values import Rejected, check
from genmod.options import Option, options_of, validate
from genmod.provided import Provided
from genmod.registry import Registry
from genmod.spec import MODEL_KINDS

REGISTRY = Registry(third_party=False)

DATA_SHAPES = ((1, 8, 8), (3, 33, 20), (2, 9, 16), (12,))
LATENT_SHAPES = ((1,), (5,), (2, 3))
INFOS = (
    DataInfo((1, 8, 8), levels=2),
    DataInfo((3, 33, 20), levels=256),
    DataInfo((12,), low=-torch.inf, high=torch.inf),
    DataInfo((2, 9, 16), low=-1.0, high=1.0),
    DataInfo((1, 8, 8), low=0.0, high=255.0, levels=256),
    DataInfo((12,), high=torch.inf, counts=True),
)
FEATURES = (7,)


@dataclass(frozen=True)
class Case:
    """A component with some of its options given.

    Args:
        provided: the component.
        options: those that are not at their defaults.
    """

    provided: Provided
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.provided.kind

    @property
    def cls(self) -> type[Any]:
        return self.provided.load()

    def __str__(self) -> str:
        given = ",".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.kind}-{self.provided.name}" + (f"[{given}]" if given else "")

    def build(self, *wiring: Any) -> Any:
        """The component."""
        return self.cls(*wiring, **validate(self.cls, self.options, self.kind))

    def each(self, *spreads: Iterable[Any]) -> list[tuple[Any, ...]]:
        """The component for every combination of wirings that it does not refuse, and the wiring; at least one."""
        built, refusals = [], []
        for wiring in itertools.product(*spreads):
            try:
                built.append((self.build(*wiring), *wiring))
            except UsageError as error:
                refusals.append(error)
        assert built, f"{self} refuses everything"
        # Refusing is an answer only where users are told.
        assert not refusals or "UsageError" in (self.cls.__doc__ or ""), refusals
        assert all(refusal.hint for refusal in refusals), refusals
        return built

    def usual(self) -> Any:
        """The component with a wiring that is usual for its kind."""
        return self.build(*self.usual_wiring())

    def usual_wiring(self) -> tuple[Any, ...]:
        """What the assembly would hand over for 8×8 images, or for the first data that are not refused."""
        match self.kind:
            case "encoder":
                return ((1, 8, 8),)
            case "posterior":
                return (FEATURES, (5,))
            case "prior":
                return ((5,),)
            case "network":
                return ((5,), (1, 8, 8))
            case "decoder":
                return (self.data,)
        return ()

    @property
    def data(self) -> DataInfo:
        """The first description of data that this decoder does not refuse."""
        return self.each(INFOS)[0][1]

    def output(
        self,
        part: nn.Module,
        *,
        batch: int = 4,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
        neighbours: float = 0.0,
    ) -> Tensor:
        """What the component says about fixed inputs, ``(batch, n)`` and differentiable; ``(batch,)`` of a prior.

        Args:
            part: the component.
            batch: number of inputs.
            dtype: of the inputs.
            device: of the inputs.
            neighbours: by how much all inputs but the first are stretched.
        """
        fixed = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> Tensor:
            drawn = torch.randn((batch, *shape), generator=fixed, device="cpu")
            drawn[1:] *= 1 + neighbours
            return drawn.to(device, dtype)

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            match self.kind:
                case "encoder":
                    return part(draw(1, 8, 8)).flatten(1)
                case "network":
                    return part(draw(5)).flatten(1)
                case "posterior":
                    q, z = part(draw(*FEATURES)), draw(5)
                    return torch.cat([q.mean, q.log_prob(z)[:, None]], 1) if part.has_density else q.mean
                case "prior":
                    return part().log_prob(draw(5)) if part.has_density else draw()
                case "decoder":
                    with torch.device("cpu"):
                        x = part.observe(examples(self.data, batch, fixed)).to(device, dtype)
                    return part(draw(*part.parameter_shape)).log_prob(x)[:, None]
                case "divergence":
                    q = diagonal_normal(draw(5), 0.5 * draw(5), 1)
                    p = diagonal_normal(draw(5)[0], 0.5 * draw(5)[0], 1)
                    z = torch.stack([q.mean + q.stddev * draw(5) for _ in range(3)])
                    return part(q, p, z)[:, None]
        raise AssertionError(self.kind)


def examples(info: DataInfo, batch: int, generator: torch.Generator | None = None) -> Tensor:
    """Examples within the declared range, ``(batch, *info.shape)``."""
    if info.levels is not None:
        return info.values(torch.randint(info.levels, (batch, *info.shape), generator=generator))
    if info.counts:
        return torch.poisson(torch.full((batch, *info.shape), 3.0), generator=generator)
    low, high = max(info.low, -3.0), min(info.high, 3.0)
    return low + (high - low) * torch.rand((batch, *info.shape), generator=generator)


def cases(kind: str) -> list[Case]:
    """Each component of a kind with its defaults, and with each value of each option that can be thought of."""
    found = []
    for provided in REGISTRY.components(kind):
        options = options_of(provided.load())
        found.append(Case(provided))
        moved = [{option.name: value} for option in options for value in values(option)]
        # Options of objectives act on each other: free bits mean nothing without knowing how they are counted.
        if kind == "objective":
            moved += [{**a, **b} for a in moved for b in moved if _is_choice(a) and not _is_choice(b)]
        for given in moved:
            try:
                validate(provided.load(), given, kind)
                if kind == "objective":
                    provided.load()(**given)
            except UsageError:
                continue
            found.append(Case(provided, given))
    return found


def _is_choice(moved: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) for value in moved.values())


def values(option: Option) -> Iterator[Any]:
    """Values other than the default, each of which the option allows."""
    for form in option.form.members:
        for value in thinkable(form):
            try:
                if check(option.form, value, option.name) != option.default:
                    yield value
            except Rejected:
                continue


def thinkable(form: Form) -> tuple[Any, ...]:
    match form.kind:
        case "bool":
            return (False, True)
        case "choice":
            return form.choices
        case "int":
            return (0, 3)
        case "float" | "schedule":
            return (0.0, 0.5)
        case "sequence" if form.parts[0].kind == "int":
            return ((), (6,), (6, 4))
    return ()


@pytest.fixture(name="examples")
def _examples() -> Callable[..., Tensor]:
    return examples


@pytest.fixture
def registry() -> Registry:
    """The built-in components alone."""
    return REGISTRY


@pytest.fixture
def data_shapes() -> tuple[tuple[int, ...], ...]:
    """Images with one, two and three channels, odd and oblong, and a row of a table."""
    return DATA_SHAPES


@pytest.fixture
def latent_shapes() -> tuple[tuple[int, ...], ...]:
    return LATENT_SHAPES


@pytest.fixture
def infos() -> tuple[DataInfo, ...]:
    """Binary, 8-bit, real, bounded and unscaled data."""
    return INFOS


PARTS = ("encoder", "posterior", "prior", "decoder", "network", "divergence")
"""Kinds that can be called by themselves; an objective needs a whole model."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in MODEL_KINDS:
        if kind in metafunc.fixturenames:
            metafunc.parametrize(kind, cases(kind), ids=str)
    if "component" in metafunc.fixturenames:
        metafunc.parametrize("component", [case for kind in PARTS for case in cases(kind)], ids=str)

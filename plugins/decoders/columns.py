"""A likelihood of its own for each column of a table."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, constraints
from torch.distributions.constraints import Constraint

from genmod import DataError, DataInfo, Decoder, Doc, UsageError
from genmod.plugins.decoders._column_entries import Entry, entries_of, infos_of, suitable
from genmod.registry import current_registry

__all__ = ["Columns", "ColumnsDecoder"]


class _Mixed(Constraint):
    """Numbers, of which each column may hold some of its own."""

    def __init__(self, supports: Sequence[Constraint]) -> None:
        self.supports = tuple(map(str, supports))
        self.is_discrete = all(support.is_discrete for support in supports)  # type: ignore[misc]
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        return value.isfinite()

    def __repr__(self) -> str:
        return f"Mixed({', '.join(self.supports)})"


def _common(supports: Sequence[Constraint]) -> Constraint:
    """The support of all columns, where they have one in common."""
    return supports[0] if len(set(map(str, supports))) == 1 else _Mixed(supports)


@final
class Columns(Distribution):
    """Distributions of single values, side by side.

    ``log p(x_i)`` of each column by its own distribution; ``-inf`` for what is outside of that one's support

    Args:
        parts: distributions, ``batch_shape (*batch, columns of it)``, ``event_shape ()``.
        supports: of each.
        order: of the columns, of which the parts have those that come first here; in their own order without one.

    Example:
        >>> from torch.distributions import Bernoulli, Normal
        >>> parts = [Normal(torch.zeros(2), torch.ones(2)), Bernoulli(torch.tensor([0.25]))]
        >>> Columns(parts, [each.support for each in parts]).log_prob(torch.tensor([0.0, 0.0, 1.0]))
        tensor([-0.9189, -0.9189, -1.3863])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, parts: Sequence[Distribution], supports: Sequence[Constraint], order: Tensor | None = None
    ) -> None:
        self.parts, self.supports, self._order = tuple(parts), tuple(supports), order
        self._sizes = [part.batch_shape[-1] for part in self.parts]
        shape = (*self.parts[0].batch_shape[:-1], sum(self._sizes))
        super().__init__(torch.Size(shape), validate_args=False)

    @property
    def support(self) -> Constraint:  # type: ignore[override]
        return _common(self.supports)

    def expand(self, batch_shape: Any, _instance: object = None) -> "Columns":
        sizes = zip(self.parts, self._sizes, strict=True)
        parts = [part.expand((*batch_shape[:-1], size)) for part, size in sizes]
        return Columns(parts, self.supports, self._order)

    def _joined(self, pieces: Sequence[Tensor]) -> Tensor:
        """What the parts give, in the order of the columns."""
        return _in_place(torch.cat(list(pieces), -1), self._order)

    def log_prob(self, value: Tensor) -> Tensor:
        if value.shape[-1:] != self.batch_shape[-1:]:
            value = value.expand(torch.broadcast_shapes(value.shape, self.batch_shape))
        value = value if self._order is None else value[..., self._order]
        pieces = zip(self.parts, self.supports, value.split(self._sizes, -1), strict=True)
        return self._joined([torch.where(s.check(x), part.log_prob(x), -torch.inf) for part, s, x in pieces])

    @property
    def mean(self) -> Tensor:
        return self._joined([part.mean for part in self.parts])

    @property
    def variance(self) -> Tensor:
        return self._joined([part.variance for part in self.parts])

    @property
    def mode(self) -> Tensor:
        """The most probable value of columns that know theirs, the mean of others."""
        return self._joined([_typical(part) for part in self.parts])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._joined([part.sample(torch.Size(sample_shape)) for part in self.parts])


def _in_place(values: Tensor, order: Tensor | None) -> Tensor:
    """Values in the order of parts ``(*batch, columns)`` put where their columns are."""
    return values if order is None else values[..., order.argsort()]


def _typical(part: Distribution) -> Tensor:
    if isinstance(part, Bernoulli):
        # Torch has no mode where both values are as probable.
        return (part.logits > 0).to(part.logits.dtype)
    try:
        return part.mode
    except NotImplementedError:
        return part.mean


def _part(entry: Entry, data: DataInfo) -> Decoder:
    cls = current_registry().find("decoder", entry.name).load()
    refusal: UsageError | None = None
    for info in infos_of(entry, data):
        try:
            part: Decoder = cls(info, **dict(entry.options))
        except UsageError as error:
            refusal = refusal or error
        else:
            return part
    raise UsageError(
        f"decoder.columns: {entry.text!r} does not suit the data: {refusal.message if refusal else ''}",
        hint="add how many levels the columns have: categorical:5"
        if entry.levels is None
        else "genmod list decoder",
    )


@final
class ColumnsDecoder(Decoder):
    """A likelihood of its own for each column of a table, given by the names of other decoders.

    ``log p(x|z) = Σ_i log p_i(x_i|z)``, nats

    ``parameters (*batch, all parameters of all columns) → batch_shape batch, event_shape (columns,)``. ``columns`` has
    an entry for each column, or for several in a row, ``gaussian*3,bernoulli,categorical:5,poisson``: the name of a
    decoder, after a colon the number of levels ``0, 1, 2, …``, after a star the number of columns; nothing after the
    star takes all that are left. Options of the decoders are at their defaults, and their trained parameters, such as
    a scale, are shared by the columns of an entry. Each value is observed, spread and scored as by its decoder alone; bits per
    dimension are those of probabilities and of densities together.

    ``auto`` takes, of a table with named columns, ``bernoulli`` for binary ones, ``categorical`` for categories,
    ``negative-binomial`` for counts, and ``gaussian`` for other numbers and dates, or ``gaussian-mixture`` where the training
    values have several modes or long tails; of other data ``gaussian*``.

    Columns have the range of the data where their likelihood accepts it. In a table of real numbers, others then hold
    values from 0 to 1, 0 or 1, or counts, whichever their likelihood accepts first. A value that a column cannot hold
    is an error.

    Reference:
        Handling Incomplete Heterogeneous Data using VAEs (Nazabal et al., 2018), arXiv:1807.03653

    Raises:
        UsageError: the data are no table; an entry cannot be read, names no decoder, or one that does not suit; the
            entries describe another number of columns.
        DataError: a value that its column cannot hold, when it is observed.

    Example:
        >>> data = DataInfo((4,), low=float("-inf"), high=float("inf"))
        >>> decoder = ColumnsDecoder(data, columns="bernoulli*2,categorical:5,poisson")
        >>> decoder.parameter_shape
        (8,)
        >>> decoder(torch.zeros(1, 8)).mean
        tensor([[0.5000, 0.5000, 2.0000, 1.0000]])
    """

    order: Tensor | None

    def __init__(
        self,
        data: DataInfo,
        *,
        columns: Annotated[
            str,
            Doc(
                "auto, by the kinds of the columns; or for each column, NAME, NAME:LEVELS, NAME*COUNT or NAME* for all that "
                "are left, separated by commas"
            ),
        ] = "auto",
    ) -> None:
        if len(data.shape) != 1:
            raise UsageError(
                f"decoder 'columns' is for tables; an example of these data has the shape {data.shape}",
                hint="choose one likelihood for all values: --decoder gaussian",
            )
        super().__init__(data)
        if columns == "auto" and data.columns:
            self.entries, order = suitable(data)
        else:
            self.entries = entries_of("gaussian*" if columns == "auto" else columns, data.shape[0])
            order = list(range(data.shape[0]))
        self._places = order
        moved = torch.tensor(order) if order != sorted(order) else None
        self.register_buffer("order", moved, persistent=False)
        self.parts = nn.ModuleList(_part(entry, data) for entry in self.entries)
        self.is_density = all(part.is_density for part in self._decoders)
        spreading = [part.dequantize for part in self._decoders if not part.support.is_discrete]
        self.dequantize = bool(spreading) and all(spreading)
        self.examples_wanted = max(part.examples_wanted for part in self._decoders)
        self._supports = [_of_values(part.support) for part in self._decoders]
        self.support = constraints.independent(_common(self._supports), 1)
        self._shapes = [part.parameter_shape for part in self._decoders]
        self._sizes = [torch.Size(shape).numel() for shape in self._shapes]
        self.parameter_shape = (sum(self._sizes),)

    @property
    def _decoders(self) -> list[Decoder]:
        return [part for part in self.parts if isinstance(part, Decoder)]

    @property
    def by_column(self) -> tuple[str, ...]:
        """The likelihood of each column, in words."""
        texts = [entry.text for entry in self.entries for _ in range(entry.count)]
        return tuple(text for _, text in sorted(zip(self._places, texts, strict=True)))

    @property
    def cell(self) -> float | None:
        """The geometric mean over the columns: bits per dimension then count the cell of each."""
        cells = {part.cell for part in self._decoders}
        if len(cells) == 1:
            return cells.pop()
        logs = [
            entry.count * math.log(part.cell)
            for entry, part in zip(self.entries, self._decoders, strict=True)
            if part.cell is not None
        ]
        return None if len(logs) < len(self.entries) else math.exp(sum(logs) / self.data.size)

    @property
    def observed(self) -> DataInfo:
        seen = [part.observed for part in self._decoders]
        if len({replace(info, shape=(1,)) for info in seen}) == 1:
            return replace(seen[0], shape=self.data.shape)
        low, high = min(info.low for info in seen), max(info.high for info in seen)
        return replace(self.data, low=low, high=high, levels=None, counts=False)

    def _split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The columns of each entry."""
        x = x if self.order is None else x[..., self.order]
        return x.split([entry.count for entry in self.entries], -1)

    def prepare(self, examples: Tensor) -> None:
        for part, piece in zip(self._decoders, self._split(self.data.values(examples)), strict=True):
            if part.examples_wanted:
                part.prepare(piece[: part.examples_wanted])

    def dequantized(self, x: Tensor) -> Tensor:
        pairs = zip(self._decoders, self._split(x), strict=True)
        # A probability has no cells to spread its values over.
        spread = [p.observe(piece) if p.support.is_discrete else p.dequantized(piece) for p, piece in pairs]
        return _in_place(torch.cat(spread, -1), self.order)

    def observe(self, x: Tensor) -> Tensor:
        pieces = self._split(x)
        seen = [part.observe(piece) for part, piece in zip(self._decoders, pieces, strict=True)]
        # Where values are missing, others stand in for them, which no column need be able to hold. A program that is written
        # to a file cannot refuse: the density is 0 there.
        exported = torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()
        if not (self.data.missing or x.is_meta or exported):
            inside = [support.check(piece) for support, piece in zip(self._supports, seen, strict=True)]
            if not torch.cat(inside, -1).all():
                self._refuse(pieces, inside)
        return _in_place(torch.cat(seen, -1), self.order)

    def _refuse(self, pieces: Sequence[Tensor], inside: Sequence[Tensor]) -> None:
        first = 0
        for entry, support, piece, right in zip(self.entries, self._supports, pieces, inside, strict=True):
            if not right.all():
                column = int((~right).reshape(-1, entry.count).any(0).int().argmax())
                value = float(
                    piece.reshape(-1, entry.count)[:, column][~right.reshape(-1, entry.count)[:, column]][0]
                )
                place = self._places[first + column]
                name = repr(self.data.modelled[place].name) if self.data.columns else str(place)
                raise DataError(
                    f"column {name} has the value {value:g}, and {entry.text!r} has its probability on {support}",
                    hint="columns count from 0; name another likelihood for it with -s decoder.columns=…",
                )
            first += entry.count

    def forward(self, parameters: Tensor) -> Independent:
        made = []
        for entry, part, shape, piece in zip(
            self.entries, self._decoders, self._shapes, parameters.split(self._sizes, -1), strict=True
        ):
            likelihood = part(piece.unflatten(-1, shape))
            if not isinstance(likelihood, Independent) or likelihood.base_dist.event_shape:
                raise UsageError(
                    f"the columns of {entry.text!r} depend on each other",
                    hint="name decoders of independent values: genmod list decoder",
                )
            made.append(likelihood)
        if len(made) == 1:
            return made[0]
        columns = Columns([each.base_dist for each in made], self._supports, self.order)
        return Independent(columns, 1, validate_args=False)


def _of_values(support: Constraint) -> Constraint:
    """The support of each value by itself."""
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support

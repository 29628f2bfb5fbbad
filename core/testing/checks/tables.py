"""Laws for likelihoods of tables: each column is treated as it would be alone."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.distributions import Independent

from genmod.data.dataset import DataInfo
from genmod.errors import UsageError
from genmod.testing.case import BATCH, Case, NotApplicable
from genmod.testing.check import check_for, expect, expect_close
from genmod.testing.inputs import examples, tiny_infos

__all__: list[str] = []

_COLUMNS = 3


@check_for(
    "decoder",
    remedy="compute each value's density from its own parameters and from what all values share, never from their number",
)
@torch.no_grad()
def check_columns(case: Case) -> None:
    """Each column of a table is observed and scored as it would be alone."""
    tried = False
    for info in tiny_infos(_COLUMNS):
        if len(info.shape) == 1:
            tried = _tried(case, info) or tried
    if not tried:
        raise NotApplicable(
            "it refuses tables, or their columns depend on each other or share an exposure by declaration"
        )


def _tried(case: Case, info: DataInfo) -> bool:
    """Whether the law was checked for data of this range."""
    try:
        table, alone = (case.build(each).double().eval() for each in (info, replace(info, shape=(1,))))
    except UsageError:
        return False
    if table.exposure:
        return False
    parameters = torch.randn(BATCH, *table.parameter_shape, dtype=torch.float64)
    likelihood = table(parameters)
    if not isinstance(likelihood, Independent) or likelihood.base_dist.event_shape:
        return False
    where = f"data of {_COLUMNS} columns in [{info.low:g}, {info.high:g}]"
    expect(
        (table.cell, table.dequantize) == (alone.cell, alone.dequantize),
        f"{where}: cells of {table.cell}, dequantized {table.dequantize}; of one column {alone.cell}, {alone.dequantize}",
    )
    stored = examples(info, BATCH).double()
    x = table.observe(stored)
    if torch.equal(x, table.observe(stored)):
        apart = torch.cat([alone.observe(column) for column in stored.split(1, -1)], -1)
        expect_close(x, apart, f"{where}: observed as a table and column by column")
    sizes = zip(table.parameter_shape, alone.parameter_shape, strict=True)
    axis = next(i for i, (a, b) in enumerate(sizes, 1) if a != b)
    given = likelihood.base_dist.log_prob(x)
    scores = [
        torch.cat(
            [alone(own).base_dist.log_prob(column) for own, column in zip(each, x.split(1, -1), strict=True)],
            -1,
        )
        for each in _by_column(parameters, axis)
    ]
    nearest = min(scores, key=lambda found: float((found - given).abs().max()))
    expect_close(given, nearest, f"{where}: log-densities in the table and column by column")
    return True


def _by_column(parameters: Tensor, axis: int) -> tuple[tuple[Tensor, ...], ...]:
    """Parameters of each column, where those of a column are side by side, or those of all columns of one meaning."""
    return (
        parameters.split(parameters.shape[axis] // _COLUMNS, axis),
        tuple(parameters.unflatten(axis, (-1, _COLUMNS)).unbind(axis + 1)),
    )

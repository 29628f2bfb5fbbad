"""What a model makes of a user's data: codes, scores, and missing values filled in."""

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genmod.data.cells import is_frame
from genmod.data.dataset import Split
from genmod.data.frames_filled import filled_frame, numbers_frame
from genmod.data.info import DataInfo
from genmod.data.rows_out import column_names
from genmod.data.sources import as_examples
from genmod.data.suited import suited
from genmod.data.table import FrameDataset
from genmod.interfaces.given import WholeModel
from genmod.model.encode import code_blocks
from genmod.model.impute import impute_blocks, with_gaps
from genmod.model.score import score_blocks

__all__ = ["OnData"]

_Array = NDArray[Any]


class OnData(nn.Module):
    """A model that takes data as they are: an array or tensor ``(N, …)``, a DataFrame, a split, a torch dataset.

    Rows are worked on in pieces that fit into memory, in evaluation mode and without gradients; the mode of the model and
    the global random state are left as they were. Values are in the units that the model's data had before they were
    standardised. Conditions are the labels or factors of the data.
    """

    def encode_array(self, x: Any, *, seed: int = 0) -> _Array:
        """The codes of data, a row for each row, ``(N, *latent_shape)`` float, or ``(N, *shape)`` int64 of a codebook.

        ``E_q(z|x)[z]``, as ``encode(x).mean`` has it; a draw where the mean is unknown.

        Args:
            x: any data.
            seed: of draws.

        Raises:
            DataError: the data do not suit the model.

        Example:
            >>> import genmod
            >>> genmod.build(encoder="mlp", latent=2).encode_array(np.zeros((5, 8, 8), dtype=np.float32)).shape
            (5, 2)
        """
        model = self._self()
        blocks = code_blocks(model, _rows(model, x, model.data), seed=seed)
        return torch.cat([next(iter(block.values())) for block in blocks]).numpy()

    def transform(self, data: Any, *, seed: int = 0) -> Any:
        """The codes of data as a table with a row for each row, as :meth:`encode_array` has them.

        Returns:
            Of a DataFrame one of the same package with columns ``z0``, ``z1``, …; else an array ``(N, numbers of a code)``.

        Example:
            >>> import genmod
            >>> genmod.build(encoder="mlp", latent=2).transform(np.zeros((5, 8, 8), dtype=np.float32)).shape
            (5, 2)
        """
        codes = self.encode_array(data, seed=seed)
        flat = codes.reshape(len(codes), -1)
        if not is_frame(data):
            return flat
        names = column_names("code{}" if codes.dtype.kind == "i" else "z{}", codes.shape[1:])
        return numbers_frame(dict(zip(names, flat.T, strict=True)), data)

    def score_samples(self, data: Any, *, draws: int = 100, seed: int = 0) -> _Array:
        """A lower bound on ``log p(x)`` of each row, nats, ``(N,)`` float64, importance-weighted with ``draws`` draws.

        ``log 1/K Σ_k p(x|z_k) p(z_k) / q(z_k|x)``, which rises with K towards ``log p(x)``; of one draw it is the ELBO.
        Densities are per unit of the data before they were standardised.

        Args:
            data: any data.
            draws: of the latents for each row, K.
            seed: of the draws.

        Raises:
            UndefinedError: a part of the model has no density.
            DataError: the data do not suit the model.

        Example:
            >>> import genmod
            >>> genmod.build(encoder="mlp", latent=2).score_samples(np.zeros((5, 8, 8), dtype=np.float32), draws=3).shape
            (5,)
        """
        model = self._self()
        rows = _rows(model, data, model.data)
        blocks = score_blocks(model, rows, draws=draws, seed=seed)
        return torch.cat([block["log_likelihood"] for block in blocks]).numpy()

    def impute(self, data: Any, *, draws: int = 1, mean: bool = False, seed: int = 0) -> Any:
        """The data with missing values filled in by draws of ``p(x_missing|x_observed)``; all others are as they were.

        See :func:`genmod.model.impute.impute_blocks` for the method.

        Args:
            data: any data; NaN, or empty cells, are missing.
            draws: how many times each row is filled in.
            mean: fill in the mean in place of draws, and of categories the most frequent.
            seed: of the draws.

        Returns:
            Of a DataFrame one of the same package, or a list of several draws; else an array of the same shape, or
            ``(K, N, …)`` of several draws.

        Raises:
            UndefinedError: the model has no distribution of missing values; says why.
            DataError: the data do not suit the model.

        Example:
            >>> import genmod
            >>> x = np.zeros((5, 8, 8), dtype=np.float32)
            >>> x[:, :4] = np.nan
            >>> bool(np.isnan(genmod.build(encoder="mlp", latent=2).impute(x)).any())
            False
        """
        model, count = self._self(), 1 if mean else draws
        rows = _rows(model, data, with_gaps(model.data))
        blocks = impute_blocks(model, rows, draws=draws, mean=mean, seed=seed)
        filled = torch.cat([block["x"] for block in blocks])
        each = [filled] if count == 1 else list(filled.unbind(1))
        if is_frame(data):
            frames = [filled_frame(model.data, data, x) for x in each]
            return frames if count > 1 else frames[0]
        arrays = [_over(data, model.data.original(x).numpy()) for x in each]
        return np.stack(arrays) if count > 1 else arrays[0]

    def _self(self) -> WholeModel:
        return cast(WholeModel, self)


def _over(data: Any, filled: _Array) -> _Array:
    """The values of an array or tensor where it has some, else those that it was filled in with."""
    if not isinstance(data, np.ndarray | torch.Tensor):
        return filled
    own = data.detach().cpu().numpy() if isinstance(data, torch.Tensor) else data
    return np.where(np.isnan(own), filled.reshape(own.shape), own).astype(own.dtype)


def _rows(model: WholeModel, data: Any, info: DataInfo) -> Split:
    """All rows of any data in their order, in the terms of a model."""
    if is_frame(data):
        frame = FrameDataset(data)
        frame.known = info
        return suited(cast(Split, frame.everything()), info, model.spec.condition)
    return suited(as_examples(data, info), info, model.spec.condition)

"""Draws that keep what their values lose: a logit of 40 is a number like any other, and its sigmoid is 1.

A density that is asked about that 1 answers for the last number below it, whose logit is 17, and a KL that is estimated
from it is off by any amount. So a draw takes its logit along, or its logarithm, and every density that is asked about the
draw is evaluated there: that of the posterior and that of the prior, which need not know each other.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

__all__ = [
    "Drawn",
    "beside",
    "changed",
    "drawn",
    "drawn_by_log",
    "drawn_by_logit",
    "drawn_on_simplex",
    "keeps_own",
    "kept_beside",
    "kept_of",
    "log_of",
    "logit_of",
    "own_of",
    "plain",
]


class Drawn(Tensor):
    """Values with what :func:`drawn` was given to keep of them.

    It goes along wherever values are only put elsewhere: views, indices, ``cat``, ``stack``, ``to``, … All that computes
    with the values gives an ordinary tensor, and values that were written to since have nothing left of it.
    """

    kept: Mapping[Any, Tensor]
    partly: bool
    written: int

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            made = func(*args, **kwargs)
            if func in _MOVES and args and made is not args[0]:
                z = args[0]
                moved = {
                    key: kept if isinstance(key, _Beside) else func(kept, *args[1:], **kwargs)
                    for key, kept in _fresh(z).items()
                    if isinstance(key, str)
                    or (_stays if isinstance(key, _Beside) else _is_whole)(func, args[1:])
                }
                return _attach(made, moved, z) if isinstance(made, Tensor) else _each(made, moved, z)
            if func in _JOINS and args:
                return _joined(made, func, args, kwargs)
        return made

    def __iter__(self) -> Any:
        return iter(self.unbind(0))

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return repr(plain(self))

    def __deepcopy__(self, memo: Any) -> Any:
        return deepcopy(plain(self), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return plain(self).__reduce_ex__(protocol)


def drawn(z: Tensor, kept: Mapping[Any, Tensor]) -> Tensor:
    """A draw that keeps what its values lose.

    Args:
        z: the draw, within its support and the range of its type, ``(*sample, *batch, *event)``.
        kept: tensors of the same shape, by what they are to everybody: ``"logit"`` of numbers between 0 and 1, ``"log"``
            of positive ones; or by the distribution that alone can read them, or by it and a name.

    Returns:
        ``z``, as a tensor that keeps them.

    Example:
        >>> u = torch.tensor([0.0, 40.0])
        >>> z = drawn(u.sigmoid(), {"logit": u})
        >>> z, logit_of(z[1])
        (tensor([0.5000, 1.0000]), tensor(40.))
    """
    return _attach(plain(z), kept, None)


def drawn_by_logit(logit: Tensor) -> Tensor:
    """Numbers between 0 and 1 by their logits, which they keep; never 0 or 1 itself, any shape.

    Return it from ``rsample``, and begin ``log_prob`` with :func:`logit_of`. The density must be finite at any finite logit,
    ±1000 too: ``log z`` is ``logsigmoid(logit)`` there and ``log(1 - z)`` is ``logsigmoid(-logit)``.

    Example:
        >>> logit_of(drawn_by_logit(torch.tensor([0.0, 40.0])))
        tensor([ 0., 40.])
    """
    limits = torch.finfo(logit.dtype)
    return drawn(logit.sigmoid().clamp(limits.tiny, 1 - limits.eps / 2), {"logit": logit})


def drawn_by_log(log: Tensor) -> Tensor:
    """Positive numbers by their logarithms, which they keep; never 0 or infinite, any shape.

    Return it from ``rsample``, and begin ``log_prob`` with :func:`log_of`. The density must be finite at any finite logarithm.

    Example:
        >>> log_of(drawn_by_log(torch.tensor([0.0, -200.0])))
        tensor([   0., -200.])
    """
    limits = torch.finfo(log.dtype)
    return drawn(log.exp().clamp(limits.tiny, limits.max), {"log": log})


def drawn_on_simplex(logits: Tensor) -> Tensor:
    """Points of a simplex, the softmax of their last dimension, which keep their logarithms, ``(*batch, K)``.

    Example:
        >>> z = drawn_on_simplex(torch.tensor([0.0, -200.0]))
        >>> z, log_of(z)
        (tensor([1.0000e+00, 1.1755e-38]), tensor([   0., -200.]))
    """
    point = logits.softmax(-1)
    # Elsewhere, a class that underflows would have no logarithm.
    point = point.clamp(min=torch.finfo(point.dtype).tiny)
    return drawn(point, {"log": logits.log_softmax(-1)})


def plain(z: Tensor) -> Tensor:
    """The values alone, an ordinary tensor.

    Example:
        >>> type(plain(drawn(torch.ones(2), {"log": torch.zeros(2)})))
        <class 'torch.Tensor'>
    """
    if not isinstance(z, Drawn):
        return z
    # torch.compile knows no way back from a subclass but this.
    with torch._C.DisableTorchFunctionSubclass():
        return z.view_as(z)


def changed(z: Tensor, change: Callable[[Tensor], Tensor], *, own: bool = False) -> Tensor:
    """The draw with its values, and all that it keeps for everybody, each changed alike: made leaves, given hooks.

    Args:
        z: a draw, or any values.
        change: any of these tensors → another of the same values.
        own: keep what the distribution that made it alone can read, as it is.
    """
    kept = {
        key: change(each) if isinstance(key, str) else each
        for key, each in _fresh(z).items()
        if own or isinstance(key, str)
    }
    return _attach(change(plain(z)), kept, z)


def kept_of(z: Tensor, name: str, otherwise: Callable[[Tensor], Tensor]) -> Tensor:
    """What a draw keeps under a name, else what its values say of it.

    Args:
        z: a draw, or any values.
        name: such as ``logit``.
        otherwise: computes it from the values, finite whatever they are.
    """
    kept = _fresh(z).get(name)
    values = plain(z)
    if kept is None:
        return otherwise(values)
    # Pieces of a product that keep nothing of that name have NaN there.
    return torch.where(kept.isnan(), otherwise(values), kept) if z.partly else kept  # type: ignore[attr-defined]


def own_of(z: Tensor, q: Distribution, name: str = "") -> Tensor | None:
    """What a draw keeps for the distribution that made it; None of anything else, or where its batch is not that of ``q``.

    Where that is several tensors, each is kept under ``(q, name)``.

    None too where gradients are wanted that do not flow through the draw: they are those of any fixed value.

    Example:
        >>> q = torch.distributions.Normal(torch.zeros(3), 1.0)
        >>> z = drawn(torch.zeros(2, 3, requires_grad=True), {q: torch.ones(2, 3)})
        >>> own_of(z[None], q), own_of(z[1:], q)
        (tensor([[[1., 1., 1.],
                 [1., 1., 1.]]]), None)
    """
    kept = _fresh(z).get((q, name) if name else q)
    if kept is None or (torch.is_grad_enabled() and not z.requires_grad):
        return None
    batch = z.shape[: z.dim() - len(q.event_shape)]
    return kept if batch[len(batch) - len(q.batch_shape) :] == q.batch_shape else None


class _Beside(tuple[Any]):
    """The key of what is no value of the draw, so that nothing is done to it where those are put elsewhere."""


def beside(q: Any) -> Any:
    """The key under which :func:`drawn` keeps, for a distribution, a tensor that has a row for each draw, ``(N, *any)``.

    It goes along as long as the draws stay as many and in their order; :func:`kept_beside` gives it back.
    """
    return _Beside((q,))


def kept_beside(z: Tensor, q: Distribution) -> Tensor | None:
    """What a draw ``(N, *event)`` keeps beside its values for a distribution; None as of :func:`own_of`.

    Example:
        >>> q = torch.distributions.Normal(torch.zeros(3), 1.0)
        >>> z = drawn(torch.zeros(2, 5, 3, requires_grad=True), {beside(q): torch.ones(10, 4)})
        >>> kept_beside(z.reshape(10, 3), q).shape, kept_beside(z[1], q)
        (torch.Size([10, 4]), None)
    """
    kept = _fresh(z).get(beside(q))
    unsuited = kept is None or len(kept) != len(z) or kept.dtype != z.dtype or kept.device != z.device
    return None if unsuited or (torch.is_grad_enabled() and not z.requires_grad) else kept


def keeps_own(z: Tensor) -> bool:
    """Whether a draw keeps something that the distribution that made it alone can read."""
    return any(not isinstance(key, str) for key in _fresh(z))


def logit_of(z: Tensor) -> Tensor:
    """``log z - log(1 - z)`` of numbers between 0 and 1, exact for draws that keep it, finite for all others.

    Example:
        >>> logit_of(torch.tensor([0.0, 0.5, 1.0]))
        tensor([-87.3365,   0.0000,  16.6355])
    """
    return kept_of(z, "logit", _logit)


def log_of(z: Tensor) -> Tensor:
    """``log z`` of numbers from 0 on, exact for draws that keep it, finite for all others.

    Example:
        >>> log_of(torch.tensor([0.0, 1.0]))
        tensor([-87.3365,   0.0000])
    """
    return kept_of(z, "log", _log)


def _logit(z: Tensor) -> Tensor:
    limits = torch.finfo(z.dtype)
    z = z.clamp(limits.tiny, 1 - limits.eps / 2)
    return z.log() - (-z).log1p()


def _log(z: Tensor) -> Tensor:
    return z.clamp(min=torch.finfo(z.dtype).tiny).log()


def _fresh(z: Any) -> Mapping[Any, Tensor]:
    """What a tensor keeps; nothing where it was written to since."""
    if not isinstance(z, Drawn) or z.written != _version(z):
        return {}
    return z.kept


def _version(z: Tensor) -> int:
    # A compiled program writes to no draw, and tensors of inference mode do not count.
    return 0 if torch.compiler.is_compiling() or z.is_inference() else z._version


def _attach(values: Tensor, kept: Mapping[Any, Tensor], source: Any, partly: bool = False) -> Tensor:
    if not kept:
        return values
    try:
        z = values.as_subclass(Drawn)
    except RuntimeError:
        # While a program is exported, tensors are of another class and have no values to lose.
        return values
    z.kept, z.partly, z.written = kept, partly or getattr(source, "partly", False), _version(z)
    return z


def _each(values: Any, kept: Mapping[Any, Any], source: Drawn) -> Any:
    """The pieces of a split, each with its pieces of what was kept."""
    pieces = zip(*kept.values(), strict=True) if kept else ()
    parts = [dict(zip(kept, each, strict=True)) for each in pieces] or [{}] * len(values)
    return tuple(_attach(value, part, source) for value, part in zip(values, parts, strict=True))


def _joined(values: Tensor, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Pieces put together: what some of them lack is NaN, and is computed from their values when it is asked for."""
    pieces = [_fresh(z) for z in args[0]]
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    # Only side by side in one event can pieces be draws of several distributions.
    beside = func is torch.cat and dim in (-1, values.dim() - 1)
    kept, partly = {}, any(getattr(z, "partly", False) for z in args[0])
    for key in dict.fromkeys(key for each in pieces for key in each if not isinstance(key, _Beside)):
        lacking = [key not in each for each in pieces]
        if not isinstance(key, str) and ((any(lacking) and not beside) or (func is torch.stack and dim != 0)):
            continue
        filled = [
            torch.full_like(z, torch.nan) if lacks else each[key]
            for z, each, lacks in zip(args[0], pieces, lacking, strict=True)
        ]
        kept[key] = func(filled, *args[1:], **kwargs)
        partly = partly or any(lacking)
    return _attach(values, kept, None, partly)


def _is_whole(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it leaves all values of each example in their order, so that they can still be told from others."""
    if func is Tensor.__getitem__:
        index = args[0] if isinstance(args[0], tuple) else (args[0],)
        return all(each is None or each is Ellipsis for each in index)
    return func in _WHOLE


def _both(*names: str) -> frozenset[Any]:
    """Functions of torch and methods of tensors."""
    return frozenset(
        getattr(place, name) for name in names for place in (torch, Tensor) if hasattr(place, name)
    )


def _stays(func: Any, args: tuple[Any, ...]) -> bool:
    """Whether it leaves all draws in one tensor, as many and in their order."""
    return func not in _PIECES and _is_whole(func, args)


_JOINS = _both("cat", "stack", "concat", "concatenate")
_PIECES = _both("split", "split_with_sizes")
_WHOLE = _both(
    "contiguous", "cpu", "cuda", "double", "flatten", "float", "reshape", "split", "split_with_sizes", "squeeze",
    "to", "type_as", "unflatten", "unsqueeze", "view", "view_as",
)  # fmt: skip
_MOVES = _WHOLE | _both(
    "__getitem__", "broadcast_to", "chunk", "clone", "detach", "expand", "expand_as", "flip", "gather", "index_select",
    "masked_select", "moveaxis", "movedim", "narrow", "permute", "repeat", "repeat_interleave", "reshape_as", "roll",
    "select", "swapaxes", "swapdims", "t", "take_along_dim", "tile", "transpose", "unbind",
)  # fmt: skip
_MOVES |= {Tensor.T.__get__, Tensor.mT.__get__}  # type: ignore[attr-defined]

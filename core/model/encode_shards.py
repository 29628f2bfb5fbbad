"""Codes of a whole dataset in a folder of shards: written in any number of sittings and processes, always the same bytes."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from genmod.data.code_folder import CODES, CodeFolder, CodesOf, Shard, read_code_folder
from genmod.data.dataset import Batch, DataInfo, Split
from genmod.distributions.codes import Codebook
from genmod.errors import DataError, FileError, UsageError, quoted
from genmod.interfaces.given import WholeModel
from genmod.model.encode import More, check_more, encoded_rows
from genmod.model.evaluating import evaluating
from genmod.model.moments import Moments
from genmod.system.files import (
    alone_in,
    own_path,
    parse_json,
    read_text,
    remove_leftovers,
    remove_own,
    write_json,
)
from genmod.system.random import seeded
from genmod.system.tensors import fingerprint, read_tensors, write_tensors

__all__ = ["ToEncode", "begin", "encode_shards", "finish", "planned", "write_shards"]

_EXAMPLES, _BYTES = 4096, 2**28
"""Most of a shard, unless its size is given."""

ToEncode = Mapping[str, tuple[Split, Tensor]]
"""Split → its examples in the order of their file, and the row of each there; one split without a name is ``all``."""

Tell = Callable[[int, int], None]


def encode_shards(
    model: WholeModel,
    folder: Path,
    splits: ToEncode,
    *,
    more: Sequence[More] = (),
    draws: int = 1,
    seed: int = 0,
    shard: int | None = None,
    source: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    on_step: Tell = lambda done, of: None,
) -> CodeFolder:
    """Write the codes of examples into a folder: ``SPLIT/000000.safetensors``, …, and ``codes.json``.

    A shard has the codes ``x (n, *shape)``, the ``index (n,)`` of each example in its file, and, where they are there,
    ``scales``, ``draws``, ``labels``, ``factors`` and ``names`` (UTF-8, padded with zeros). Codes are those of
    :func:`genmod.model.encode.code_blocks`. A call that was killed goes on with the shards that are not there or not whole;
    the bytes are the same. No more than one shard is in memory.

    Args:
        model: any model.
        folder: new, empty, or of the same call before.
        splits: what to encode.
        more: ``scales`` and ``draws`` beside the codes.
        draws: of ``q(z|x)``, for each example.
        seed: of the draws.
        shard: examples in a file; by default 4,096, or fewer that take 256 MiB.
        source: what these are, in words, for ``codes.json``.
        overwrite: remove codes of another call.
        on_step: called with the number of examples that are done, and of all.

    Raises:
        UsageError: there are no examples.
        DataError: codes are not finite, or the examples do not suit the model.
        FileError: the folder has something else in it, or another process is at work there.
    """
    plan = planned(model, splits, more=more, draws=draws, seed=seed, shard=shard, source=source)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        missing = begin(folder, plan, model, splits, overwrite=overwrite)
        write_shards(folder, plan, model, splits, missing, on_step=on_step)
        return finish(folder, plan, model, splits)


def planned(
    model: WholeModel,
    splits: ToEncode,
    *,
    more: Sequence[More] = (),
    draws: int = 1,
    seed: int = 0,
    shard: int | None = None,
    source: Mapping[str, Any] | None = None,
) -> CodeFolder:
    """What is to be written, as :func:`encode_shards` is given it."""
    check_more(more)
    if not all(len(split) for split, _ in splits.values()):
        raise UsageError("there are no examples to encode", hint="choose data that have some")
    first = model.suited(next(iter(splits.values()))[0])
    _, block = next(encoded_rows(model, first, range(1), more=more, draws=draws))
    kind = cast("CodesOf", next(iter(block)))
    shape, info = tuple(block[kind].shape[1:]), first.info or model.data
    if kind == "draws" and draws > 1:
        raise UsageError(
            f"posterior {model.spec.components['posterior'].name!r} has no known mean, so that the codes are its draws: one of "
            "each example",
            hint="leave --draws out",
        )
    values: dict[str, Any] = {"levels": _codebook(model).classes} if kind == "codes" else _REALS
    # Codes in rows have one channel, as pictures do.
    example = (1, *shape) if kind == "codes" and len(shape) == 2 else shape
    plan = CodeFolder(
        kind,
        DataInfo(example, **values, classes=info.classes, factors=info.factors, coded_by=fingerprint(model)),  # type: ignore[arg-type]
        {name: len(split) for name, (split, _) in splits.items()},
        shard=1,
        beside=tuple(name for name in block if name != kind),
        draws=draws,
        normal_posterior=kind == "means" and _is_normal(model, first),
        code_shape=shape if kind == "codes" else (),
        source={**(source or {}), "seed": seed},
    )
    size = sum(t.numel() * t.element_size() for t in block.values())
    return replace(plan, shard=shard or max(1, min(_EXAMPLES, _BYTES // size)))


_REALS = {"low": -math.inf, "high": math.inf}


def begin(
    folder: Path, plan: CodeFolder, model: WholeModel, splits: ToEncode, *, overwrite: bool = False
) -> list[Shard]:
    """Write the description of the codes, and find the shards that are not there or not whole.

    Args:
        folder: where no other process is at work.
        plan: from :func:`planned`, as are the following.
        model: the model.
        splits: what to encode.
        overwrite: remove codes of another plan.

    Raises:
        FileError: the folder has codes of another plan, or files of something else.
    """
    path, names = own_path(folder, CODES), ("train", "validation", "test")
    for place in (folder, *(own_path(folder, name) for name in names)):
        remove_leftovers(place, r"\d{6}\.safetensors", r"codes\.json")
    if path.exists():
        if overwrite:
            _check_own(path)
        there = read_code_folder(folder) if not overwrite else None
        if there is None or _undone(there) != plan:
            if not overwrite:
                raise FileError(
                    f"{folder} has codes of other data, of other weights, or with other options",
                    hint=f"choose another folder, or replace them: genmod encode … -o {quoted(folder)} --overwrite",
                )
            _remove_codes(folder)
    elif any(each.name[0] != "." for each in folder.iterdir()):
        raise FileError(
            f"{folder} has files, but none that says whose codes they are",
            hint="name a folder that is empty or new",
        )
    write_json(path, plan.to_json())
    layouts = {name: _Layout(model, plan, name, *each) for name, each in splits.items()}
    return [shard for shard in plan.shards() if layouts[shard.split].read(folder, shard) is None]


def write_shards(
    folder: Path,
    plan: CodeFolder,
    model: WholeModel,
    splits: ToEncode,
    shards: Sequence[Shard],
    *,
    on_step: Tell = lambda done, of: None,
) -> None:
    """Write some shards; other processes may write others."""
    layouts = {name: _Layout(model, plan, name, *each) for name, each in splits.items()}
    done, total = 0, sum(len(shard.rows) for shard in shards)
    for shard in shards:
        path, parts = shard.path(folder), list[dict[str, Tensor]]()
        for part in layouts[shard.split].made(shard.rows):
            parts.append(part)
            done += len(part["x"])
            on_step(done, total)
        path.parent.mkdir(exist_ok=True)
        write_tensors(path, {name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def finish(folder: Path, plan: CodeFolder, model: WholeModel, splits: ToEncode) -> CodeFolder:
    """Read all shards, measure the codes of training, and write what is known of them into ``codes.json``.

    Raises:
        FileError: a shard is missing or damaged.
    """
    layouts = {name: _Layout(model, plan, name, *each) for name, each in splits.items()}
    measured = "train" if "train" in plan.splits else next(iter(plan.splits))
    codes, drawn, noise = (Moments(plan.data.shape) for _ in range(3))
    for shard in plan.shards():
        found = layouts[shard.split].read(folder, shard)
        if found is None:
            raise FileError(f"{shard.path(folder)} is missing or damaged", hint="type the same command again")
        if shard.split == measured and plan.kind != "codes":
            codes.add(found["x"])
            if "draws" in found:
                drawn.add(found["draws"].reshape(-1, *plan.data.shape))
            if "scales" in found:
                noise.add(found["scales"])
    if plan.kind != "codes":
        plan = replace(plan, data=replace(plan.data, shift=tuple(codes.mean.tolist()), scale=codes.scale()))
        by_noise = (codes.variance + noise.square).sqrt() if plan.normal_posterior and noise.count else None
        scales = drawn.scale() if drawn.count else () if by_noise is None else tuple(by_noise.tolist())
        plan = replace(plan, scale_of_draws=scales if all(scales) else ())
    plan = replace(plan, complete=True)
    write_json(own_path(folder, CODES), plan.to_json())
    return plan


def _undone(there: CodeFolder) -> CodeFolder:
    """What was planned before statistics were known."""
    data = replace(there.data, shift=(), scale=())
    return replace(there, data=data, scale_of_draws=(), complete=False)


def _check_own(path: Path) -> None:
    """Refuse a description that another program wrote: what stands beside it is not genmod's either."""
    try:
        plain = parse_json(read_text(path, "description of codes", links=False), str(path))
    except FileError:
        plain = None
    if not isinstance(plain, dict) or type(plain.get("format")) is not int or "code_shape" not in plain:
        raise FileError(
            f"{path} is damaged, or genmod did not write it; the folder is left alone",
            hint="choose another folder, or remove what is in this one",
        )


def _remove_codes(folder: Path) -> None:
    """Remove what :func:`encode_shards` writes, and nothing else."""
    for place in (folder, *(own_path(folder, name) for name in ("train", "validation", "test"))):
        for path in place.glob("[0-9]" * 6 + ".safetensors") if place.is_dir() else ():
            remove_own(path)
        if place != folder and place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    remove_own(own_path(folder, CODES))


class _Layout:
    """What is in the shards of a split."""

    def __init__(self, model: WholeModel, plan: CodeFolder, name: str, split: Split, index: Tensor) -> None:
        self.model, self.plan, self.name = model, plan, name
        self.split, self.index = model.suited(split), index
        self.width = max((len(_bytes(each)) for each in split.names), default=0) if split.names else 0
        self._expected: dict[str, Tensor] | None = None

    def made(self, rows: range) -> Iterator[dict[str, Tensor]]:
        """The tensors of some examples, block by block."""
        plan, start = self.plan, rows.start
        more: Any = plan.beside
        for batch, block in encoded_rows(
            self.model,
            self.split,
            rows,
            more=more,
            draws=plan.draws,
            seed=plan.source["seed"],
            stream=f"encode/{self.name}",
        ):
            codes = block.pop(plan.kind)
            n = len(codes)
            if not all(bool(t.isfinite().all()) for t in (codes, *block.values())):
                raise DataError(
                    f"codes of examples {start} to {start + n - 1} of split {self.name} are not finite",
                    hint="look for the reason in training: genmod train MODEL --replay",
                )
            yield {
                "x": _stored(codes.reshape(n, *plan.data.shape), plan),
                **{name: _stored(each, plan) for name, each in block.items()},
                **self._known(batch, start),
            }
            start += n

    def _known(self, batch: Batch, start: int) -> dict[str, Tensor]:
        """What is known of examples beside their codes."""
        n, found = len(batch), {}
        found["index"] = self.index[start : start + n]
        for name, each in (("labels", batch.labels), ("factors", batch.factors)):
            if each is not None:
                found[name] = each.long()
        if self.width:
            texts = np.zeros((n, self.width), np.uint8)
            for row, text in zip(texts, (self.split.names or ())[start : start + n], strict=True):
                row[: len(_bytes(text))] = np.frombuffer(_bytes(text), np.uint8)
            found["names"] = torch.from_numpy(texts)
        return found

    def read(self, folder: Path, shard: Shard) -> dict[str, Tensor] | None:
        """The tensors of a shard; None where it is not there or not whole."""
        path = shard.path(folder)
        if not path.exists():
            return None
        if self._expected is None:
            self._expected = next(self.made(range(1)))
        n = len(shard.rows)
        expected = {
            name: torch.empty(n, *t.shape[1:], dtype=t.dtype, device="meta")
            for name, t in self._expected.items()
        }
        try:
            return read_tensors(path, expected)
        except FileError:
            return None


def _bytes(text: str) -> bytes:
    # Names of files may have bytes that are not UTF-8.
    return text.encode(errors="surrogateescape")


def _stored(values: Tensor, plan: CodeFolder) -> Tensor:
    """In the type in which codes are kept."""
    if values.is_floating_point():
        return values if values.dtype == torch.float64 else values.float()
    levels = plan.data.levels or 0
    return values.to(torch.uint8 if levels <= 2**8 else torch.int16 if levels <= 2**15 else torch.int64)


def _codebook(model: WholeModel) -> Codebook:
    posterior: Any = model.posterior
    return posterior  # type: ignore[no-any-return]


def _is_normal(model: WholeModel, split: Split) -> bool:
    """Whether a draw from ``q(z|x)`` is its mean and a standard normal times its scale."""
    batch = split.__getitems__([0])
    with evaluating(model), seeded(0):
        q: Distribution = model.given(model.context(batch)).encode(batch.x.to(model.device))
    while isinstance(q, Independent):
        q = q.base_dist
    return isinstance(q, Normal)

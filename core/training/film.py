"""A film of a run: the same latents, the same examples and their codes, again and again while a model learns."""

import math
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Batch, Split
from genmod.errors import UndefinedError
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.model.pieces import examples_at_once
from genmod.system.files import write_bytes
from genmod.system.parallel import local

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Film"]

FRAMES = 24
"""Default number of pictures of a run."""

_SAMPLES, _COLUMNS, _EXAMPLES = 24, 8, 8
_MILLISECONDS, _LAST = 300, 2500
_MOST_PIXELS = 2**24
_LARGEST = 900
"""Pixels of the longer side of a frame in the animation, whose two dozen frames are in memory together."""
_CODES, _NUMBERS = 500, 512
"""Codes on the map, and the most numbers that each may have to be kept for it."""


class Film:
    """Draws frames while a model is trained, and joins them at the end.

    ``DIR/samples/film/epoch-00012.png`` shows, after twelve epochs, fixed validation examples with their
    reconstructions above samples from fixed latents; beside it, ``epoch-00012.npy`` has the codes of some validation
    examples. ``DIR/samples/film.gif`` shows all frames, each beside a map of these codes. A frame is a function of
    weights, seed and epoch, so a resumed run gives the same frames. The random state of the training is not used,
    and a failure to draw does not stop the training.

    Args:
        directory: of the model; None for no film.
        model: of one without latents, frames show samples alone.
        split: where the examples come from.
        epochs: of the whole run.
        every: epochs between frames; 0 for none, None for two dozen frames in the run, closer together at its beginning,
            where most is learnt.
        seed: of the latents and the choice of examples.
        resumed: whether existing frames belong to this run.
        warn: called once with the reason when drawing fails.

    Example:
        >>> import genmod, tempfile
        >>> from genmod.model.assembly import open_dataset
        >>> model = genmod.build(encoder="mlp", latent=2)
        >>> split = open_dataset(model.spec).split("validation")
        >>> with tempfile.TemporaryDirectory() as place:
        ...     film = Film(Path(place), model, split, 10, every=5)
        ...     film.begin()
        ...     for epoch in range(1, 11):
        ...         film.after(epoch)
        ...     film.end()
        ...     [path.name for path in sorted(Path(place).glob("samples/film/*.png"))]
        ['epoch-00000.png', 'epoch-00005.png', 'epoch-00010.png']
    """

    def __init__(
        self,
        directory: Path | None,
        model: GenerativeModel,
        split: Split,
        epochs: int,
        *,
        every: int | None = None,
        seed: int = 0,
        resumed: bool = False,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.model, self.split, self.epochs, self.seed, self._warn = model, split, epochs, seed, warn
        self.due: Collection[int] = (
            _spread_out(epochs) if every is None else range(0, epochs + 1, every) if every else ()
        )
        self.folder = None
        if directory is not None and self.due:
            self.folder = ModelDirectory(directory).pictures("film")
        self._resumed = resumed

    def after(self, epoch: int, *, last: bool = False) -> None:
        """Draw the frame of an epoch, if it is due; the last epoch of a run always has one."""
        if self.folder is not None and (last or epoch in self.due):
            self._try(lambda folder: self._draw(folder, epoch))

    def begin(self) -> None:
        """Remove the frames of an earlier run, and draw the one before the first step."""
        if self._resumed or self.folder is None:
            return
        for path in [*_frames(self.folder), *_frames(self.folder, ".npy")]:
            with suppress(OSError):
                path.unlink()
        self.after(0)

    def end(self) -> None:
        """Join all frames into an animation."""
        self._try(self._join)

    def _try(self, work: Callable[[Path], None]) -> None:
        if self.folder is None:
            return
        try:
            with local():
                work(self.folder)
        except Exception as error:
            self.folder = None
            self._warn(f"no more pictures of the progress: {error}")

    def _draw(self, folder: Path, epoch: int) -> None:
        import io

        from genmod.figures.grids import grid
        from genmod.figures.views import choose_examples, reconstruction_grid, sample_grid

        parts = []
        if isinstance(self.model, LatentVariableModel):
            batch = choose_examples(self.split, _EXAMPLES, seed=self.seed)
            context = self.model.context(batch)
            shown = reconstruction_grid(self.model, batch.x, context=context, seed=self.seed)
            parts.append(
                grid(
                    shown.images[[0, -1]],
                    data=self.model.data,
                    columns=_COLUMNS,
                    title=f"Epoch {epoch}: examples and reconstructions",
                )
            )
        with suppress(UndefinedError):
            source: Source | None = "prior" if self.model.has_latents else None
            made = sample_grid(self.model, _SAMPLES, seed=self.seed, source=source)
            when = "" if self.model.has_latents else f"Epoch {epoch}: "
            title = f"{when}{'s' if when else 'S'}amples, seed {self.seed}"
            parts.append(grid(made.images, data=self.model.data, columns=_COLUMNS, title=title))
        stream = io.BytesIO()
        _stacked(parts).save(stream, "PNG")
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / f"epoch-{epoch:05d}.png", stream.getvalue())
        self._keep_codes(folder / f"epoch-{epoch:05d}.npy")

    def _on_the_map(self) -> Batch | None:
        """The examples whose codes are followed; None where codes are no places."""
        model = self.model
        if not isinstance(model, LatentVariableModel) or math.prod(model.latent_shape) > _NUMBERS:
            return None
        if model.space.kind in ("choice", "bits") or model.space.codebook is not None:
            return None
        from genmod.figures.views import choose_examples

        return choose_examples(self.split, min(_CODES, examples_at_once(model)), seed=self.seed)

    def _keep_codes(self, path: Path) -> None:
        import io

        import numpy as np

        from genmod.figures.views import codes

        if (batch := self._on_the_map()) is None or not isinstance(self.model, LatentVariableModel):
            return
        z = codes(self.model, batch.x, context=self.model.context(batch), seed=self.seed)
        stream = io.BytesIO()
        np.save(stream, z.flatten(1).float().cpu().numpy())
        write_bytes(path, stream.getvalue())

    def _join(self, folder: Path) -> None:
        from PIL import Image

        from genmod.figures.picture import moving

        frames, paths = [], _frames(folder)
        for path in paths:
            # Of a directory from elsewhere, these may be other pictures; for some kinds Pillow starts other programs.
            with Image.open(path, formats=("PNG",)) as image:
                if image.width * image.height > _MOST_PIXELS:
                    raise ValueError(f"{path} is larger than any frame")
                frame = image.convert("RGB")
            frame.thumbnail((_LARGEST, _LARGEST))
            frames.append(frame)
        if len(frames) < 2:
            return
        maps = self._maps(paths, frames[0].height)
        frames = (
            [_beside(chart, frame) for chart, frame in zip(maps, frames, strict=True)] if maps else frames
        )
        write_bytes(folder.with_suffix(".gif"), moving(frames, ".gif", _MILLISECONDS, last=_LAST))

    def _maps(self, paths: list[Path], height: int) -> "list[Image]":
        """Where the codes were at each frame; none if they are not known of all frames."""
        import numpy as np
        import torch

        from genmod.figures.unfolding import code_map, on_last_axes

        kept = [path.with_suffix(".npy") for path in paths]
        batch = self._on_the_map()
        if batch is None or not all(path.is_file() for path in kept):
            return []
        known = [torch.from_numpy(np.load(path, allow_pickle=False)) for path in kept]
        if len({each.shape for each in known}) > 1 or not known[-1].isfinite().all():
            return []
        places, how = on_last_axes(known)
        names = self.model.data.classes if batch.labels is not None else ()
        return [
            code_map(
                each,
                batch.labels if names else None,
                names,
                height=height,
                title=f"Epoch {_epoch(path)}: codes of {len(each)} examples",
                note=how,
            )
            for path, each in zip(paths, places, strict=True)
        ]


def _frames(folder: Path, suffix: str = ".png") -> list[Path]:
    """The files of a film in the order of epochs, and none that somebody else has put there."""
    names = re.compile(rf"epoch-\d{{5,}}{re.escape(suffix)}")
    found = (path for path in folder.glob("epoch-*") if names.fullmatch(path.name))
    return sorted(found, key=_epoch)


def _epoch(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def _spread_out(epochs: int) -> set[int]:
    """Epoch 0, the last one, and others between them whose logarithms are evenly spread."""
    number = FRAMES - 2
    while True:
        found = {round(epochs ** (k / number)) for k in range(number + 1)} if epochs > 1 else {epochs}
        if len(found) >= min(FRAMES - 1, epochs):
            return {0, *found}
        number += 1


def _beside(left: "Image", right: "Image") -> "Image":
    """One picture of two."""
    from PIL import Image

    from genmod.figures.grids import PAPER

    whole = Image.new("RGB", (left.width + right.width, max(left.height, right.height)), PAPER)
    whole.paste(left, (0, 0))
    whole.paste(right, (left.width, 0))
    return whole


def _stacked(parts: "list[Image]") -> "Image":
    """One picture of several, stacked from top to bottom."""
    from PIL import Image

    from genmod.figures.grids import PAPER

    whole = Image.new("RGB", (max(p.width for p in parts), sum(p.height for p in parts)), PAPER)
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole

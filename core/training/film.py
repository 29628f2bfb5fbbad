"""A film of a run: pictures of the same latents and the same examples, drawn every few epochs."""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from genmod.bundle.directory import ModelDirectory
from genmod.data.dataset import Split
from genmod.errors import UndefinedError
from genmod.interfaces.model import GenerativeModel
from genmod.interfaces.sampler import Source
from genmod.model.latent_variable import LatentVariableModel
from genmod.system.files import write_bytes
from genmod.system.parallel import local

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Film"]

FRAMES = 12
"""Default number of pictures of a run."""

_SAMPLES, _COLUMNS, _EXAMPLES = 16, 8, 8
_MILLISECONDS = 400


class Film:
    """Draws frames while a model is trained, and joins them at the end.

    ``DIR/samples/film/epoch-00012.png`` shows, after twelve epochs, fixed validation examples with their
    reconstructions above samples from fixed latents; ``DIR/samples/film.gif`` shows all frames. A frame is a function
    of weights, seed and epoch, so a resumed run gives the same frames. The random state of the training is not used,
    and a failure to draw does not stop the training.

    Args:
        directory: of the model; None for no film.
        model: of one without latents, frames show samples alone.
        split: where the examples come from.
        epochs: of the whole run.
        every: epochs between frames; 0 for none, None for about a dozen frames in the run.
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
        ...     [path.name for path in sorted(Path(place).glob("samples/film/*"))]
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
        self.every = max(1, math.ceil(epochs / FRAMES)) if every is None else every
        self.folder = None
        if directory is not None and self.every:
            self.folder = ModelDirectory(directory).pictures("film")
        self._resumed = resumed

    def after(self, epoch: int, *, last: bool = False) -> None:
        """Draw the frame of an epoch, if it is due; the last epoch of a run always has one."""
        if self.folder is not None and (last or epoch % self.every == 0):
            self._try(lambda folder: self._draw(folder, epoch))

    def begin(self) -> None:
        """Remove the frames of an earlier run, and draw the one before the first step."""
        if self._resumed or self.folder is None:
            return
        for path in self.folder.glob("epoch-*.png"):
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

        from genmod.figures.grid import grid
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
                    title=f"Epoch {epoch}: examples, reconstructions",
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

    def _join(self, folder: Path) -> None:
        from PIL import Image

        from genmod.figures.picture import moving

        frames = []
        for path in sorted(folder.glob("epoch-*.png")):
            with Image.open(path) as image:
                frames.append(image.convert("RGB"))
        if len(frames) > 1:
            write_bytes(folder.with_suffix(".gif"), moving(frames, ".gif", _MILLISECONDS))


def _stacked(parts: "list[Image]") -> "Image":
    """One picture of several, stacked from top to bottom."""
    from PIL import Image

    from genmod.figures.grid import PAPER

    whole = Image.new("RGB", (max(p.width for p in parts), sum(p.height for p in parts)), PAPER)
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    return whole

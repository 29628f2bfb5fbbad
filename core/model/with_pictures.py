"""The figures of a model as methods of it."""

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["WithPictures"]


class WithPictures(nn.Module):
    """A model that shows what it makes, as matplotlib figures, which notebooks draw and ``.savefig("a.png")`` writes.

    The functions of the same names in :mod:`genmod.figures.showing` say what they take.
    """

    def show_samples(self, n: int = 64, **more: Any) -> "Figure":
        """New examples; of a conditional model a row for each class.

        Example:
            >>> import genmod
            >>> figure = genmod.build(encoder="mlp").show_samples(4, seed=1)
        """
        # The package hands on what lies on the floors above this one.
        import genmod

        return genmod.show_samples(self, n, **more)  # type: ignore[arg-type]

    def show_reconstructions(self, data: Any = None, n: int = 8, **more: Any) -> "Figure":
        """Examples above their reconstructions; by default of the test split of the model's own data."""
        import genmod

        return genmod.show_reconstructions(self, data, n, **more)  # type: ignore[arg-type]

    def show_interpolations(self, data: Any = None, n: int = 6, **more: Any) -> "Figure":
        """Decodings on the way from one example to another, which stand at the ends."""
        import genmod

        return genmod.show_interpolations(self, data, n, **more)  # type: ignore[arg-type]

    def show_traversals(self, data: Any = None, n: int = 8, **more: Any) -> "Figure":
        """Decodings along the most active dimensions of one code."""
        import genmod

        return genmod.show_traversals(self, data, n, **more)  # type: ignore[arg-type]

    def show_latents(self, data: Any = None, **more: Any) -> "Figure":
        """Where codes lie, what lies between them, and the gaps."""
        import genmod

        return genmod.show_latents(self, data, **more)  # type: ignore[arg-type]

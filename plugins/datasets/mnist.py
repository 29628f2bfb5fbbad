"""Handwritten digits."""

from pathlib import Path
from typing import final

from genmod.plugins.datasets._mnist_like import MnistLike

__all__ = ["MNIST"]


@final
class MNIST(MnistLike):
    """Handwritten digits, 28×28 grey pixels: 55,000 for training, 5,000 for validation, 10,000 for testing.

    "Gradient-Based Learning Applied to Document Recognition" (LeCun, Bottou, Bengio, Haffner, 1998).

    The four IDX files are looked for in ``MNIST/raw``, where torchvision keeps them, in ``mnist`` and in the
    data folder itself.

    Example:
        >>> MNIST(Path("data"), validation=10_000).info.shape
        (1, 28, 28)
    """

    source = "MNIST"
    classes = tuple("0123456789")
    files = (
        ("train-images-idx3-ubyte", (60_000, 28, 28), 0xE9F4D8B3),
        ("train-labels-idx1-ubyte", (60_000,), 0xE0CB4AD2),
        ("t10k-images-idx3-ubyte", (10_000, 28, 28), 0x91373BDF),
        ("t10k-labels-idx1-ubyte", (10_000,), 0x4AB9EFF9),
    )

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.root / "MNIST" / "raw", self.root / "mnist", self.root

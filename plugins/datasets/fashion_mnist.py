"""Small pictures of clothes."""

from pathlib import Path
from typing import final

from genmod.plugins.datasets._mnist_like import MnistLike

__all__ = ["FashionMNIST"]

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")


@final
class FashionMNIST(MnistLike):
    """Clothes, 28×28 grey pixels: 55,000 for training, 5,000 for validation, 10,000 for testing.

    "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms" (Xiao, Rasul,
    Vollgraf, 2017), arXiv 1708.07747.

    The four IDX files are looked for in ``FashionMNIST/raw``, where torchvision keeps them, in
    ``fashion-mnist``, in the data folder itself, and where Debian's ``dataset-fashion-mnist`` puts them.

    Example:
        >>> FashionMNIST(Path("data")).info.classes[:2]
        ('T-shirt/top', 'Trouser')
    """

    source = "FashionMNIST"
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    files = (
        ("train-images-idx3-ubyte", (60_000, 28, 28), 0xB4F29F28),
        ("train-labels-idx1-ubyte", (60_000,), 0x741A4657),
        ("t10k-images-idx3-ubyte", (10_000, 28, 28), 0x678FE0B1),
        ("t10k-labels-idx1-ubyte", (10_000,), 0x80142C1F),
    )

    @property
    def folders(self) -> tuple[Path, ...]:
        return self.root / "FashionMNIST" / "raw", self.root / "fashion-mnist", self.root, _DEBIAN

"""What is imported and touched when, in a fresh interpreter whose torchvision does not fit its torch."""

import subprocess
import sys
from importlib.metadata import version

import pytest

BROKEN = "raise RuntimeError('operator torchvision::nms does not exist')\n"

LOCAL = """
from genmod.plugins.datasets import cifar10
from genmod.plugins.datasets.digits import Digits
from genmod.plugins.datasets.mnist import MNIST
from genmod.plugins.datasets.npz import Npz
from genmod.plugins.datasets.sprites import Sprites
seen = []
def hook(event, arguments):
    if event in ("socket.connect", "subprocess.Popen", "os.system", "pickle.find_class", "urllib.Request"):
        seen.append(event)
sys.addaudithook(hook)
cifar10._FILE = 24 * 3073
sizes = {"train": 120, "t10k": 30}
MNIST.files = tuple((n, (sizes[n.split("-")[0]], *s[1:]), None) for n, s, _ in MNIST.files)

def read(data):
    for name in ("train", "validation", "test"):
        assert len(data.split(name).__getitems__([0, 1])) == 2

read(Digits(root))
read(Sprites(root, rotations=2, positions=4))
read(MNIST(root, validation=20))
read(cifar10.CIFAR10(root, validation=20))
read(Npz(root, path=Path("table.npz")))
print([name for name in ("torchvision", "sklearn", "scipy", "PIL", "rich", "requests") if name in sys.modules])
from genmod.plugins.datasets.image_folder import ImageFolder
read(ImageFolder(root, path=Path("pictures")))
print([name for name in ("torchvision", "sklearn", "scipy", "rich", "requests") if name in sys.modules])
print(seen)
"""

MISSING = """
from genmod.errors import DataError
from genmod.plugins.datasets.mnist import MNIST
try:
    MNIST(root).split("test")
except DataError as error:
    print(error)
"""


@pytest.fixture
def run(tmp_path):
    """A script in an interpreter whose torchvision cannot be imported; gives the lines that it prints."""
    broken = tmp_path / "broken"
    (broken / "torchvision").mkdir(parents=True)
    (broken / "torchvision" / "__init__.py").write_text(BROKEN)

    def function(script, root):
        start = f"import sys; sys.path.insert(0, {str(broken)!r})\n"
        start += f"from pathlib import Path; root = Path({str(root)!r})\n"
        done = subprocess.run(
            [sys.executable, "-c", start + script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return function


def test_local_data_need_neither_torchvision_nor_a_network(run, build, tmp_path):
    assert run(LOCAL, tmp_path / "data") == ["[]", "[]", "[]"]


@pytest.mark.slow
def test_a_download_with_a_broken_torchvision_says_how_to_mend_it(run, tmp_path):
    text = "\n".join(run(MISSING, tmp_path / "empty"))
    assert "operator torchvision::nms does not exist" in text
    assert "pip install --upgrade torch torchvision" in text
    assert f"torch {version('torch')} and torchvision {version('torchvision')} are installed" in text
    assert str(tmp_path / "empty" / "MNIST" / "raw") in text

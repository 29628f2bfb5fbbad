"""Every built-in component against every check; datasets that read files are given small ones."""

import gzip
import struct
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import sparse

from genmod.options.schema import options_of
from genmod.plugins.datasets import cifar10
from genmod.plugins.datasets.fashion_mnist import FashionMNIST
from genmod.plugins.datasets.mnist import MNIST
from genmod.registry.lookup import Registry
from genmod.spec import MODEL_KINDS
from genmod.testing import CHECKS, run_checks

COMPONENTS = Registry(third_party=False).components()

_OPTIONS = {
    ("dataset", "mnist"): {"validation": 20},
    ("dataset", "fashion-mnist"): {"validation": 20},
    ("dataset", "cifar10"): {"validation": 20},
    ("dataset", "npz"): {"path": Path("table.npz")},
    ("dataset", "table"): {"path": Path("people.csv")},
    ("dataset", "h5ad"): {"path": Path("cells.h5ad")},
    ("dataset", "image-folder"): {"path": Path("pictures")},
    ("dataset", "webdataset"): {"path": Path("pictures.tar")},
    ("dataset", "shards"): {"path": Path("rows.npy")},
    ("dataset", "sprites"): {"scales": 2, "rotations": 5, "positions": 4},
    # Smaller, or for fewer steps, than what they are by default.
    ("model", "flow"): {"transforms": 1, "hidden": [16]},
    ("model", "pixelcnn"): {"channels": 4, "layers": 2},
    ("encoder", "pretrained"): {"size": 32},
    ("encoder", "transformer"): {"depth": 1, "width": 32},
    ("network", "transformer"): {"depth": 1, "width": 32},
    ("posterior", "flow"): {"transforms": 1, "hidden": [16]},
    ("decoder", "perceptual"): {"size": 32},
    ("sampler", "flow"): {"steps": 100, "transforms": 1, "hidden": [16]},
    ("prior", "flow-matching"): {"hidden": [16], "solver_steps": 4},
    ("sampler", "flow-matching"): {"steps": 100, "hidden": [16], "solver_steps": 5},
    ("sampler", "riemannian"): {"centroids": 400, "transitions": 4},
    ("sampler", "vae"): {"steps": 1500, "hidden": [128, 128]},
    ("features", "classifier"): {"steps": 10},
    ("metric", "ais"): {"steps": 10},
    ("metric", "bdmc"): {"steps": 10},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of data with small files of every format."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for place, cls in (("MNIST", MNIST), ("FashionMNIST", FashionMNIST)):
        raw = folder / place / "raw"
        raw.mkdir(parents=True)
        for name, shape, _ in small_files(cls):
            array = rng.integers(0, 10 if len(shape) == 1 else 256, shape).astype(np.uint8)
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (raw / f"{name}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    batches = folder / "cifar-10-batches-bin"
    batches.mkdir()
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        records = rng.integers(0, 256, (24, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(24) % 10
        (batches / name).write_bytes(records.tobytes())
    np.save(folder / "rows.npy", rng.normal(size=(90, 4)).astype(np.float32))
    np.savez(folder / "table.npz", x=rng.normal(size=(90, 4)).astype(np.float32), y=rng.integers(0, 3, 90))
    rows = zip(rng.normal(size=90), rng.choice(["a", "b", "c"], 90), rng.poisson(3, 90), strict=True)
    lines = ["height,kind,visits", *(",".join(map(str, row)) for row in rows)]
    (folder / "people.csv").write_text("\n".join(lines), encoding="utf-8", newline="\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import anndata

        cells = anndata.AnnData(sparse.csr_matrix(rng.poisson(2.0, (90, 20)).astype(np.float32)))
        cells.obs_names = [f"cell{i}" for i in range(90)]
        cells.write_h5ad(folder / "cells.h5ad")
    for i in range(60):
        place = folder / "pictures" / ("cat", "dog")[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)).save(place / f"{i:03}.png")
    with tarfile.open(folder / "pictures.tar", "w") as archive:
        archive.add(folder / "pictures", "pictures")
    return folder


def small_files(cls):
    """The files of a dataset like MNIST, with fewer examples and no checksums."""
    sizes = {"train": 120, "t10k": 30}
    return tuple((name, (sizes[name.split("-")[0]], *shape[1:]), None) for name, shape, _ in cls.files)


_LONG_CHECKS = ("check_export", "check_numbers", "check_process")

_LONG = {
    ("divergence", "kl-mc"),
    ("divergence", "mmd"),
    ("divergence", "tc"),
    ("encoder", "pretrained"),
    ("posterior", "vmf"),
    ("sampler", "flow"),
    ("sampler", "flow-matching"),
    ("decoder", "perceptual"),
    ("network", "resnet"),
    ("network", "conv-map"),
    ("network", "autoencoder-2d"),
    ("encoder", "autoencoder-2d"),
    ("prior", "vamp"),
    ("prior", "flow"),
    ("prior", "flow-matching"),
    ("posterior", "hierarchical"),
    ("divergence", "sliced-wasserstein"),
    ("divergence", "renyi"),
    ("divergence", "reverse-kl"),
    ("divergence", "wasserstein2"),
    ("posterior", "flow"),
    ("prior", "conditional"),
    ("divergence", "hsic"),
    ("prior", "hierarchical"),
    ("posterior", "top-down"),
    ("prior", "top-down"),
    ("sampler", "vae"),
    ("sampler", "riemannian"),
    ("network", "conv"),
    ("decoder", "student-t"),
    ("encoder", "conv-map"),
    ("metric", "bdmc"),
    ("metric", "dci"),
    ("encoder", "resnet"),
    ("network", "mlp"),
    ("divergence", "jeffreys"),
    ("divergence", "dip-i"),
    ("divergence", "dip-ii"),
    ("decoder", "laplace"),
    ("decoder", "beta"),
    ("decoder", "discretized-logistic-mixture"),
    ("posterior", "wrapped-normal"),
    ("posterior", "residual-vq"),
    ("prior", "transformer"),
    ("sampler", "kde"),
    ("sampler", "gmm"),
    ("metric", "ais"),
    ("metric", "beta-vae-score"),
    ("metric", "factor-vae-score"),
}
"""Half of the time of all components together; each has tests of its own besides."""


@pytest.mark.parametrize(
    "provided",
    [
        pytest.param(p, id=f"{p.kind}-{p.name}", marks=[pytest.mark.slow] * ((p.kind, p.name) in _LONG))
        for p in COMPONENTS
    ],
)
def test_builtin(provided, checked):
    # With its usual activation alone: the others take the same path.
    usual = activation_of(provided)
    checked(provided, **({"activation": usual} if usual else {}))


@pytest.mark.slow
@pytest.mark.parametrize("provided", COMPONENTS, ids=lambda p: f"{p.kind}-{p.name}")
def test_builtin_with_every_activation(provided, checked):
    if activation_of(provided) is None:
        pytest.skip("it has no activation")
    checked(provided)


def activation_of(provided):
    """The activation that a part has by default; None where it has none."""
    options = options_of(provided.load()) if provided.kind in MODEL_KINDS else ()
    return next((option.default for option in options if option.name == "activation"), None)


@pytest.fixture
def checked(registry, root, monkeypatch):
    """A function that runs the checks of a component on small data and expects none to fail."""
    for cls in (MNIST, FashionMNIST):
        monkeypatch.setattr(cls, "files", small_files(cls))
    monkeypatch.setattr(cifar10, "_FILE", 24 * 3073)
    # What takes as long as all else together has tests of its own below.
    checks = [check for check in CHECKS if check.name not in _LONG_CHECKS]
    monkeypatch.setattr("genmod.testing.prepare.CHECKS", checks)

    def check(provided, **more):
        given = {**_OPTIONS.get((provided.kind, provided.name), {}), **more}
        options = {f"{provided.kind}.{name}": value for name, value in given.items()}
        report = run_checks(provided, options=options, root=root, registry=registry)
        assert not report.failed, "\n".join(f"{o.check}: {o.message}" for o in report.failed)
        # What is skipped is skipped for a trait or for want of an optional package, never for want of data.
        assert report.ok or all("is not installed" in outcome.message for outcome in report.skipped)
        assert not [o for o in report.skipped if "data are not there" in o.message or "options" in o.message]

    return check


@pytest.mark.slow
@pytest.mark.parametrize(
    "provided", [p for p in COMPONENTS if p.kind in MODEL_KINDS], ids=lambda p: f"{p.kind}-{p.name}"
)
def test_builtin_with_other_numbers(provided, registry):
    given = _OPTIONS.get((provided.kind, provided.name), {})
    options = {f"{provided.kind}.{name}": value for name, value in given.items()}
    (outcome,) = run_checks(provided, options=options, registry=registry, only=["check_numbers"]).checks
    assert outcome.status != "failed", outcome.message


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["digits", "npz", "table", "h5ad", "image-folder", "webdataset", "shards", "sprites"]
)
def test_builtin_in_another_process(name, registry, root):
    options = {f"dataset.{key}": value for key, value in _OPTIONS.get(("dataset", name), {}).items()}
    report = run_checks(
        f"dataset/{name}", options=options, root=root, registry=registry, only=["check_process"]
    )
    (outcome,) = report.checks
    assert outcome.status == "passed", outcome.message


@pytest.mark.slow
@pytest.mark.parametrize("provided", COMPONENTS, ids=lambda p: f"{p.kind}-{p.name}")
def test_builtin_is_exported_and_compiled(provided, registry):
    if provided.kind not in ("encoder", "posterior", "prior", "decoder", "network"):
        pytest.skip("it is not compiled by itself")
    programs = run_checks(
        provided, registry=registry, slow=True, only=("check_export", "check_compile")
    ).checks
    assert len(programs) == 2
    assert all(o.status in ("passed", "skipped") for o in programs), [o.message for o in programs]

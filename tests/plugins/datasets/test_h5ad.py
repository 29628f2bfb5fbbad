"""Counts of genes in cells: files of anndata, sparse matrices of scipy, and objects in memory."""

import math
import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import genmod
from genmod import DataError, DataInfo
from genmod.data import every_row
from genmod.plugins.datasets import _h5ad
from genmod.plugins.datasets.h5ad import H5ad
from genmod.plugins.datasets.npz import Npz

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anndata
    import h5py

N, GENES = 60, 7


def cells(n=N, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.poisson(0.8, (n, GENES))
    obs = pd.DataFrame(
        {
            "kind": pd.Categorical(rng.choice(["T", "B", "unused"][:2], n), ["unused", "T", "B"]),
            "batch": rng.integers(3, 5, n),
            "donor": rng.choice(["d2", "d10"], n),
            "weight": rng.normal(size=n),
        },
        index=[f"cell{i}" for i in range(n)],
    )
    found = anndata.AnnData(
        sparse.csr_matrix(x.astype(np.float32)),
        obs,
        pd.DataFrame(index=[f"gene{i}" for i in range(GENES)]),
        layers={"twice": sparse.csr_matrix(2 * x), "logs": np.log1p(x)},
    )
    return found, x


def written(folder, found, name="cells.h5ad"):
    found.write_h5ad(folder / name)
    return folder / name


def every(data):
    split = every_row(data)
    return split.__getitems__(range(len(split)))


@pytest.mark.parametrize("held", [2**30, 0])
@pytest.mark.parametrize("form", ["csr", "dense"])
def test_cells_are_those_of_the_file(tmp_path, held, form):
    found, x = cells()
    if form == "dense":
        found.X = found.X.toarray()
    data = H5ad(
        tmp_path, path=written(tmp_path, found), label="kind", factors=["batch", "donor"], in_memory=held
    )
    info = data.info
    assert (info.shape, info.high, info.counts) == ((GENES,), math.inf, True)
    assert info.variables == tuple(found.var_names)
    assert info.classes == ("B", "T")
    assert [(f.name, f.values) for f in info.factors] == [("batch", ("3", "4")), ("donor", ("d10", "d2"))]
    batch = every(data)
    assert np.array_equal(batch.x, x)
    assert [info.classes[i] for i in batch.labels] == found.obs["kind"].tolist()
    assert [info.factors[0].values[i] for i in batch.factors[:, 0]] == found.obs["batch"].astype(str).tolist()
    assert [info.factors[1].values[i] for i in batch.factors[:, 1]] == found.obs["donor"].tolist()
    seen = []
    for name in ("train", "validation", "test"):
        split, places = data.split(name), data.places(name)
        order = torch.randperm(len(split)).tolist()
        part = split.__getitems__(order)
        assert np.array_equal(part.x, x[places[order]])
        assert split.names[0] == f"cell{places[0]}"
        assert split.in_memory() is None
        seen += places.tolist()
    assert sorted(seen) == list(range(N))
    # A run with workers hands the split to other processes.
    again = pickle.loads(pickle.dumps(data.split("train")))  # noqa: S301
    assert torch.equal(again.__getitems__([5, 0]).x, data.split("train").__getitems__([5, 0]).x)


def test_layers_and_raw(tmp_path):
    found, x = cells()
    found.raw = found
    path = written(tmp_path, found[:, :3].copy())
    assert np.array_equal(every(H5ad(tmp_path, path=path, layer="twice")).x, 2 * x[:, :3])
    assert np.array_equal(every(H5ad(tmp_path, path=path, layer="raw")).x, x)
    logs = H5ad(tmp_path, path=path, layer="logs", counts=False)
    assert logs.info.low == -math.inf
    assert torch.allclose(every(logs).x, torch.from_numpy(np.log1p(x[:, :3])).float())
    with pytest.raises(DataError, match="are no counts"):
        every(H5ad(tmp_path, path=path, layer="logs"))
    with pytest.raises(DataError, match="no 'layers/other'"):
        _ = H5ad(tmp_path, path=path, layer="other").info


def test_factors_that_are_not_named_are_the_categories(tmp_path):
    found, _ = cells()
    found.obs["late"] = found.obs["weight"] > 0
    found.obs["gone"] = found.obs["kind"].where(found.obs["weight"] > 0)
    found.obs["many"] = pd.Categorical(np.arange(N) // 2)
    held, objects = H5ad(tmp_path, path=written(tmp_path, found)), genmod.as_dataset(found)
    assert [f.name for f in held.info.factors] == ["kind", "donor", "late", "many"]
    assert held.info == objects.info
    assert torch.equal(every(held).factors, every(objects).factors)
    assert held.info.factors[0].values == ("B", "T")
    assert held.info.factors[3].values[:3] == ("0", "1", "2")


def test_texts_with_a_mask_are_those_without(tmp_path):
    """As pandas 3 has names and categories."""
    found, _ = cells()
    plain, masked = (H5ad(tmp_path, path=written(tmp_path, found, f"{i}.h5ad")) for i in range(2))
    with h5py.File(tmp_path / "1.h5ad", "r+") as file:
        for name in ("obs/_index", "var/_index", "obs/kind/categories"):
            texts = file[name]
            texts = texts["values"][:] if hasattr(texts, "keys") else texts[:]
            del file[name]
            group = file.create_group(name)
            group["values"], group["mask"] = texts, np.zeros(len(texts), bool)
    assert plain.info == masked.info
    assert list(plain.split("test").names) == list(masked.split("test").names)
    assert torch.equal(every(plain).factors, every(masked).factors)
    with h5py.File(tmp_path / "1.h5ad", "r+") as file:
        file["var/_index/mask"][0] = True
    with pytest.raises(DataError, match=r"values of /var/_index/?.* are missing"):
        _ = H5ad(tmp_path, path=tmp_path / "1.h5ad").info


def test_splits_depend_on_names_and_seed_alone(tmp_path):
    found, _ = cells()
    shuffled = found[np.random.default_rng(1).permutation(N)].copy()

    def names(adata, **options):
        return set(H5ad(tmp_path, path=written(tmp_path, adata), **options).split("test").names)

    first = names(found)
    assert len(first) == 6
    assert names(shuffled) == first
    assert names(found, seed=1) != first
    assert len(names(found[:50].copy()) - first) <= 2


def test_genes_are_taken_by_name(tmp_path):
    found, x = cells()
    data = H5ad(tmp_path, path=written(tmp_path, found[:, ::-1].copy()))
    data.known = DataInfo((2,), high=math.inf, counts=True, variables=("gene4", "gene1"))
    assert np.array_equal(every(data).x, x[:, [4, 1]])
    other = H5ad(tmp_path, path=written(tmp_path, found[:, :3].copy()))
    other.known = DataInfo((2,), high=math.inf, counts=True, variables=("gene4", "gene1"))
    with pytest.raises(DataError, match="lacks 1 of the 2 variables that the model knows: gene4"):
        _ = other.info


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("csc", "csr_matrix"),
        ("missing", "missing for 1 cells"),
        ("floats", "has values of type float64"),
        ("absent", "no 'absent'"),
        ("empty", "cannot be read as .h5ad"),
        ("pointers", "sparse matrix is damaged"),
        ("columns", "beyond its 7 columns"),
        ("wide", "of 60 cells and 7 genes"),
        ("codes", "beyond its 2 categories"),
        ("link", "link to another file"),
        ("external", "in another file"),
        ("old", "written in an old form"),
        ("texts", "than max_bytes allows"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, wrong, said):
    found, _ = cells()
    options = {}
    if wrong == "csc":
        found.X = found.X.tocsc()
    if wrong == "missing":
        found.obs.loc["cell3", "kind"] = np.nan
        options = {"label": "kind"}
    if wrong in ("floats", "absent"):
        options = {"factors": ["weight" if wrong == "floats" else "absent"]}
    path = written(tmp_path, found)
    if wrong == "empty":
        path.write_bytes(path.read_bytes()[:300])
    if wrong == "texts":
        options = {"max_bytes": 1000}
    if wrong in ("pointers", "columns", "wide", "codes", "link", "external", "old"):
        with h5py.File(path, "r+") as file:
            if wrong == "pointers":
                file["X/indptr"][3] = 10**6
            if wrong == "columns":
                file["X/indices"][0] = 99
            if wrong == "wide":
                file["X"].attrs["shape"] = (N, 2**40)
            if wrong == "codes":
                del file["obs/kind/categories"]
                file["obs/kind/categories"] = ["T", "B"]
                file["obs/kind/codes"][0] = 9
                options = {"label": "kind"}
            if wrong == "link":
                del file["X"]
                file["X"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "X")
            if wrong == "external":
                del file["X"]
                file.create_dataset(
                    "X", (N, GENES), "f4", external=[(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)]
                )
            if wrong == "old":
                del file["var"]
                file["var"] = np.zeros(3)
    with pytest.raises(DataError, match=said) as error:
        every(H5ad(tmp_path, path=path, **options))
    assert error.value.hint or wrong in ("floats", "pointers", "columns", "codes", "wide")


def test_a_model_of_cells_takes_files_and_objects(tmp_path):
    found, _ = cells()
    settings = {"dataset.path": str(written(tmp_path, found)), "dataset.factors": ["batch"]}
    model = genmod.build("zinb-vae", data="h5ad", latent=2, condition="batch", settings=settings)
    genmod.train(model, steps=2, batch_size=8, device="cpu", directory=tmp_path / "model")
    again = genmod.load(tmp_path / "model")
    assert again.data == model.data
    assert again.data.variables == tuple(found.var_names)
    # Texts name the same batches as whole numbers do.
    found.obs["batch"] = found.obs["batch"].astype(str)
    split = model.suited(found)
    assert len(split) == N
    shuffled = model.suited(found[:, ::-1].copy())
    assert torch.equal(split.__getitems__([1, 2]).x, shuffled.__getitems__([1, 2]).x)


def test_objects_in_memory(tmp_path):
    found, x = cells()
    for data, names in (
        (found, tuple(found.var_names)),
        (sparse.csc_matrix(x), ()),
        (sparse.coo_array(x), ()),
    ):
        made = genmod.as_dataset(data)
        assert made.info.counts
        assert made.info.variables == names
        assert np.array_equal(every(made).x, x)
    assert [f.name for f in genmod.as_dataset(found).info.factors] == ["kind", "donor"]
    assert not genmod.as_dataset(sparse.csr_array(x / 3)).info.counts


def test_sparse_files_of_scipy(tmp_path):
    x = np.random.default_rng(0).poisson(0.5, (40, 9))
    sparse.save_npz(tmp_path / "x.npz", sparse.csr_matrix(x))
    data = Npz(tmp_path, path=tmp_path / "x.npz", counts=True)
    assert data.info == DataInfo((9,), high=math.inf, counts=True)
    assert np.array_equal(every(data).x, x)
    assert sorted(torch.cat([data.places(n) for n in ("train", "validation", "test")]).tolist()) == list(
        range(40)
    )
    real = Npz(tmp_path, path=tmp_path / "x.npz")
    assert every(real).x.dtype == torch.float32
    with pytest.raises(DataError, match="neither standardised"):
        _ = Npz(tmp_path, path=tmp_path / "x.npz", standardize=True).info
    sparse.save_npz(tmp_path / "x.npz", sparse.csc_matrix(x))
    with pytest.raises(DataError, match="form 'csc'"):
        _ = Npz(tmp_path, path=tmp_path / "x.npz").info


@pytest.mark.parametrize("wrong", ["pointers", "columns", "shape", "large", "text", "pickle"])
def test_damaged_sparse_files(tmp_path, wrong):
    x = sparse.csr_matrix(np.random.default_rng(0).poisson(0.5, (40, 9)))
    parts = {"format": b"csr", "shape": x.shape, "data": x.data, "indices": x.indices, "indptr": x.indptr}
    options = {}
    if wrong == "pointers":
        parts["indptr"] = x.indptr[::-1]
    if wrong == "columns":
        parts["indices"] = x.indices + 5
    if wrong == "shape":
        parts["shape"] = (2**60, 2**60)
    if wrong == "large":
        options = {"max_bytes": 500}
    if wrong == "text":
        parts["data"] = x.data.astype(str)
    if wrong == "pickle":
        parts["data"] = x.data.astype(object)
    np.savez(tmp_path / "x.npz", **parts)
    with pytest.raises(DataError):
        every(Npz(tmp_path, path=tmp_path / "x.npz", counts=True, **options))


def test_a_recipe_for_counts_keeps_its_likelihood(tmp_path):
    path = str(written(tmp_path, cells()[0]))
    scvi = genmod.build("scvi", data=path, condition="kind")
    assert scvi.decoder.exposure == "depth"
    assert scvi.spec.components["decoder"].name == "zero-inflated-negative-binomial"
    for recipe in ("vae", "sigma-vae"):
        assert genmod.build(recipe, data=path).spec.components["decoder"].name == "negative-binomial"


def test_links_that_lead_to_another_file_by_way_of_others_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones((4, 3))
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["there"] = h5py.ExternalLink("secret.h5", "/")
        file["X"] = h5py.SoftLink("/there/x")
        file["here"] = np.ones((4, 3))
        file["layers/inside"] = h5py.SoftLink("/here")
        file["round"] = h5py.SoftLink("/round")
    with _h5ad.opened(tmp_path / "a.h5ad") as file:
        for name in ("X", "there/x", "round"):
            with pytest.raises(DataError, match="link to another file"):
                _h5ad._node(file, name)
        assert _h5ad._node(file, "layers/inside").shape == (4, 3)


def test_long_texts_that_take_no_room_in_a_file_take_none_in_memory(tmp_path):
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file.create_dataset("long", (300,), dtype=f"S{2**22}", chunks=(1,))
        file.create_dataset("longer", (300,), dtype=f"S{2**29}", chunks=(1,))
    assert (tmp_path / "a.h5ad").stat().st_size < 10_000
    tracemalloc.start()
    with _h5ad.opened(tmp_path / "a.h5ad") as file:
        for name in ("long", "longer"):
            with pytest.raises(DataError, match="more than max_bytes allows"):
                _h5ad._texts(_h5ad._node(file, name), 2**12 if name == "long" else 2**28)
        assert _h5ad._texts(_h5ad._node(file, "long"), 2**23) == [""] * 300
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()

"""Counts of genes in simulated cells: genmod and scvi-tools side by side, with the same networks, cells and epochs.

    python benchmarks/counts.py make FOLDER
    python benchmarks/counts.py genmod FOLDER
    PEER/bin/python benchmarks/counts.py scvi FOLDER
    python benchmarks/counts.py table FOLDER

``make`` needs anndata, ``scvi`` an environment with scvi-tools, where genmod need not be. Cells are of known types, batches and
depths; which are held out is in the folder, the same for both. Variants of either are given by name after the folder.
"""

import argparse
import json
import os
import time
import warnings
from pathlib import Path

import numpy as np

CELLS, GENES, TYPES, BATCHES, LATENT, HIDDEN = 4000, 500, 5, 3, 10, 128
GENMOD = {
    "genmod": {},
    "genmod, no size factors": {"decoder.size_factor": "none"},
    "genmod, negative binomial": {},
}
SCVI = {
    "scvi": {"use_batch_norm": "none", "dropout_rate": 0.0},
    "scvi, Adam of genmod": {"use_batch_norm": "none", "dropout_rate": 0.0},
    "scvi, as it is by default": {},
    "scvi, negative binomial": {"use_batch_norm": "none", "dropout_rate": 0.0, "gene_likelihood": "nb"},
}


def make(folder, seed):
    """Negative-binomial counts; types differ in their genes, batches in the efficiency of genes, cells in their depth."""
    import anndata
    import pandas as pd
    from scipy.sparse import csr_matrix

    from genmod.plugins.datasets.h5ad import H5ad

    rng = np.random.default_rng(seed)
    kind, batch = rng.integers(0, TYPES, CELLS), rng.integers(0, BATCHES, CELLS)
    base = rng.normal(0, 1.2, GENES)
    types = rng.normal(0, 1.0, (TYPES, GENES)) * (rng.random((TYPES, GENES)) < 0.2)
    batches = rng.normal(0, 0.4, (BATCHES, GENES))
    # Within a type cells differ along a direction of its own.
    along = rng.normal(0, 0.3, (TYPES, GENES))[kind] * rng.normal(0, 1, (CELLS, 1))
    logits = base + types[kind] + batches[batch] + along
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    depth = np.exp(rng.normal(np.log(1500), 0.6, CELLS))
    r = np.exp(rng.normal(1.0, 0.5, GENES))
    x = rng.negative_binomial(r, r / (r + depth[:, None] * shares))
    obs = pd.DataFrame(
        {"batch": [f"b{i}" for i in batch], "type": [f"t{i}" for i in kind]},
        [f"cell{i}" for i in range(CELLS)],
    )
    folder.mkdir(parents=True, exist_ok=True)
    cells = anndata.AnnData(
        csr_matrix(x.astype(np.float32)), obs, pd.DataFrame(index=[f"g{i}" for i in range(GENES)])
    )
    cells.write_h5ad(folder / "cells.h5ad")
    data = H5ad(folder, path=folder / "cells.h5ad")
    np.savez(
        folder / "splits.npz", **{name: data.places(name).numpy() for name in ("train", "validation", "test")}
    )


def with_genmod(folder, name, epochs, seed):
    import torch

    import genmod

    settings = {"dataset.path": str(folder / "cells.h5ad"), "dataset.factors": ["batch"], **GENMOD[name]}
    parts = {"decoder": "negative-binomial"} if "negative" in name else {}
    if parts:
        settings["decoder.size_factor"] = "observed"
    model = genmod.build("scvi", data="h5ad", condition="batch", seed=seed, settings=settings, **parts)
    data = genmod.open_dataset(model.spec, info=model.data)
    place = folder / name.replace(" ", "-").replace(",", "")
    began, worked = time.perf_counter(), time.process_time()
    genmod.train(
        model,
        data,
        directory=genmod.save(model, place, overwrite=True),
        epochs=epochs,
        seed=seed,
        device="cpu",
    )
    took = time.perf_counter() - began, time.process_time() - worked
    model = genmod.load(place, weights="last")
    elbo = genmod.evaluate(model, data.split("test"), "elbo[10]")["elbo"]
    cells = data.everything()
    batch = cells.__getitems__(range(len(cells)))
    context = model.context(batch)
    with torch.no_grad():
        codes, twice = (model.encode(k * batch.x.float(), context).mean.numpy() for k in (1, 2))
    return elbo.value, elbo.standard_error, took, codes, twice


def with_scvi(folder, name, epochs, seed):
    import anndata
    import scvi
    import torch

    scvi.settings.seed = seed
    scvi.settings.verbosity = 30
    # That of the environment, as for genmod.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    cells, splits = anndata.read_h5ad(folder / "cells.h5ad"), np.load(folder / "splits.npz")
    train, test = (cells[splits[part]].copy() for part in ("train", "test"))
    scvi.model.SCVI.setup_anndata(train, batch_key="batch")
    # Given the batch in the encoder too, as genmod's is.
    model = scvi.model.SCVI(
        train, n_hidden=HIDDEN, n_latent=LATENT, n_layers=1, encode_covariates=True, **SCVI[name]
    )
    plan = {} if "default" in name else {"n_epochs_kl_warmup": None}
    if "Adam" in name:
        plan |= {"eps": 1e-8, "weight_decay": 0.0}
    began, worked = time.perf_counter(), time.process_time()
    model.train(
        max_epochs=epochs,
        train_size=1.0,
        batch_size=128,
        accelerator="cpu",
        plan_kwargs=plan,
        enable_progress_bar=False,
    )
    took = time.perf_counter() - began, time.process_time() - worked
    each = np.mean([np.asarray(model.get_elbo(test, return_mean=False)) for _ in range(10)], 0)
    codes = model.get_latent_representation(cells)
    deeper = cells.copy()
    deeper.X = deeper.X * 2
    twice = model.get_latent_representation(deeper)
    check_density(model, test)
    return float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5), took, codes, twice


def check_density(model, cells):
    """Whether the density that scvi-tools counts has all of its constants: against scipy."""
    import torch
    from scipy import stats

    loader = model._make_data_loader(adata=model._validate_anndata(cells), batch_size=64)
    tensors = next(iter(loader))
    with torch.no_grad():
        inferred = model.module.inference(**model.module._get_inference_input(tensors))
        p = model.module.generative(**model.module._get_generative_input(tensors, inferred))["px"]
        x = tensors["X"]
        found = p.log_prob(x).sum(-1).numpy()
    mean, r = p.mu.double().numpy(), p.theta.double().numpy()
    known = stats.nbinom(r, r / (r + mean)).logpmf(x.numpy())
    if hasattr(p, "zi_logits"):
        extra = 1 / (1 + np.exp(-p.zi_logits.double().numpy()))
        known = np.where(
            x.numpy() == 0, np.logaddexp(np.log(extra), np.log1p(-extra) + known), np.log1p(-extra) + known
        )
    print(
        f"density of scvi-tools against scipy: apart by at most {np.abs(known.sum(1) - found).max():.3g} nats a cell"
    )


def mixing(codes, labels, k=50):
    """Entropy of the labels of the neighbours of a cell, as a share of that of all cells: 1 where they do not matter."""
    from sklearn.neighbors import NearestNeighbors

    near = NearestNeighbors(n_neighbors=k + 1).fit(codes).kneighbors(codes, return_distance=False)[:, 1:]
    shares = np.stack([(labels[near] == value).mean(1) for value in np.unique(labels)], 1)
    whole = np.array([(labels == value).mean() for value in np.unique(labels)])

    def entropy(p):
        return -(p * np.log(np.where(p > 0, p, 1))).sum(-1)

    return float(entropy(shares).mean() / entropy(whole))


def table(folder):
    import anndata

    cells = anndata.read_h5ad(folder / "cells.h5ad")
    print(
        "| model | held-out ELBO | seconds per epoch | of the processor | batches mixed | types mixed | moved |"
    )
    print("|---|---|---|---|---|---|---|")
    for path in sorted(folder.glob("*.json")):
        found, arrays = json.loads(path.read_text()), np.load(path.with_suffix(".npz"))
        codes, twice = arrays["codes"], arrays["twice"]
        moved = np.linalg.norm(twice - codes, axis=1).mean() / np.linalg.norm(codes.std(0))
        mixed = [mixing(codes, cells.obs[name].to_numpy()) for name in ("batch", "type")]
        print(
            f"| {found['name']} | {found['elbo']:.2f} ± {found['error']:.2f} | {found['wall']:.2f} | {found['cpu']:.2f} | "
            f"{mixed[0]:.3f} | {mixed[1]:.3f} | {moved:.3f} |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["make", "genmod", "scvi", "table"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help="variants; all unless given")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.what == "make":
        make(options.folder, options.seed)
    if options.what == "table":
        table(options.folder)
    for name in options.names or ({"genmod": GENMOD, "scvi": SCVI}.get(options.what) or ()):
        run = with_genmod if options.what == "genmod" else with_scvi
        elbo, error, took, codes, twice = run(options.folder, name, options.epochs, options.seed)
        wall, cpu = (seconds / options.epochs for seconds in took)
        found = {"name": name, "elbo": elbo, "error": error, "wall": wall, "cpu": cpu, "seed": options.seed}
        print(found)
        kept = options.folder / f"{name.replace(' ', '-').replace(',', '')}.{options.seed}.json"
        kept.write_text(json.dumps({**found, "epochs": options.epochs}))
        np.savez(kept.with_suffix(".npz"), codes=codes, twice=twice)


if __name__ == "__main__":
    main()

"""Do two commits give the same bits? Every recipe for 20 steps, and what the old one wrote read by the new one.

    python benchmarks/same_bits.py                            # the commit below against the work tree as it lies
    python benchmarks/same_bits.py v0.1.0 HEAD --recipes vae iwae
    python benchmarks/same_bits.py --python OLD/bin/python NEW/bin/python         # those that are installed there
    python benchmarks/same_bits.py --store DIR      # keep what the old one writes, or use it where it lies already

Both are installed side by side into a temporary folder, over the dependencies of this interpreter, and run in
processes of their own, on the CPU with one thread: by public names and commands alone, since files may have moved from
one to the other. Bits of another processor or another version of torch are not comparable.

It prints two tables and exits with 1 where something differs.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BEFORE = "b8aeec4"  # the last commit before the files of core/ were put into folders by concept
ROOT, ONE_SIDE = Path(__file__).resolve().parents[1], Path(__file__).resolve().with_name("one_side.py")
STORED = ["vae", "iwae", "vamp-vae", "joint-vae", "cvae", "rae-l2", "categorical-vae"]
STORED += ["geco-vae", "s-vae", "zinb-vae"]
FACTORS = ["dip-vae-i"]  # its data have factors; few of them are enough to measure it
FEW = ["dataset.scales=2", "dataset.rotations=5", "dataset.positions=8"]
QUICK = ["nll.samples=20"]
QUICK += [f"{m}.{option}" for m in ("ais", "bdmc") for option in ("steps=10", "chains=4", "examples=10")]
NEEDS_FILES = {"lpips"}
LARGE = {"autoencoder-kl", "fsq-gan", "vqgan"}  # steps of theirs take minutes


def install(commit, folder):
    """A side: this interpreter, and a folder with the genmod of a commit, or of the work tree where it is None."""
    source, site = folder / "source", folder / "site"
    source.mkdir(parents=True)
    if commit is None:
        words = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split("\0")
        for name in listed:
            if (ROOT / name).is_file():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, source / name)
    else:
        subprocess.run(["git", "-C", ROOT, "archive", "-o", folder / "source.tar", commit], check=True)
        shutil.unpack_archive(folder / "source.tar", source)
    pip = [sys.executable, "-P", "-m", "pip", "install", "-qq", "--no-deps", "--target", site, source]
    subprocess.run(pip, check=True)
    return sys.executable, str(site)


def call(side, *words):
    """What ``python …`` prints with the genmod of a side."""
    python, site = side
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GENMOD_", "PYTHON"))}
    kept |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": site}
    words = [str(word) for word in words]
    done = subprocess.run([python, "-P", *words], env=kept, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"with {site or python}: {' '.join(words)}\n{done.stderr[-3000:]}")
    return done.stdout


def command(side, *words):
    return call(side, "-m", "genmod", *words)


def names(side, kind):
    return [each["name"] for each in json.loads(command(side, "list", kind, "--json"))["components"]]


def ask(side, task, folder, recipes):
    """What ``one_side.py`` finds."""
    answer = json.loads(call(side, ONE_SIDE, task, folder, *recipes).splitlines()[-1])
    if not answer["where"].startswith(side[1]):
        raise SystemExit(f"{answer['where']} was imported, not what is installed in {side[1]}")
    return answer


def evaluate(side, store, place, recipes, metrics):
    """Recipe → what ``genmod evaluate --json`` says of a copy of its model."""
    found = {}
    for group, options in ((STORED, QUICK), (FACTORS, QUICK + FEW)):
        models = [place / recipe for recipe in recipes if recipe in group]
        for model in models:
            shutil.copytree(store / "finished" / model.name, model)
        if models:
            words = [w for m in metrics for w in ("-m", m)] + [w for o in options for w in ("-s", o)]
            answer = json.loads(command(side, "evaluate", "--json", "--device", "cpu", *words, *models))
            found |= {model.name: said for model, said in zip(models, answer["models"], strict=True)}
    return found


def write_store(side, store, scratch, recipes):
    """Finished and interrupted models of the old commit, with digests and evaluations in ``results.json``."""
    results = ask(side, "train", store / "finished", recipes)
    stopped = ask(side, "interrupt", store / "interrupted", [r for r in recipes if r in STORED])["found"]
    for recipe, found in [*results["found"].items(), *stopped.items()]:
        if "error" in found:
            raise SystemExit(f"{recipe} fails with the old commit: {found['error']}")
    if "rae-l2" in recipes:
        command(side, "fit-sampler", store / "finished" / "rae-l2", "--device", "cpu")
    results["metrics"] = [metric for metric in names(side, "metric") if metric not in NEEDS_FILES]
    results["evaluations"] = evaluate(side, store, scratch, recipes, results["metrics"])
    (store / "results.json").write_text(json.dumps(results, indent=1))
    return results


def by_commands(side, store, place, recipes):
    """Digests of models that were built and trained by commands, and of those whose runs went on."""
    ask(side, "build", place / "trained", recipes)
    for recipe in recipes:
        shutil.copytree(store / "interrupted" / recipe, place / "resumed" / recipe)
    settings = ["--steps", 20, "--device", "cpu", "--film-every", 0]
    command(side, "train", *settings, *(place / "trained" / recipe for recipe in recipes))
    command(side, "train", "--resume", *(place / "resumed" / recipe for recipe in recipes))
    return [ask(side, "digests", place / folder, recipes)["found"] for folder in ("trained", "resumed")]


def verdict(old, new):
    """Whether two tables of what was found are alike, and what is not."""
    if "error" in new:
        return f"DIFFERENT: {new['error']}"
    everything = {**old, **new}
    other = [name for name in everything if repr(old.get(name, "")) != repr(new.get(name, ""))]
    return f"DIFFERENT: {len(other)} of {len(everything)}, {other[0]} first" if other else "same"


def numbers(said):
    """Name → value, standard error and count, or None where there is none; not the words that describe them."""
    rows = {row["name"]: [row["value"], row["standard_error"], row["n"]] for row in said["rows"]}
    return rows | dict.fromkeys(said["undefined"])


def show(head, rows):
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    print(*lines, sep="\n", end="\n\n", flush=True)
    return any(cell.startswith("DIFFERENT") for row in rows for cell in row)


def show_training(before, after, recipes):
    """The table of all recipes; whether something differs."""
    rows = []
    for recipe in recipes:
        was = before["found"][recipe]
        whole = hashlib.sha256(json.dumps(was, sort_keys=True).encode()).hexdigest()
        rows.append([recipe, whole[:16], verdict(was, after["found"][recipe])])
    return show(["recipe", "SHA-256 of the old weights", "after 20 steps"], rows)


def show_reading(before, side, store, scratch, recipes):
    """The table of what the old commit wrote, in the hands of the new one; whether something differs."""
    stored = [recipe for recipe in recipes if recipe in STORED]
    with ThreadPoolExecutor() as pool:
        said = pool.submit(evaluate, side, store, scratch / "measured", recipes, before["metrics"])
        runs = by_commands(side, store, scratch, stored) if stored else []
    rows = []
    for recipe in [recipe for recipe in recipes if recipe in said.result()]:
        old, new = numbers(before["evaluations"][recipe]), numbers(said.result()[recipe])
        of_runs = [verdict(before["found"][recipe], found[recipe]) for found in runs if recipe in found]
        rows.append([recipe, f"{verdict(old, new)}, {len(old)} numbers", *(of_runs or ["", ""])])
    return show(["model", "evaluated", "built and trained by commands", "interrupted run resumed"], rows)


def main():
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("old", nargs="?", default=BEFORE)
    parser.add_argument("new", nargs="?", help="the work tree where it is not given")
    parser.add_argument("--python", nargs=2, metavar=("OLD", "NEW"), help="interpreters that have both")
    parser.add_argument("--store", type=Path, metavar="DIR")
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", help="some instead of all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor() as pool:
        scratch, store = Path(place), options.store or Path(place, "store")
        results = store / "results.json"
        before = json.loads(results.read_text()) if results.exists() else None
        if options.python:
            old, new = ((python, "") for python in options.python)
        else:
            old = None if before else install(options.old, scratch / f"old-{options.old}")
            new = install(options.new, scratch / f"new-{options.new or 'work-tree'}")
        recipes = options.recipes or (
            list(before["found"]) if before else [r for r in names(old, "recipe") if r not in LARGE]
        )
        if before and not set(recipes) <= set(before["found"]):
            raise SystemExit(f"{store} has {', '.join(before['found'])} alone; choose another --store")
        trained = pool.submit(ask, new, "train", scratch / "new", recipes)
        before = before or write_store(old, store, scratch / "old", recipes)
        after = trained.result()
        if before["versions"] != after["versions"]:
            raise SystemExit(f"not comparable: {before['versions']} and {after['versions']}")
        print(f"{before['where']} and {after['where']}, {after['versions']}\n")
        differs = show_training(before, after, recipes)
        return int(show_reading(before, new, store, scratch, recipes) or differs)


if __name__ == "__main__":
    sys.exit(main())

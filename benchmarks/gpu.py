"""What one GPU gives: all figures of training and evaluation on it, in under ten minutes.

    python benchmarks/gpu.py --output results

prints tables in Markdown, and writes them with all figures as JSON to the folder. Each section has seconds of its own; one
that fails says why, and the next begins. Variants of a table take turns (A B C A B C …); figures are medians.

- throughput: genmod, with its steps compiled and recorded, in lower precision; a loop written by hand, plain and recorded as a
  CUDA graph; pythae and Lightning where they are installed; all on the same layers. Memory is the peak of the variant.
- sizes: an autoencoder for pictures of up to 256x256, in images/s and memory.
- precision: loss of validation after the same steps in each precision.
- likelihood: log-likelihood by draws, against the matrix products that it cannot do without.
- waits: whether any step waits for the GPU, by torch's own check.
- recorded: whether steps that are recorded have the losses of those that are not.

With ``--device cpu --quick`` everything runs small and on the CPU, which tries the script and measures nothing.
"""

import argparse
import copy
import importlib.util
import json
import os
import statistics
import time
import traceback
import warnings
from itertools import pairwise
from pathlib import Path

import torch
from gpu_sides import Sides, of_genmod, of_hand, run_of, wait
from loops import MODELS, Pictures, of_lightning, of_pythae

import genmod
from genmod import Batch, DataInfo, TensorSplit
from genmod.model.assembly import assemble
from genmod.model.build import compose
from genmod.model.opening import data_for

SECONDS = {
    "throughput": 240,
    "sizes": 100,
    "precision": 60,
    "likelihood": 40,
    "waits": 40,
    "recorded": 40,
}


def throughput(options, ends):
    """For each model: variant → images/s, MiB, what was said."""
    found = {}
    for i, name in enumerate(options.models):
        data = Pictures(name, options.steps * options.batch)
        makers = {
            "genmod": lambda: of_genmod(name, data, options, precision="32"),  # noqa: B023
            "hand": lambda: of_hand(name, data, options),  # noqa: B023
        }
        if importlib.util.find_spec("pythae"):
            makers["pythae"] = lambda: of_pythae(name, data, options)  # noqa: B023
        if importlib.util.find_spec("lightning"):
            makers["lightning"] = lambda: of_lightning(name, data, options)  # noqa: B023
        if options.device == "cuda":
            makers["hand, recorded"] = lambda: of_hand(name, data, options, recorded=True)  # noqa: B023
            makers["genmod --precision bf16"] = lambda: of_genmod(name, data, options, precision="bf16")  # noqa: B023
            makers["genmod --compile"] = lambda: of_genmod(name, data, options, precision="32", compile=True)  # noqa: B023
        share = time.monotonic() + (ends - time.monotonic()) / (len(options.models) - i)
        found[name] = turns(makers, options, share)
    return found


def turns(makers, options, ends):
    """Variant → figures; each is made, warmed up and measured for its peak, then all take turns until the time is over."""
    blocks, figures = {}, {}
    for name, make in makers.items():
        try:
            if options.device == "cuda":
                torch.cuda.empty_cache()
                before = torch.cuda.memory_allocated()
                torch.cuda.reset_peak_memory_stats()
            blocks[name] = make()
            blocks[name]()
            said = blocks[name]()
            wait(options)
            figures[name] = {"rates": [], "said": said if isinstance(said, str) else ""}
            if options.device == "cuda":
                figures[name]["MiB"] = (torch.cuda.max_memory_allocated() - before) / 2**20
        except Exception as error:
            blocks.pop(name, None)
            figures[name] = {"rates": [], "said": f"failed: {error!r:.200}"}
    rounds = 0
    while rounds < options.rounds and (rounds == 0 or time.monotonic() < ends):
        rounds += 1
        for name, block in blocks.items():
            wait(options)
            began = time.perf_counter()
            made = block()
            wait(options)
            took = made[1] if isinstance(made, tuple) else time.perf_counter() - began
            figures[name]["rates"].append(options.steps * options.batch / took)
    for each in figures.values():
        each["images/s"] = statistics.median(each["rates"]) if each["rates"] else None
    return figures


def sizes(options, ends):
    """Side and precision → images/s and MiB of an autoencoder for pictures."""
    found = {}
    parts = {
        "encoder": {"name": "autoencoder-2d", "channels": [32, 64] if options.quick else [64, 128, 256]},
        "posterior": "normal-map",
        "decoder": "gaussian",
        "dataset": "digits",
    }
    for side in (16,) if options.quick else (64, 128, 256):
        for precision in ("32", "bf16"):
            if time.monotonic() > ends:
                return found
            few = copy.copy(options)
            few.batch, few.steps, few.rounds = (4, 2, 1) if options.quick else (16, 10, 5)
            data = Sides(side, few.batch * few.steps)
            spec = compose("vae", components=parts, latent=4)

            def make(data=data, spec=spec, few=few, precision=precision):
                run = run_of(assemble(spec, data.info), data, few, few.batch, precision=precision)
                return lambda: [run.once() for _ in range(few.steps)] and run.state.means.take() and None

            key = f"{side}x{side}, {precision}"
            found[key] = turns({key: make}, few, ends)[key]
    return found


def precision(options, ends):
    """Precision → loss of validation after the same steps, in nats."""
    found = {}
    for chosen in ("32", "bf16"):
        if time.monotonic() < ends:
            model = genmod.build(encoder="conv", latent=8)
            steps = 20 if options.quick else 1500
            result = genmod.train(model, steps=steps, device=options.device, precision=chosen)
            test = data_for(model.spec, model.data, None, None).split("test")
            row = genmod.evaluate(model, test, "elbo")["elbo"]
            found[chosen] = {"validation loss": result.best_loss, "elbo, float32": row.value}
    return found


def likelihood(options, ends):
    """Seconds for 1,000 pictures, of genmod and of the products alone."""
    hidden, latent, images, samples = (200, 200), 50, (4, 100) if options.quick else (400, 5000), None
    images, samples = images
    spec = genmod.compose(
        "vae",
        components={
            "dataset": "digits",
            "encoder": {"name": "mlp", "hidden": list(hidden), "activation": "tanh"},
        },
        latent=latent,
    )
    model = assemble(spec, DataInfo((1, 28, 28), levels=2)).eval().to(options.device)
    split = TensorSplit(Batch((torch.rand(images, 1, 28, 28) < 0.2).to(torch.uint8)))
    sizes_ = [latent, *hidden, 784]
    weights = [torch.randn(a, b, device=options.device) for a, b in pairwise(sizes_)]
    begin, times = torch.randn(1000, latent, device=options.device), {"genmod": [], "products": []}
    for turn in range(4):
        for name in times:
            wait(options)
            began = time.perf_counter()
            if name == "genmod":
                genmod.evaluate(model, split, f"nll[{samples}]")
            else:
                for _ in range(max(1, images * samples // 1000)):
                    h = begin
                    for weight in weights:
                        h = h @ weight
            wait(options)
            if turn:
                times[name].append((time.perf_counter() - began) / images * 1000)
        if time.monotonic() > ends and turn:
            break
    return {name: {"seconds": statistics.median(each)} for name, each in times.items()}


def waits(options, ends):
    """Recipe → whether a step waits for the GPU, and for what."""
    found = {}
    for recipe in (
        ("vae",) if options.quick else ("vae", "iwae", "beta-tcvae", "vq-vae", "factor-vae", "cvae")
    ):
        if time.monotonic() > ends:
            break
        model = genmod.build(recipe)
        data = data_for(model.spec, model.data, None, None)
        run = run_of(model, data, options, 32)
        [run.once() for _ in range(3)]
        if options.device == "cuda":
            torch.cuda.set_sync_debug_mode("error")
        try:
            [run.once() for _ in range(5)]
            found[recipe] = {"waits": "no"}
        except RuntimeError as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            found[recipe] = {
                "waits": f"{str(error).splitlines()[0]:.80} ({Path(place.filename).name}:{place.lineno})"
            }
        finally:
            if options.device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
    return found


def recorded(options, ends):
    """Loss of validation with steps that are recorded and that are not, and what was said."""
    found = {}
    compiler, torch.compile = torch.compile, lambda terms, options: terms
    try:
        for how in (False, True):
            said = []
            model = genmod.build(encoder="mlp", latent=4)
            note = lambda event: said.append(event.text) if event.kind == "warning" else None  # noqa: B023,E731
            how_long = dict(steps=20 if options.quick else 280, batch_size=64)
            result = genmod.train(model, device=options.device, compile=how, on_event=note, **how_long)
            losses = [row["loss"] for row in result.rows]
            found["recorded" if how else "as it is"] = {"last loss": losses[-1], "said": "; ".join(said)}
    finally:
        torch.compile = compiler
    return found


def table(title, rows):
    columns = [
        key
        for key in dict.fromkeys(k for row in rows.values() for k in row)
        if key not in ("rates", "said") or (key == "said" and any(row.get("said") for row in rows.values()))
    ]
    lines = [f"### {title}", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [row.get(key, "") for key in columns]
        text = [f"{c:,.6g}" if isinstance(c, float) else "" if c is None else str(c) for c in cells]
        lines.append(f"| {name} | {' | '.join(text)} |")
    return "\n".join(lines) + "\n"


def with_ratios(rows):
    for other in ("pythae", "hand", "hand, recorded"):
        rate = rows.get(other, {}).get("images/s")
        for row in rows.values():
            if rate and row.get("images/s"):
                row[f"÷ {other}"] = row["images/s"] / rate
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="everything small: the script is tried")
    parser.add_argument("--sections", nargs="+", choices=SECONDS, default=list(SECONDS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=None)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT", ".")))
    options = parser.parse_args()
    options.steps = 2 if options.quick else 200
    options.models = options.models or (["mlp"] if options.quick else list(MODELS))
    if options.quick:
        options.batch, options.rounds = 16, 1
    warnings.simplefilter("ignore")
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    text, figures = [f"## {name}, torch {torch.__version__}, batch {options.batch}\n"], {"device": name}
    print(text[0], flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    for section in options.sections:
        began = time.monotonic()
        try:
            found = globals()[section](options, began + SECONDS[section])
            tables = found if section == "throughput" else {section: found}
            made = "\n".join(
                table(title, with_ratios(rows) if section == "throughput" else rows)
                for title, rows in tables.items()
            )
        except Exception as error:
            traceback.print_exc()
            found, made = {"failed": repr(error)}, f"### {section}\n\nfailed: {error!r:.300}\n"
        figures[section] = found
        text.append(f"{made}\n{time.monotonic() - began:.0f} s\n")
        print(text[-1], flush=True)
        # What there is so far, should the time be over.
        (options.output / "gpu.json").write_text(json.dumps(figures, indent=1))
        (options.output / "gpu.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()

"""Write README.md, and a picture of the learning curves, from the results in this folder.

    genmod reproduce iwae --quick -o runs/iwae && python reproductions/page.py add runs/iwae
    python reproductions/page.py

The first copies ``results.json`` here as ``iwae-quick.json``; the second makes the page anew.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent

HEAD = """# Published experiments, run again

Each is a file that `genmod list reproduction` lists, and one command runs it. What came out is kept in this folder as
data, with the command, versions, machine and seeds that made it; this page is made from them by
[page.py](page.py). **Quick** versions have a smaller budget than the protocol of the paper, and both are said: their figures
are on the way to the published ones, or show an order between models, and are no more than that. Times are those of a
machine that did other work meanwhile.

MNIST is made binary by drawing: a new draw of each training image each time, one draw of each test image, with the
seed that is given. The fixed binary images that other papers use cannot be had from it.
"""


def main(arguments):
    if arguments[:1] == ["add"]:
        for folder in arguments[1:]:
            results = json.loads((Path(folder) / "results.json").read_text(encoding="utf-8"))
            # Where it lay on the machine that ran it matters to nobody else.
            results["command"] = [
                f"runs/{results['name']}" if before == "-o" else word
                for before, word in zip(["", *results["command"]], results["command"], strict=False)
            ]
            place = HERE / f"{label(results)}.json"
            place.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            print(place)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.json"))]
    (HERE / "README.md").write_text(page(results), encoding="utf-8")
    for each in results:
        curves(each, HERE / "figures" / f"{label(each)}.png")


def label(results):
    return results["name"] + ("-quick" if results["quick"] else "")


def page(results):
    """The page as Markdown; a function of the results alone."""
    return "\n".join([HEAD, *(section(each) for each in results)])


def section(results):
    seconds = sum(run["train_seconds"] + run["measure_seconds"] for run in results["runs"])
    machine = results["environment"]
    lines = [
        f"## {results['name']}{', quick' if results['quick'] else ''}: {results['summary']}",
        "",
        f"*{results['paper']}*",
        "",
        f"Protocol: {' '.join(results['protocol'].split())}",
        "",
    ]
    if results["differences"]:
        lines += [f"Differences: {' '.join(results['differences'].split())}", ""]
    if results["quick"]:
        budget = results["budget"]
        lines += [f"Budget: **{words(budget['this'])}**, where the protocol has {words(budget['full'])}.", ""]
    if not results["complete"]:
        lines += ["**Not complete**: some of its models have not been run.", ""]
    lines += [
        f"`{' '.join(results['command'])}` took {seconds / 60:.0f} minutes in all ({machine['threads']} thread"
        f"{'s' * (machine['threads'] != 1)} of {machine['cpu_count']} cores, {machine['cpu_capability']}, "
        f"{machine['device']}; torch {results['versions']['torch']}, genmod-torch {results['versions']['genmod-torch']}; "
        f"{results['ended'][:10]}).",
        "",
        *table(
            ["run", "number", "value", "standard error", "of seeds"],
            [
                [
                    each["run"],
                    each["metric"],
                    figure(each["value"]),
                    figure(each["standard_error"]),
                    each["seeds"],
                ]
                for each in results["figures"]
            ],
        ),
    ]
    if results["targets"]:
        lines += table(
            ["run", "number", "published", "here", "difference", "tolerance", "verdict", "where"],
            [
                [
                    *(each["run"], each["metric"], figure(each["value"]), figure(each["ours"])),
                    *(
                        figure(each.get("difference")),
                        each["tolerance"],
                        f"**{each['verdict']}**",
                        each["source"],
                    ),
                ]
                for each in results["targets"]
            ],
        )
    if results["claims"]:
        lines += table(
            ["better", "than", "in", "difference here", "±", "verdict", "where"],
            [
                [
                    *(each["better"], each["than"], each["metric"], figure(each["difference"])),
                    *(figure(each.get("standard_error")), f"**{each['verdict']}**", each["source"]),
                ]
                for each in results["claims"]
            ],
        )
    return "\n".join([*lines, f"![Validation loss over epochs](figures/{label(results)}.png)", ""])


def words(budget):
    budget = dict(budget)
    batch, seeds = (budget.pop(key, None) for key in ("batch_size", "seeds"))
    found = [f"{value:,} {key.replace('_', ' ')}" for key, value in budget.items()]
    found += [f"batches of {batch:,}"] * (batch is not None)
    return ", ".join(found + [f"{seeds} seed{'s' * (seeds != 1)}"] * (seeds is not None))


def table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return [*(f"| {' | '.join(map(str, line))} |" for line in lines), ""]


def figure(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def curves(results, path):
    """Validation loss of every run over its epochs."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7, 3.5), layout="constrained")
    axes = drawing.subplots()
    for run in results["runs"]:
        epochs, losses = zip(*run["curve"], strict=True)
        several = len(results["seeds"]) > 1
        axes.plot(epochs, losses, label=f"{run['run']}, seed {run['seed']}" if several else run["run"])
    lowest = min(loss for run in results["runs"] for _, loss in run["curve"])
    latest = [loss for run in results["runs"] for epoch, loss in run["curve"] if epoch >= 0.1 * run["epochs"]]
    axes.set_ylim(lowest - 0.05 * (max(latest) - lowest + 1e-9), max(latest))
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation loss, nats")
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    path.parent.mkdir(exist_ok=True)
    drawing.savefig(path, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])

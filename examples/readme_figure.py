"""An autoencoder leaves gaps between its codes, a variational autoencoder does not: the README's first figure.

    python examples/readme_figure.py
    python examples/readme_figure.py --data mnist

Trains both with the same networks and two latent dimensions, and draws of each the codes of test examples, coloured
by class, what lies on the way between two of them, and what random points among them decode to, framed where that is
like no digit. Of the plain autoencoder nothing says where to draw; the points are anywhere in the box around its
codes. Those of the other come from its prior.

On the handwritten digits that come with scikit-learn this takes about a minute on two cores, on MNIST some five.
"""

import argparse
from pathlib import Path

import genmod
from genmod.figures import side_by_side

parser = argparse.ArgumentParser(description="Draw an autoencoder next to a variational autoencoder.")
parser.add_argument("--data", default="digits", help="a labelled image dataset: digits, mnist, fashion-mnist")
parser.add_argument("--steps", type=int, default=2000, help="optimizer steps")
parser.add_argument("--seed", type=int, default=0, help="of weights, training and the points drawn")
parser.add_argument(
    "--out",
    type=Path,
    default=Path(__file__).parent / "figures" / "autoencoder-vs-vae.png",
    help="file to write",
)
arguments = parser.parse_args()

models, splits, references = {}, {}, {}
for recipe, title in (("autoencoder", "Autoencoder"), ("vae", "Variational autoencoder")):
    model = genmod.build(
        recipe,
        data=arguments.data,
        latent=2,
        settings={"encoder.channels": (16, 32), "encoder.hidden": 128},
        seed=arguments.seed,
    )
    result = genmod.train(
        model, steps=arguments.steps, lr=2e-3, schedule="cosine", seed=arguments.seed, device="cpu"
    )
    print(f"{recipe}: {result.steps} steps in {result.seconds:.0f} s")
    data = genmod.open_dataset(model.spec)
    models[title], splits[title], references[title] = model, data.split("test"), data.split("train")

arguments.out.parent.mkdir(parents=True, exist_ok=True)
side_by_side(models, splits, references=references, seed=arguments.seed).savefig(
    arguments.out, dpi=90, pil_kwargs={"optimize": True}
)
print(f"wrote {arguments.out}")

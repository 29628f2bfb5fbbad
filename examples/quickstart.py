"""A variational autoencoder in Python: build, train, measure, draw, save, load.

    python examples/quickstart.py

Trains on the handwritten digits that come with scikit-learn, and writes ``samples.png``, ``reconstructions.png``
and a model directory into the folder ``quickstart``.
"""

import argparse
from pathlib import Path

import torch

import genmod
from genmod.figures import reconstruction_grid, sample_grid

parser = argparse.ArgumentParser(description="Build, train, measure and draw a variational autoencoder.")
parser.add_argument("--steps", type=int, default=3000, help="optimizer steps")
parser.add_argument("--out", type=Path, default=Path("quickstart"), help="where to write")
arguments = parser.parse_args()

# Parts by name, options by dotted path: the same spelling as on the command line.
model = genmod.build(encoder="conv", prior="normal", latent=16, settings={"encoder.hidden": 128})

result = genmod.train(model, steps=arguments.steps)
print(
    f"{result.steps} steps in {result.seconds:.0f} s; the best weights are those of step {result.best_step}"
)

test = genmod.open_dataset(model.spec).split("test")
for row in genmod.evaluate(model, test).rows:
    print(f"{row.name:12} {row.value:8.3f} ± {row.standard_error:.3f} {row.unit}")

# Encoder and decoder give torch distributions.
examples = test.in_memory().x[:8]
with torch.no_grad():
    x = model.observe(examples)  # binary images: this decoder draws them anew each time
    q = model.encode(x)  # batch_shape (8,), event_shape (16,)
    p = model.decode(q.mean)  # batch_shape (8,), event_shape (1, 8, 8)
print(
    f"the codes spread by {q.stddev.mean():.2f}; given its code a digit costs {-p.log_prob(x).mean():.1f} nats"
)

arguments.out.mkdir(parents=True, exist_ok=True)
sample_grid(model, 64).image().save(arguments.out / "samples.png")
reconstruction_grid(model, examples).image().save(arguments.out / "reconstructions.png")

directory = genmod.save(model, arguments.out / "model", overwrite=True)
again = genmod.load(directory)
assert torch.equal(again.sample(4, seed=0), model.sample(4, seed=0))
print(f"wrote {arguments.out}")

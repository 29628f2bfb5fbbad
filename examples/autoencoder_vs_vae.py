"""The first figure of the README: random codes of an autoencoder, decoded, beside samples of a VAE.

    python examples/autoencoder_vs_vae.py

Trains the recipes ``autoencoder`` and ``vae``, which have the same networks, on the handwritten digits that come
with scikit-learn, and decodes random points of either latent space: for the autoencoder, points drawn with the mean
and the spread of its codes; for the VAE, draws from its prior.
"""

import argparse
from pathlib import Path

from PIL import Image

import genmod
from genmod.assembly import open_dataset
from genmod.pictures import codes, random_decodings, sample_grid

FIGURE = Path(__file__).parent / "figures" / "autoencoder-vs-vae.png"

parser = argparse.ArgumentParser(description="Draw the first figure of the README.")
parser.add_argument("--steps", type=int, default=2000, help="optimizer steps of each model")
parser.add_argument("--out", type=Path, default=FIGURE, help="where to write the picture")
arguments = parser.parse_args()

autoencoder, vae = (genmod.build(recipe) for recipe in ("autoencoder", "vae"))
for model in (autoencoder, vae):
    genmod.train(model, steps=arguments.steps)

x = open_dataset(vae.spec).split("train").in_memory().x
left = random_decodings(autoencoder, codes(autoencoder, x), 48).image(columns=8)
right = sample_grid(vae, 48).image(columns=8)

figure = Image.new("RGB", (left.width + right.width, left.height), left.getpixel((0, 0)))
figure.paste(left, (0, 0))
figure.paste(right, (left.width, 0))
arguments.out.parent.mkdir(parents=True, exist_ok=True)
figure.save(arguments.out)
print(f"wrote {arguments.out}")

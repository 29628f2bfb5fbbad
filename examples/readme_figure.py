"""An autoencoder leaves gaps between its codes, a variational autoencoder does not: the README's first figure.

    python examples/readme_figure.py
    python examples/readme_figure.py --data mnist

Trains both with the same networks and two latent dimensions, and draws of each the codes of test examples,
coloured by class, random points among them, and what these points decode to. Of the plain autoencoder nothing says
where to draw; the points are anywhere in the box around its codes. Those of the other come from its prior.

On the handwritten digits that come with scikit-learn this takes about a minute on two cores, on MNIST some five.
"""

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

import genmod
from genmod.assembly import open_dataset
from genmod.pictures import Picture, choose_examples, codes, grid, random_decodings, sample_grid
from genmod.pictures.grid import MARGIN, PAPER, default_font

POINTS = 50
COLUMNS = 10
FINE = 3  # The map is drawn three times as large and then reduced, for smooth edges.
INK, QUIET, FRAME = (25, 25, 28), (105, 105, 110), (205, 205, 208)
COLOURS = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (90, 90, 90), (188, 189, 34), (23, 190, 207),
)  # fmt: skip


def draw_map(z: Tensor, labels: Tensor, points: Tensor, width: int, height: int) -> Image.Image:
    """Codes ``z (N, 2)`` coloured by class, and circles where the random ``points (M, 2)`` fell."""
    image = Image.new("RGB", (width * FINE, height * FINE), "white")
    draw = ImageDraw.Draw(image)
    everything = torch.cat([z, points])
    low, high = everything.amin(0), everything.amax(0)
    size = torch.tensor([width, height]) * FINE
    margin = 14 * FINE

    def circles(places: Tensor, radius: float, colours: list, **style) -> None:
        x = margin + (places - low) / (high - low) * (size - 2 * margin)
        for (right, up), colour in zip(x.tolist(), colours, strict=True):
            down = height * FINE - up
            draw.ellipse(
                [right - radius, down - radius, right + radius, down + radius], **{**style, **colour}
            )

    circles(z, 2.4 * FINE, [{"fill": COLOURS[label % len(COLOURS)]} for label in labels.tolist()])
    circles(points, 5.2 * FINE, [{"outline": "white"}] * len(points), width=3 * FINE)
    circles(points, 4.6 * FINE, [{"outline": INK}] * len(points), width=round(1.5 * FINE))
    draw.rectangle([0, 0, width * FINE - 1, height * FINE - 1], outline=FRAME, width=FINE)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def draw_panel(
    title: str, lines: tuple[str, str], z: Tensor, labels: Tensor, decoded: Picture
) -> Image.Image:
    """Half of the figure: title, map of the codes, decodings."""
    decodings = grid(decoded.images, data=decoded.data, columns=COLUMNS, scale=scale_for(decoded))
    decodings = decodings.crop((MARGIN, MARGIN, decodings.width - MARGIN, decodings.height - MARGIN))
    width, top, between = decodings.width, 68, 40
    plot = draw_map(z, labels, decoded.latents, width, round(0.72 * width))
    panel = Image.new("RGB", (width, top + plot.height + between + decodings.height), PAPER)
    draw = ImageDraw.Draw(panel)
    draw.text((0, 0), title, fill=INK, font=default_font(26))
    draw.text((0, 38), lines[0], fill=QUIET, font=default_font(15))
    panel.paste(plot, (0, top))
    draw.text((0, top + plot.height + 13), lines[1], fill=QUIET, font=default_font(15))
    panel.paste(decodings, (0, top + plot.height + between))
    return panel


def scale_for(picture: Picture) -> int:
    """Enlarge to at least 40 pixels."""
    return -(-40 // picture.data.shape[-1])


def draw_legend(classes: tuple[str, ...], width: int) -> Image.Image:
    """A coloured dot and a name for each class."""
    legend = Image.new("RGB", (width, 22), PAPER)
    draw, font, x = ImageDraw.Draw(legend), default_font(15), 0
    for number, name in enumerate(classes):
        draw.ellipse([x, 6, x + 9, 15], fill=COLOURS[number % len(COLOURS)])
        draw.text((x + 15, 11), name, fill=QUIET, font=font, anchor="lm")
        x += 15 + round(font.getlength(name)) + 18
    return legend


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

panels = []
for recipe, title, lines in (
    (
        "autoencoder",
        "Autoencoder",
        ("codes of test examples; circles: anywhere in the box around them", "what the circles decode to"),
    ),
    (
        "vae",
        "Variational autoencoder",
        ("codes of test examples; circles: draws from the prior", "what the circles decode to"),
    ),
):
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
    test = choose_examples(open_dataset(model.spec).split("test"), 1000, seed=arguments.seed)
    z = codes(model, test.x, seed=arguments.seed)
    if recipe == "vae":
        decoded = sample_grid(model, POINTS, seed=arguments.seed)
    else:
        decoded = random_decodings(model, z, POINTS, seed=arguments.seed, box=True)
    panels.append(draw_panel(title, lines, z, test.labels, decoded))

edge, middle = 20, 44
legend = draw_legend(model.data.classes, panels[0].width)
figure = Image.new(
    "RGB",
    (2 * edge + middle + sum(p.width for p in panels), 2 * edge + panels[0].height + 14 + legend.height),
    PAPER,
)
figure.paste(panels[0], (edge, edge))
figure.paste(panels[1], (edge + panels[0].width + middle, edge))
figure.paste(legend, (edge, edge + panels[0].height + 14))
arguments.out.parent.mkdir(parents=True, exist_ok=True)
figure.save(arguments.out, optimize=True)
print(f"wrote {arguments.out}")

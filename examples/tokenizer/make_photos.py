"""A collection of pictures that look like photographs, made by numbers alone: landscapes, surfaces, things, signs, lights.

    python make_photos.py photos
    python make_photos.py photos --count 200 --seed 1

The pictures are in colour, of 64 to 400 pixels a side, three in four JPEG and one in four PNG; two PNG have 16 bits. Each is a
function of the seed and its number, so that a larger collection begins with the smaller one. 3,000 take about two minutes.
"""

import argparse
import colorsys
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Array = NDArray[np.float64]

DEEP = (3, 11)
"""Numbers of the pictures of 16 bits."""
WORDS = (
    "OPEN",
    "CAFE",
    "EXIT",
    "Market",
    "Hotel",
    "24h",
    "Nord",
    "Museum",
    "Platform",
    "Books",
    "No.5",
    "STOP",
    "Radio",
)


def colours(rng: Generator, n: int) -> Array:
    """Colours that go together, dark to light: ``(n, 3)`` in [0, 1]."""
    hue, spread = rng.random(), rng.choice([0.04, 0.12, 0.5])
    lightness = np.sort(rng.uniform(0.1, 0.92, n))
    return np.array(
        [
            colorsys.hls_to_rgb((hue + spread * rng.normal()) % 1, v, rng.uniform(0.15, 0.75))
            for v in lightness
        ]
    )


def noise(rng: Generator, h: int, w: int, power: float, stretch: float = 1.0) -> Array:
    """Smooth noise ``(h, w)`` in [0, 1], whose spectrum falls with the frequency to the given power."""
    y, x = np.fft.fftfreq(h)[:, None] * stretch, np.fft.rfftfreq(w)[None] / stretch
    radius = np.sqrt(y**2 + x**2 + 1e-4)
    spectrum = rng.normal(size=radius.shape) + 1j * rng.normal(size=radius.shape)
    made = np.fft.irfft2(spectrum / radius**power, (h, w))
    return (made - made.min()) / (np.ptp(made) + 1e-9)


def blend(below: Array, colour: Array, opacity: Array) -> Array:
    """A colour ``(3,)`` or picture laid over another one, with an opacity for each pixel ``(h, w)``."""
    return below + opacity[..., None] * (colour - below)


def ramp(values: Array, stops: Array) -> Array:
    """Values in [0, 1] as colours, by interpolation between ``stops (n, 3)``."""
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(values, places, stops[:, c]) for c in range(3)], -1)


def places(h: int, w: int) -> tuple[Array, Array]:
    """Heights from 0 at the top to 1, and widths in the same unit: both ``(h, w)``."""
    y, x = np.mgrid[:h, :w] / h
    return y, x


def landscape(rng: Generator, h: int, w: int) -> Array:
    """Sky with clouds and a sun, and ranges of hills that fade into the haze."""
    y, x = places(h, w)
    tones = colours(rng, 6)
    made = ramp(y.clip(0, 1), np.stack([tones[3], tones[4], tones[5]]))
    made = blend(made, np.ones(3), 0.8 * (noise(rng, h, w, 1.8, 0.5) * 2.4 - 1.1).clip(0, 1))
    sun = np.hypot(y - rng.uniform(0.1, 0.5), x - rng.uniform(0, w / h))
    made = blend(made, np.array([1, 0.95, 0.8]), np.exp(-((sun / rng.uniform(0.05, 0.2)) ** 2)))
    ranges = rng.integers(2, 6)
    for i in range(ranges):
        line = noise(rng, 1, w, rng.uniform(1.3, 2))[0]
        top = 0.35 + 0.55 * (i + 0.5) / ranges + 0.3 * (line - 0.5) / (1 + i / 2)
        grain = 0.7 + 0.6 * noise(rng, h, w, 1.0, 0.7)[..., None]
        haze = (ranges - 1 - i) / ranges
        ground = (tones[i % 3] * (1 - haze) + tones[4] * haze) * grain
        made = blend(made, ground, ((y - top[None]) * h).clip(0, 1))
    return made


def surface(rng: Generator, h: int, w: int) -> Array:
    """Stone, wood, cloth or skin: rough noise in a few colours, lit from one side."""
    relief = noise(rng, h, w, rng.uniform(0.8, 1.8), rng.choice([0.3, 1.0, 1.0, 3.0]))
    if rng.random() < 0.3:  # grain of wood
        relief = 0.5 + 0.5 * np.sin(relief * rng.uniform(20, 60))
    down, right = np.gradient(relief)
    light = 1 + rng.uniform(2, 8) * (down * rng.normal() + right * rng.normal())
    return ramp(relief, colours(rng, rng.integers(2, 6))) * light.clip(0.4, 1.6)[..., None]


def tiles(rng: Generator, h: int, w: int) -> Array:
    """Cells around random points, as of a stone floor or leaves, with joints between them."""
    y, x = places(h, w)
    points = rng.random((rng.integers(8, 50), 2)) * (1, w / h)
    away = np.hypot(y[..., None] - points[:, 0], x[..., None] - points[:, 1])
    nearest = np.partition(away, 1, axis=-1)[..., :2]
    tones = colours(rng, 5)
    each = tones[rng.integers(1, 5, len(points))] * rng.uniform(0.7, 1.1, (len(points), 1))
    made = each[away.argmin(-1)] * (0.7 + 0.6 * noise(rng, h, w, 1.2)[..., None])
    return blend(made, tones[0], 1 - ((nearest[..., 1] - nearest[..., 0]) * 60).clip(0, 1))


def cloth(rng: Generator, h: int, w: int) -> Array:
    """Stripes and checks that are turned and bent, as on cloth with folds."""
    y, x = places(h, w)
    angle, bend = rng.uniform(0, np.pi), rng.uniform(0, 0.3) * noise(rng, h, w, 2.2)
    along, across = np.cos(angle) * x + np.sin(angle) * y + bend, np.cos(angle) * y - np.sin(angle) * x + bend
    bands = 0.5 + 0.5 * np.tanh(3 * np.sin(along * rng.uniform(15, 60)))
    if rng.random() < 0.6:
        bands = 0.5 * bands + 0.25 + 0.25 * np.tanh(3 * np.sin(across * rng.uniform(15, 60)))
    return ramp(bands, colours(rng, 3)) * (0.5 + 0.8 * noise(rng, h, w, 2.0)[..., None])


def things(rng: Generator, h: int, w: int) -> Array:
    """Balls with light, gloss and shadows on a table before a wall."""
    y, x = places(h, w)
    tones, edge = colours(rng, 4), rng.uniform(0.35, 0.6)
    made = ramp(y.clip(0, 1), tones[2:]) * (0.85 + 0.3 * noise(rng, h, w, 1.5)[..., None])
    table = tones[1] * (0.7 + 0.5 * noise(rng, h, w, 1.2, 0.4)[..., None])
    made = blend(made, table, ((y - edge) * h).clip(0, 1))
    side = rng.choice([-1.0, 1.0])
    for depth in np.sort(rng.uniform(edge, 0.95, rng.integers(1, 7))):
        r, middle = rng.uniform(0.06, 0.2) * (0.5 + depth), rng.uniform(0, w / h)
        shadow = np.hypot((x - middle - side * 0.6 * r) / 1.5, (y - depth) * 3) / r
        made = blend(made, np.zeros(3), 0.6 * np.exp(-(shadow**4)))
        u, v = (x - middle) / r, (y - depth + r) / r
        height = np.sqrt((1 - u**2 - v**2).clip(0))
        lit = (0.25 + 0.75 * (height * 0.6 - v * 0.55 - side * u * 0.55)).clip(0.08, 1.2)
        gloss = np.exp(-((u + side * 0.35) ** 2 + (v + 0.4) ** 2) * 30)
        ball = colours(rng, 3)[rng.integers(1, 3)] * lit[..., None] + gloss[..., None]
        made = blend(made, ball, ((1 - np.hypot(u, v)) * r * h).clip(0, 1))
    return made


def lights(rng: Generator, h: int, w: int) -> Array:
    """Lamps out of focus before the night."""
    y, x = places(h, w)
    tones = colours(rng, 4)
    made = ramp(y.clip(0, 1), tones[:2] * 0.5) * (0.6 + 0.8 * noise(rng, h, w, 1.8)[..., None])
    for _ in range(rng.integers(5, 40)):
        r = rng.uniform(0.02, 0.16)
        away = np.hypot(y - rng.random(), x - rng.random() * w / h)
        colour = np.array(colorsys.hls_to_rgb(rng.random(), 0.6, 0.9))
        made = blend(made, colour, rng.uniform(0.15, 0.7) * ((r - away) * h / 2).clip(0, 1))
    return made


def sign(rng: Generator, h: int, w: int) -> Array:
    """Boards with words and simple shapes before a blurred street."""
    behind = [landscape, tiles, lights, surface][rng.integers(4)](rng, h, w)
    image = as_image(behind).filter(ImageFilter.GaussianBlur(rng.uniform(0, h / 40)))
    draw, tones = ImageDraw.Draw(image), [tuple((255 * tone).astype(int)) for tone in colours(rng, 5)]
    for _ in range(rng.integers(0, 4)):
        points = [(rng.uniform(0, w), rng.uniform(0, h)) for _ in range(rng.integers(3, 6))]
        draw.polygon(points, fill=tones[rng.integers(5)])
    for _ in range(rng.integers(1, 4)):
        font = ImageFont.load_default(rng.uniform(0.09, 0.25) * h)
        place, dark = (rng.uniform(-0.1, 0.6) * w, rng.uniform(0, 0.8) * h), rng.random() < 0.5
        text = " ".join(rng.choice(WORDS, rng.integers(1, 4)))
        left, top, right, bottom = draw.textbbox(place, text, font=font)
        pad = h * rng.uniform(0.01, 0.06)
        draw.rounded_rectangle(
            (left - pad, top - pad, right + pad, bottom + pad),
            radius=pad,
            fill=tones[0 if dark else 4],
            outline=tones[2],
            width=max(1, round(pad / 4)),
        )
        draw.text(place, text, font=font, fill=tones[4 if dark else 0])
    return np.asarray(image) / 255


def picture(number: int, seed: int = 0) -> Array:
    """The picture of a number: ``(height, width, 3)`` in [0, 1]."""
    rng = default_rng([seed, number])
    h, w = (int(side) for side in 2 ** rng.uniform(6, np.log2(400), 2))
    h, w = max(h, w // 2), max(w, h // 2)
    scene = [landscape, surface, tiles, cloth, things, lights, sign][number % 7]
    made = scene(rng, h, w)
    y, x = places(h, w)
    corner = 1 - rng.uniform(0, 0.5) * ((y - 0.5) ** 2 + (x - w / h / 2) ** 2)
    made = made * rng.uniform(0.85, 1.15) * corner[..., None]
    return (made + rng.normal(0, rng.uniform(0, 0.02), made.shape)).clip(0, 1)


def as_image(values: Array) -> Image.Image:
    return Image.fromarray(np.rint(255 * values.clip(0, 1)).astype(np.uint8))


def save_deep(path: Path, values: Array) -> None:
    """Write a PNG with 16 bits of each colour, which Pillow cannot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    h, w, _ = values.shape
    rows = np.rint(65535 * values).astype(">u2").reshape(h, -1).view(np.uint8)
    unfiltered = np.pad(rows, ((0, 0), (1, 0))).tobytes()
    head = struct.pack(">2I5B", w, h, 16, 2, 0, 0, 0)
    whole = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(unfiltered)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + whole)


def save(folder: Path, number: int, seed: int = 0) -> None:
    """Write the picture of a number into a folder."""
    made = picture(number, seed)
    if number in DEEP:
        save_deep(folder / f"{number:05}.png", made)
    elif number % 4 == 3:
        as_image(made).save(folder / f"{number:05}.png")
    else:
        as_image(made).save(folder / f"{number:05}.jpg", quality=85 + number % 10)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make pictures that look like photographs.")
    parser.add_argument("folder", type=Path, help="where they go")
    parser.add_argument("--count", type=int, default=3000, help="number of pictures")
    parser.add_argument("--seed", type=int, default=0, help="of all of them")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        save(arguments.folder, number, arguments.seed)
    print(f"{arguments.count} pictures in {arguments.folder}")

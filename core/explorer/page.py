"""The page: one self-contained HTML document, for the server and for a file."""

import base64
import hashlib
import html
import itertools
import json
import math
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Any

from genmod.errors import UndefinedError
from genmod.explorer.graph import decoder_graph, encoder_graph
from genmod.explorer.scene import draw, packed
from genmod.model.latent_variable import LatentVariableModel

__all__ = ["NETWORK", "Page", "page", "standalone"]

_MAIN = (
    "backend.js",
    "latent.js",
    "picture.js",
    "examples.js",
    "moving.js",
    "map.js",
    "under.js",
    "walk.js",
    "own.js",
    "start.js",
)
NETWORK = ("tensor.js", "layers.js", "network.js")
"""Files of the script that decodes in a browser, in order."""

_MOST_DRAWS = 256
_MOST_NUMBERS = 262_144
_MOST_CONDITIONS = 100
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Page:
    """A document and its security policy.

    Args:
        document: HTML.
        policy: its Content-Security-Policy, which lists all that may run, load or connect.
    """

    document: str
    policy: str


def page(scene: dict[str, Any], *, alone: bool = False) -> Page:
    """The page of a scene.

    Facts about a model are data in the page, never markup or code: they are written as JSON without the sign ``<``, and
    shown as text.

    Args:
        scene: from :func:`genmod.explorer.scene`, with ``networks`` and ``draws`` for a page without a server.
        alone: decode in the browser, without a server.

    Example:
        >>> "<b>" in page({"name": "<b>"}).document
        False
    """
    main, style = _assets(*_MAIN), _assets("style.css")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash(main)}",
            f"style-src {_hash(style)}",
            "worker-src blob:" if alone else "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    document = Template(_assets("page.html")).substitute(
        policy=html.escape(policy),
        title=html.escape(str(scene["name"])),
        style=style,
        scene=json.dumps(scene, allow_nan=False, ensure_ascii=True).replace("<", "\\u003c"),
        worker=_assets(*NETWORK, "worker.js") if alone else "",
        main=main,
    )
    return Page(document, policy)


def standalone(
    model: LatentVariableModel, scene: dict[str, Any], *, half: bool = False, seed: int = 0
) -> tuple[Page, str]:
    """A page that decodes by itself, and the reason if it cannot encode.

    Args:
        model: whose decoder, and encoder where possible, are put into the page.
        scene: of the model, from :func:`genmod.explorer.scene`.
        half: weights of 16 bits.
        seed: of the draws from the prior.

    Raises:
        UndefinedError: the browser lacks an operation of the decoder, or the decoder has too many weights.
    """
    decode = decoder_graph(model)
    wide = 2 if half else 4
    if wide * decode.size > _MOST_BYTES:
        raise UndefinedError(
            f"the decoder has {wide * decode.size / 1e6:,.0f} MB of weights; a page holds {_MOST_BYTES / 1e6:,.0f} MB",
            hint="half of them: --half; or explore it while genmod runs: genmod explore DIR",
        )
    networks = {"decode": decode.to_json(half=half)}
    reason = ""
    try:
        encode = encoder_graph(model)
        if wide * (decode.size + encode.size) > _MOST_BYTES:
            reason = f"the encoder has another {wide * encode.size / 1e6:,.0f} MB of weights"
        else:
            networks["encode"] = encode.to_json(half=half)
    except UndefinedError as error:
        reason = error.message
    whole = {**scene, "networks": networks, "draws": _draws(model, seed), "reason": reason}
    return page(whole, alone=True), reason


def _draws(model: LatentVariableModel, seed: int) -> dict[str, str]:
    """Latents from the prior, for each choice of the conditions that it depends on; none where those are too many."""
    count = max(8, min(_MOST_DRAWS, _MOST_NUMBERS // math.prod(model.latent_shape)))
    try:
        sizes = [] if model.conditions is None else [len(v) for v in model.conditions.values.values()]
        if not (model.latents_need_context and model.sampler_for(None) is None):
            return {"": packed(draw(model, count, [0] * len(sizes), seed=seed))}
        if math.prod(sizes) > _MOST_CONDITIONS:
            return {}
        each = max(8, count // math.prod(sizes))
        choices = itertools.product(*(range(size) for size in sizes))
        return {",".join(map(str, given)): packed(draw(model, each, given, seed=seed)) for given in choices}
    except UndefinedError:
        return {}


def _assets(*names: str) -> str:
    return "".join((files("genmod.explorer") / "static" / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode(errors='backslashreplace')).digest()).decode()}'"

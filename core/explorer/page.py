"""The page: one HTML document with everything in it, for the server and for a file alike."""

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

_MAIN = ("backend.js", "latent.js", "map.js", "walk.js", "start.js")
NETWORK = ("tensor.js", "layers.js", "network.js")
"""What decodes in a browser; one after the other they are one script."""

_MOST_DRAWS = 256
_MOST_NUMBERS = 262_144
_MOST_CONDITIONS = 100
_MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Page:
    """A document and the policy that a browser is to hold it to.

    Args:
        document: HTML.
        policy: its Content-Security-Policy: nothing may run, load or connect that is not named there.
    """

    document: str
    policy: str


def page(scene: dict[str, Any], *, alone: bool = False) -> Page:
    """The page of a scene.

    Whatever is said of a model is data in the page, never markup or code: it is written as JSON without the sign
    ``<``, and shown as text.

    Args:
        scene: what :func:`genmod.explorer.scene` says, with ``networks`` and ``draws`` if it is to be alone.
        alone: decode in the browser, rather than ask a server.

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
    """A page that decodes by itself, and why it cannot encode, where it cannot.

    Args:
        model: whose decoder, and encoder where possible, go into the page.
        scene: what :func:`genmod.explorer.scene` says of it.
        half: weights of 16 bits.
        seed: of the draws from the prior.

    Raises:
        UndefinedError: the decoder has an operation that is not known in the browser, or more weights than it holds.
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
    return page({**scene, "networks": networks, "draws": _draws(model, seed)}, alone=True), reason


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
        return {",".join(map(str, told)): packed(draw(model, each, told, seed=seed)) for told in choices}
    except UndefinedError:
        return {}


def _assets(*names: str) -> str:
    return "".join((files("genmod.explorer") / "static" / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode(errors='backslashreplace')).digest()).decode()}'"

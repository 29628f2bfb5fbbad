"""The page, served to browsers on this machine alone."""

import asyncio
import json
import math
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor

from genmod.data.dataset import Split
from genmod.errors import FileError, GenmodError, UndefinedError
from genmod.explorer.page import page
from genmod.explorer.scene import context_of, draw, scene
from genmod.explorer.typical import decoded
from genmod.figures.views import encode_centres, observed
from genmod.model.latent_variable import LatentVariableModel

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from uvicorn import Server

__all__ = ["bind", "explorer_app", "make_server"]

_MOST_LATENTS = 32
_BYTES_OF_A_NUMBER = 32
_WAITING = 16


def bind(port: int = 0) -> socket.socket:
    """A socket of 127.0.0.1, which other machines cannot reach.

    Args:
        port: which one; 0 takes one that is free.

    Raises:
        FileError: the port is taken, or may not be used.

    Example:
        >>> with bind() as listening:
        ...     listening.getsockname()[0]
        '127.0.0.1'
    """
    # Only of a socket that says TCP does asyncio switch off Nagle's algorithm, which would add 40 ms to every answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # On Windows the option of that name would let any other program take the port over; this one forbids it.
    exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR if exclusive is None else exclusive, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise FileError(
            f"port {port} of this machine cannot be used: {error.strerror or error}",
            hint="leave --port out to have a free one",
        ) from None
    return listening


def make_server(app: "Starlette") -> "Server":
    """The server of an application: ``.run(sockets=[…])`` until Ctrl-C, which is raised again afterwards."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def explorer_app(
    model: LatentVariableModel,
    split: Split | None,
    *,
    name: str,
    token: str,
    port: int,
    seed: int = 0,
    number: int | None = None,
) -> "Starlette":
    """The page of a model and its API, as an ASGI application.

    ``GET /?token=…`` gives the page; ``POST api/decode``, ``api/encode`` and ``api/draw``, with the token in the header
    ``X-Genmod-Token``, take JSON and give numbers of single precision. Other requests get a status of 4xx and
    ``{"error": …}``: another host, by which a foreign page could reach this one, a wrong token, a body that is too large
    or malformed.

    Args:
        model: any model.
        split: examples to show; see :func:`genmod.explorer.scene`.
        name: of the model.
        token: secret of all requests.
        port: of the server.
        seed: of the choice of examples, and of draws.
        number: of examples, if fewer than a page takes.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route

    plain = scene(model, split, name=name, seed=seed, number=number)
    shown = page({**plain, "drawable": _can_draw(model, plain)})
    # The first pass of a network is the slowest, so it is done here.
    context = context_of(model, [0] * len(plain["conditions"]))
    decoded(model, torch.zeros(1, *model.latent_shape), context)
    # One at a time, since two passes on one device are no faster; with one thread of torch, since several would wait
    # for each other longer than one example takes.
    worker = ThreadPoolExecutor(
        1, thread_name_prefix="genmod-explore", initializer=torch.set_num_threads, initargs=(1,)
    )
    waiting = 0
    draws = iter(range(seed, 2**62))
    most = 65_536 + _BYTES_OF_A_NUMBER * max(_MOST_LATENTS * math.prod(model.latent_shape), model.data.size)

    async def done(work: Callable[[], Tensor]) -> Response:
        nonlocal waiting
        if waiting >= _WAITING:
            raise HTTPException(503, "too many requests at once")
        waiting += 1
        try:
            values = await asyncio.get_running_loop().run_in_executor(worker, work)
        except GenmodError as error:
            raise HTTPException(400, error.message) from None
        finally:
            waiting -= 1
        content = values.detach().cpu().float().numpy().astype("<f4").tobytes()
        return Response(content, media_type="application/octet-stream")

    async def index(request: "Request") -> Response:
        return HTMLResponse(shown.document)

    async def decode(request: "Request") -> Response:
        body = await _body(request, most)
        given = _conditions_of(model, body)
        latents = body.get("latents")
        if not isinstance(latents, list) or not 1 <= len(latents) <= _MOST_LATENTS:
            _bad(f"latents is a list of 1 to {_MOST_LATENTS} latents")
        size = math.prod(model.latent_shape)
        z = torch.stack([_numbers(latent, size, "a latent") for latent in latents])

        def work() -> Tensor:
            context = context_of(model, given)
            context = None if context is None else context.expand(len(z), -1)
            return decoded(model, z.reshape(-1, *model.latent_shape), context)

        return await done(work)

    async def encode(request: "Request") -> Response:
        body = await _body(request, most)
        given = _conditions_of(model, body)
        values = _numbers(body.get("values"), model.data.size, "an example", missing=model.data.missing)
        x = values.reshape(1, *model.data.shape).clamp(model.data.low, model.data.high)

        def work() -> Tensor:
            seen = observed(model, x.to(model.device, model.dtype), seed=seed)
            return encode_centres(model, seen, context=context_of(model, given), seed=seed)

        return await done(work)

    async def drawn(request: "Request") -> Response:
        given = _conditions_of(model, await _body(request, most))
        return await done(lambda: draw(model, 1, given, seed=next(draws)))

    async def refused(request: "Request", error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    async def failed(request: "Request", error: Exception) -> Response:
        return JSONResponse({"error": f"{type(error).__name__} in genmod"}, 500)

    routes = [
        Route("/", index),
        Route("/api/decode", decode, methods=["POST"]),
        Route("/api/encode", encode, methods=["POST"]),
        Route("/api/draw", drawn, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(_Guard, token=token, port=port, policy=shown.policy)],
        exception_handlers={HTTPException: refused, Exception: failed},
    )


class _Guard:
    """Lets requests of the page alone through, and adds security headers to every answer."""

    def __init__(self, app: Any, *, token: str, port: int, policy: str) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.headers = {
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def __call__(
        self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        from starlette.datastructures import MutableHeaders
        from starlette.requests import Request
        from starlette.responses import JSONResponse

        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self.headers)
            await send(message)

        if scope["type"] != "http":
            return
        refusal = self._refusal(Request(scope))
        if refusal is None:
            await self.app(scope, receive, marked)
        else:
            status, text = refusal
            await JSONResponse({"error": text}, status)(scope, receive, marked)

    def _refusal(self, request: "Request") -> tuple[int, str] | None:
        if request.headers.get("host", "") not in self.hosts:
            return 421, "this is not the host that was asked for"
        origin = request.headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.hosts}:
            return 403, "another page may not ask"
        of_page, of_api = request.query_params.get("token", ""), request.headers.get("x-genmod-token", "")
        given = of_page if request.url.path == "/" else of_api
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            return 403, "wrong token: open the whole address that genmod explore printed"
        return None


def _can_draw(model: LatentVariableModel, plain: Mapping[str, Any]) -> bool:
    try:
        draw(model, 1, [0] * len(plain["conditions"]), seed=0)
    except UndefinedError:
        return False
    return True


def _bad(text: str, status: int = 400) -> NoReturn:
    from starlette.exceptions import HTTPException

    raise HTTPException(status, text)


async def _body(request: "Request", most: int) -> dict[str, Any]:
    """The JSON object of a request, read up to its limit."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        _bad("the body is to be application/json", 415)
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > most:
            _bad(f"the body is longer than {most:,} bytes", 413)
    try:
        plain = json.loads(content, parse_constant=_not_a_number)
    except (RecursionError, ValueError):
        _bad("the body is no JSON")
    if not isinstance(plain, dict):
        _bad("the body is no JSON object")
    return plain


def _not_a_number(text: str) -> NoReturn:
    raise ValueError(text)


def _numbers(given: Any, size: int, what: str, *, missing: bool = False) -> Tensor:
    """``size`` finite numbers, ``(size,)``; None is a missing value where these are allowed."""
    if not isinstance(given, list) or len(given) != size:
        got = f"{len(given)} values" if isinstance(given, list) else type(given).__name__
        _bad(f"{what} is a list of {size} numbers, not {got}")
    if missing:
        given = [math.nan if value is None else value for value in given]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in given):
        _bad(f"{what} is made of numbers")
    try:
        values = torch.tensor(given, dtype=torch.float32)
    except (OverflowError, RuntimeError, ValueError):
        _bad(f"{what} has a number that is too large")
    if bool(values.isinf().any()) or (not missing and bool(values.isnan().any())):
        _bad(f"{what} has a number that is too large")
    return values


def _conditions_of(model: LatentVariableModel, body: Mapping[str, Any]) -> list[int]:
    """The number of each condition."""
    sizes = [] if model.conditions is None else [len(values) for values in model.conditions.values.values()]
    given = body.get("given", [])
    fits = isinstance(given, list) and len(given) == len(sizes)
    if not fits or not all(
        isinstance(i, int) and not isinstance(i, bool) and 0 <= i < n
        for i, n in zip(given, sizes, strict=True)
    ):
        _bad(f"given is a list of {len(sizes)} numbers of conditions, each from 0, below {sizes}")
    return given

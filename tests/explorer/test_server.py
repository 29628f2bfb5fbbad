"""What the server answers to the page, and what it refuses to everybody else."""

import asyncio
import json
import socket
from dataclasses import dataclass
from urllib.parse import unquote

import pytest
import torch

import genmod
from genmod.data.dataset import Batch, TensorSplit
from genmod.errors import FileError
from genmod.explorer import bind, explorer_app
from genmod.figures.views import decode_means

dumped = json.dumps
TOKEN = {"X-Genmod-Token": "secret"}
HOST = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return genmod.build("cvae", encoder="mlp", data="digits", latent=3).eval()


@dataclass(frozen=True)
class Answer:
    status_code: int
    headers: dict
    content: bytes

    @property
    def text(self):
        return self.content.decode(errors="replace")

    def json(self):
        return json.loads(self.content)


class Client:
    """Asks an ASGI application as a web server would, with whatever headers a test wants."""

    def __init__(self, app):
        self.app = app

    def ask(self, method, url, *, headers=(), content=b"", parts=2):
        path, _, query = url.partition("?")
        given = {"host": "127.0.0.1:8000", **{name.lower(): value for name, value in dict(headers).items()}}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path), "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(n.encode(), v if isinstance(v, bytes) else v.encode()) for n, v in given.items()],
            "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        step = max(1, -(-len(content) // parts))
        pieces = [content[i : i + step] for i in range(0, len(content), step)] or [b""]
        sent = []

        async def receive():
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        answered = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], answered, b"".join(m.get("body", b"") for m in sent[1:]))

    def get(self, url, headers=()):
        return self.ask("GET", url, headers=headers)

    def options(self, url, headers=()):
        return self.ask("OPTIONS", url, headers=headers)

    def post(self, url, headers=(), json=None, content=None):
        kind = {"Content-Type": "application/json"}
        text = dumped(json).encode() if content is None else content
        return self.ask("POST", url, headers={**kind, **dict(headers)}, content=text)


@pytest.fixture(scope="module")
def client(model):
    split = TensorSplit(Batch(torch.randint(0, 17, (20, 1, 8, 8), dtype=torch.uint8), torch.arange(20) % 10))
    return Client(explorer_app(model, split, name="digits", token="secret", port=8000))


def numbers(answer):
    assert answer.status_code == 200, answer.text
    return torch.frombuffer(bytearray(answer.content), dtype=torch.float32)


def test_it_decodes_what_the_model_decodes(client, model):
    z = [[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]]
    got = numbers(client.post("/api/decode", json={"latents": z, "given": [7]}, headers=TOKEN))
    context = torch.nn.functional.one_hot(torch.tensor([7, 7]), 10).float()
    assert torch.equal(got, decode_means(model, torch.tensor(z), context=context).flatten())


def test_it_encodes_and_draws(client, model):
    x = torch.zeros(1, 1, 8, 8)
    x[..., 2:6, 3] = 1
    got = numbers(
        client.post("/api/encode", json={"values": x.flatten().tolist(), "given": [1]}, headers=TOKEN)
    )
    context = torch.nn.functional.one_hot(torch.tensor([1]), 10).float()
    with torch.no_grad():
        torch.testing.assert_close(got, model.encode(x, context).mean.flatten())
    drawn = [numbers(client.post("/api/draw", json={"given": [1]}, headers=TOKEN)) for _ in range(2)]
    assert drawn[0].shape == (3,)
    assert not torch.equal(*drawn)


def test_the_page_needs_the_token(client):
    page = client.get("/?token=secret")
    assert page.status_code == 200
    assert "digits" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for url in ("/", "/?token=wrong", "/?token="):
        answer = client.get(url)
        assert answer.status_code == 403
        assert "token" in answer.json()["error"]
        assert "digits" not in answer.text
    body = {"latents": [[0, 0, 0]], "given": [0]}
    assert client.post("/api/decode", json=body).status_code == 403
    assert client.post("/api/decode?token=secret", json=body).status_code == 403
    assert client.post("/api/decode", json=body, headers={"X-Genmod-Token": "é".encode()}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:80", "[::1]:8000", ""]
)
def test_other_hosts_are_refused(client, host):
    answer = client.get("/?token=secret", headers={"Host": host})
    assert answer.status_code == 421
    assert "digits" not in answer.text


def test_other_pages_may_not_ask(client):
    body = {"latents": [[0, 0, 0]], "given": [0]}
    for origin in ("http://evil.example", "null", "https://127.0.0.1:8000"):
        answer = client.post("/api/decode", json=body, headers={**TOKEN, "Origin": origin})
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
    asked = client.options("/api/decode", headers={"Origin": "http://evil.example", **TOKEN})
    assert not [name for name in asked.headers if name.startswith("access-control")]
    own = client.post("/api/decode", json=body, headers={**TOKEN, "Origin": HOST})
    assert own.status_code == 200
    assert own.headers["cache-control"] == "no-store"
    assert own.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("what", "body", "said"),
    [
        ("decode", {"latents": [[0, 0]], "given": [0]}, "3 numbers, not 2"),
        ("decode", {"latents": [], "given": [0]}, "1 to 32"),
        ("decode", {"latents": [[0, 0, 0]] * 33, "given": [0]}, "1 to 32"),
        ("decode", {"latents": [[0, 0, "1"]], "given": [0]}, "made of numbers"),
        ("decode", {"latents": [[0, 0, True]], "given": [0]}, "made of numbers"),
        ("decode", {"latents": [[0, 0, None]], "given": [0]}, "made of numbers"),
        ("decode", {"latents": [[0, 0, 1e300]], "given": [0]}, "too large"),
        ("decode", {"latents": [[0, 0, 10**400]], "given": [0]}, "too large"),
        ("decode", {"latents": "abc", "given": [0]}, "list"),
        ("decode", {"latents": [[0, 0, 0]]}, "conditions"),
        ("decode", {"latents": [[0, 0, 0]], "given": [10]}, "conditions"),
        ("decode", {"latents": [[0, 0, 0]], "given": [-1]}, "conditions"),
        ("decode", {"latents": [[0, 0, 0]], "given": [True]}, "conditions"),
        ("encode", {"values": [0.0] * 63, "given": [0]}, "64 numbers, not 63"),
        ("encode", {"values": None, "given": [0]}, "NoneType"),
        ("draw", {"given": "0"}, "conditions"),
        ("draw", [], "no JSON object"),
    ],
)
def test_what_is_not_asked_for_is_refused(client, what, body, said):
    answer = client.post(f"/api/{what}", json=body, headers=TOKEN)
    assert answer.status_code == 400
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status", "said"),
    [
        (b'{"latents": [[NaN, 0, 0]], "given": [0]}', 400, "no JSON"),
        (b'{"latents": [[Infinity, 0, 0]], "given": [0]}', 400, "no JSON"),
        (b"{", 400, "no JSON"),
        (b"\xff\xfe", 400, "no JSON"),
        (b"[" * 60_000, 400, "no JSON"),
        (b" " * 1_000_000, 413, "longer than"),
    ],
)
def test_bodies_that_are_no_json_or_too_long(client, content, status, said):
    headers = {**TOKEN, "Content-Type": "application/json"}
    answer = client.post("/api/decode", content=content, headers=headers)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_other_types_methods_and_places(client):
    body = json.dumps({"given": [0]}).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {**TOKEN, "Content-Type": kind}
        assert client.post("/api/draw", content=body, headers=headers).status_code == 415
    assert client.get("/api/draw", headers=TOKEN).status_code == 405
    for place in ("/static/style.css", "/api/", "/..%2f..%2fetc/passwd", "/docs"):
        answer = client.get(place, headers=TOKEN)
        assert answer.status_code == 404
        assert answer.json()["error"]


def test_it_listens_on_the_loopback_alone():
    with bind() as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        # Without it every answer would wait 40 ms for what TCP hopes to send with it.
        assert listening.proto == socket.IPPROTO_TCP
        listening.listen()
        with pytest.raises(FileError, match=f"port {port}"):
            bind(port)
    with socket.socket() as again:
        again.bind(("127.0.0.1", port))

"""Commands on files and options with something wrong in them end with an error that says what, and soon.

``FUZZ_SECONDS=1800 FUZZ_SEED=1 pytest -n0 -m slow tests/hostile/test_fuzzer.py`` looks longer, elsewhere. A case is
made from the seed and its number alone: ``FUZZ_CASE=17`` repeats one.
"""

import hashlib
import io
import json
import os
import random
import shutil
import struct
import time
import zipfile

import pytest

from genmod.options.schema import options_of
from genmod.registry.lookup import current_registry

pytestmark = pytest.mark.slow

NASTY = (
    None, True, False, -1, 0, 1, 7, 2**31, 2**53, 2**63, 10**9, 10**30, -(10**18), 0.5, -0.0, 1e308, -1e308, 1e-320,
    "", " ", "x", "x" * 3000, "$a$", "$\\frac{", "\udcff", "a\0b", "../../x", "/dev/zero", "0->1 over 10%", "nan", "1e999",
    "1x1x1x1", [], {}, [[]], [1] * 3000, [None], {"": {}}, {"name": "mlp"}, [-1, 2], [10**9, 10**9], ["a", 1],
)  # fmt: skip
_TOKENS = (
    b"NaN", b"Infinity", b"1e999", b"9" * 5000, b"-1", b"0", b"null", b"[" * 500, b'"', b"\xff\xfe", b"\0", b"{}", b"$",
    b"\n", b"a.b.c", b'"\\ud800"', b"=", b"1" * 70,
)  # fmt: skip


def places(plain, path=()):
    """The paths of all that is in plain data, itself included."""
    yield path
    items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def changed(plain, random):
    """Plain data with one place replaced, removed, doubled or renamed; and the words for it."""
    plain = json.loads(json.dumps(plain))
    *way, last = random.choice(list(places(plain))[1:] or [(None,)])
    if last is None:
        return random.choice(NASTY), "all of it"
    holder = plain
    for key in way:
        holder = holder[key]
    what = random.randrange(8)
    value = random.choice(NASTY)
    if what == 0:
        del holder[last]
    elif what == 1 and isinstance(holder, list):
        holder.insert(last, holder[last])
    elif what == 1:
        holder[f"{last}{random.choice(['$', '2', '.x', chr(0), chr(0xDCFF)])}"] = holder.pop(last)
    elif what == 2 and isinstance(holder[last], int | float):
        holder[last] = random.choice(
            [-holder[last], holder[last] * 10**6, holder[last] + 1, str(holder[last])]
        )
    else:
        holder[last] = value
    return (
        plain,
        f"{'.'.join(map(str, (*way, last)))}: {('removed', 'doubled', 'number')[what] if what < 3 else repr(value)[:60]}",
    )


def scrambled(content, random):
    """Bytes with a few of them changed; and the words for it."""
    content = bytearray(content)
    done = []
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(content) or 1)
        what = random.randrange(4)
        if what == 0:
            content[at : at + 1] = bytes([random.randrange(256)])
        elif what == 1:
            content[at:at] = random.choice(_TOKENS)
        elif what == 2:
            del content[at : at + random.choice([1, 8, 1000])]
        else:
            content[at : at + 8] = random.choice(_TOKENS)
        done.append(f"bytes {at} ({what})")
    return bytes(content), ", ".join(done)


def text_of(plain):
    return json.dumps(plain, ensure_ascii=False).encode(errors="backslashreplace")


def json_file(path, random):
    """Change a file of JSON."""
    if random.random() < 0.75:
        plain, words = changed(json.loads(path.read_bytes()), random)
        path.write_bytes(text_of(plain))
    else:
        content, words = scrambled(path.read_bytes(), random)
        path.write_bytes(content)
    return f"{path.name} {words}"


def lines_file(path, random):
    """Change a file of a JSON document a line."""
    lines = path.read_bytes().splitlines()
    at = random.randrange(len(lines))
    words = f"line {at} repeated"
    if random.random() < 0.7:
        plain, words = changed(json.loads(lines[at]), random)
        lines[at] = text_of(plain)
    elif random.random() < 0.7:
        lines[at], words = scrambled(lines[at], random)
    else:
        lines *= 300
    path.write_bytes(b"\n".join(lines) + b"\n")
    return f"{path.name} {words}"


def header(path, random):
    """Change the header of a safetensors file."""
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    if random.random() < 0.8:
        plain, words = changed(json.loads(content[8 : 8 + length]), random)
        new = text_of(plain)
    else:
        new, words = scrambled(content[8 : 8 + length], random)
    stated = len(new) if random.random() < 0.9 else random.choice([0, 1, 2**31, 2**63, len(content) * 2])
    path.write_bytes(struct.pack("<Q", stated) + new + content[8 + length :])
    return f"{path.name} {words} (said {stated})"


def signed(folder):
    """Bring the manifest of a checkpoint in line with its files, as whoever made it would."""
    manifest = folder / "manifest.json"
    files = {
        path.name: [path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in sorted(folder.iterdir())
        if path != manifest
    }
    plain = {"format": 1, "files": files}
    manifest.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def npz_file(path, random):
    """Write an array whose header, content or archive is not as it should be."""
    shape = random.choice(
        [
            (60, 5),
            (60, 1, 8, 8),
            (0, 5),
            (60, 0),
            (-60, 5),
            (10**9, 10**9),
            (60,),
            (1,) * 33,
            (2**63, 1),
            (60, 5, 5),
        ]
    )
    dtype = random.choice(
        [
            "|u1",
            "<f4",
            "<f8",
            "|O",
            "<U9",
            "|V0",
            "<c8",
            "|b1",
            "<i8",
            ">f4",
            "<M8[s]",
            "<f2",
            "|S0",
            "nonsense",
        ]
    )
    head = f"{{'descr': {dtype!r}, 'fortran_order': {random.choice([False, True, 5])}, 'shape': {shape!r}, }}".encode()
    size = random.choice([0, 300, 1200, 60 * 64, 60 * 64 * 8, 2400])
    fill = random.choice([b"\0", b"\xff", b"\x7f", b"\1"])
    array = b"\x93NUMPY\x01\0" + struct.pack("<H", len(head) + 1) + head + b"\n" + fill * size
    if random.random() < 0.3:
        array, _ = scrambled(array, random)
    names = {
        "x.npy": array,
        random.choice(["labels.npy", "factors.npy", "mask.npy", "y.npy", "readme.txt"]): array,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    content = array if random.random() < 0.2 else stream.getvalue()
    if random.random() < 0.3:
        content, _ = scrambled(content, random)
    path.write_bytes(content)
    return f"{dtype} {shape} {size} bytes"


_TOML = b"""latent = 4
prior = "normal"
dataset = "digits"

[encoder]
name = "mlp"
hidden = [16, 32]
activation = "relu"

[decoder]
name = "bernoulli"
binarize = "threshold"

[objective]
name = "elbo"
beta = "0->4 over 50%"
free_bits = 0.1
"""
_USES = (
    ["sample"], ["evaluate"], ["train", "--resume"], ["train", "--overwrite", "--epochs", "1"], ["plot", "--overwrite"],
    ["compare"], ["report", "--overwrite"], ["reconstruct", "--overwrite"], ["fit-sampler", "--overwrite"], ["traverse"],
)  # fmt: skip
_SETTINGS = (
    "--epochs", "--steps", "--batch-size", "--lr", "--optimizer", "--schedule", "--warmup", "--clip", "--ema", "--seed",
    "--accumulate", "--log-every", "--patience", "--checkpoint-every", "--precision", "--device", "--augment", "-s",
)  # fmt: skip


def _in_model(change):
    """A case that changes something in a trained model and uses it."""

    def make(folder, whole, random):
        model = folder / "m"
        shutil.copytree(whole, model)
        words = change(model, random)
        return words, random.choice(_USES), [model]

    return make


def _checkpoint(model, random):
    folder = model / "checkpoints" / "step-00000020"
    path = random.choice(sorted(folder.iterdir()))
    words = (header if path.suffix == ".safetensors" else json_file)(path, random)
    if path.name != "manifest.json":
        signed(folder)
    return words


def _sampler(model, random):
    path = random.choice(sorted((model / "sampler").iterdir()))
    return (header if path.suffix == ".safetensors" else json_file)(path, random)


def _toml(folder, whole, random):
    content, words = scrambled(_TOML, random)
    if random.random() < 0.5:
        lines = _TOML.split(b"\n")
        at = random.choice([i for i, line in enumerate(lines) if b"=" in line])
        value = random.choice(NASTY)
        lines[at] = lines[at].partition(b"=")[0] + b"= " + json.dumps(value).encode()
        content, words = b"\n".join(lines), lines[at].decode()[:80]
    (folder / "t.toml").write_bytes(content)
    return words, ["build", "t.toml", *random.choice([["--dry-run"], ["-o", "made"]])], []


def _words(random):
    value = random.choice([*NASTY, "1,2,3", "16", "conv", "0.5", "8x16", "train.lr=3", "encoder.hidden=3"])
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("\0", "") or "-"


def _options(folder, whole, random):
    registry = current_registry()
    kind = random.choice(["encoder", "posterior", "prior", "network", "decoder", "divergence", "objective"])
    name = random.choice(registry.names(kind))
    words = ["build", f"--{kind}", name, "-o", "made"]
    options = options_of(registry.find(kind, name).load())
    for option in random.sample(options, min(len(options), random.randint(0, 2))):
        words += ["-s", f"{kind}.{option.name}={_words(random)}"]
    if random.random() < 0.3:
        words += [
            random.choice(["--latent", "--condition", "--seed", "--encoder", "--data", "-s"]),
            _words(random),
        ]
    return " ".join(words)[:200], words, []


def _settings(folder, whole, random):
    shutil.copytree(whole, folder / "m")
    words = ["train", "m", "--overwrite", "--steps", "2"]
    for _ in range(random.randint(1, 2)):
        words += [random.choice(_SETTINGS), _words(random)]
    return " ".join(words)[:200], words, []


def _npz(folder, whole, random):
    words = npz_file(folder / "x.npz", random)
    more = random.choice(
        [
            [],
            ["-s", "dataset.missing=true"],
            ["-s", "dataset.counts=true"],
            ["-s", "dataset.standardize=true"],
        ]
    )
    kind = random.choice(["npz", "npz", "shards"])
    path = folder / "x.npz"
    if kind == "shards":
        path, more = path.rename(folder / "x.npy"), []
    build = [
        "build",
        "--encoder",
        "mlp",
        "--decoder",
        "gaussian",
        "--data",
        kind,
        "-s",
        f"dataset.path={path}",
        *more,
        "-o",
        "made",
    ]
    return words, build, []


_KINDS = {
    "model.json": _in_model(lambda model, random: json_file(model / "model.json", random)),
    "run.json": _in_model(lambda model, random: json_file(model / "run.json", random)),
    "metrics.jsonl": _in_model(lambda model, random: lines_file(model / "metrics.jsonl", random)),
    "weights": _in_model(
        lambda model, random: header(model / f"{random.choice(['model', 'last'])}.safetensors", random)
    ),
    "sampler": _in_model(_sampler),
    "checkpoint": _in_model(_checkpoint),
    "toml": _toml,
    "options": _options,
    "settings": _settings,
    "npz": _npz,
}


def _fault(kind, done):
    """Whoever asks for a large model learns that there is not enough memory, and for many steps gets them."""
    fault = done.fault
    if kind == "settings" and done.late and " s left" in done.output:
        return ""
    return "" if kind in ("toml", "options", "settings") and fault == "not enough memory" else fault


def test_nothing_ends_in_a_traceback_takes_long_or_takes_much_memory(commands, trained, tmp_path):
    seconds, seed = float(os.environ.get("FUZZ_SECONDS", "300")), os.environ.get("FUZZ_SEED", "0")
    numbers = [int(os.environ["FUZZ_CASE"])] if "FUZZ_CASE" in os.environ else range(10**9)
    until, faults, count = time.monotonic() + seconds, [], dict.fromkeys(_KINDS, 0)
    for number in numbers:
        if time.monotonic() > until:
            break
        decided = random.Random(f"{seed}/{number}")
        kind = decided.choice(list(_KINDS))
        folder = commands.folder = tmp_path / str(number)
        folder.mkdir()
        words, use, places = _KINDS[kind](folder, trained, decided)
        done = commands(use[0], *places, *use[1:])
        count[kind] += 1
        fault = _fault(kind, done)
        if fault:
            faults.append(
                f"{number} {kind}: {words}; genmod {' '.join(use)[:300]}: {fault}\n    {done.output.strip()[-400:]}"
            )
            print(faults[-1], flush=True)  # noqa: T201
        # What was built can be loaded.
        if not fault and done.code == 0 and use[0] == "build" and (folder / "made").is_dir():
            again = commands("sample", "made", "--overwrite")
            if again.code != 0 and "no prior" not in again.output and "prior to draw" not in again.output:
                faults.append(f"{number} {kind}: {words}: built, but {again.output.strip()[-300:]}")
                print(faults[-1], flush=True)  # noqa: T201
        shutil.rmtree(folder)
    print(count)  # noqa: T201
    assert not faults, f"{len(faults)} of {sum(count.values())}:\n" + "\n".join(faults)

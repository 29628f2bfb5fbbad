"""Mistakes as users make them, typed at a terminal of 60, 80 and 120 columns: what is seen on the screen.

Each is one error and one hint, says what was given and what is allowed, fits the terminal, splits no word or number,
and shows no traceback. Every command in a hint can be parsed.
"""

import shlex

import pytest

SMALL = ["--encoder", "mlp", "-s", "encoder.hidden=8", "--latent", "2"]

MISTAKES = [
    # typed wrongly
    ("biuld", 2, ["No such command 'biuld'", "'build'"]),
    ("build --encodr conv", 2, ["--encodr", "--encoder"]),
    ("sample --sed 3", 2, ["--sed", "--seed"]),
    ("--color pink list", 2, ["'pink'", "'always'"]),
    ("show encoder", 2, ["NAME"]),
    ("encode trained", 2, ["--out"]),
    ("list encoder more", 2, ["more"]),
    # names
    ("build vea", 2, ["vea", "vae"]),
    ("build --encoder cnov", 2, ["cnov", "conv"]),
    ("build --prior normall -o new", 2, ["normall", "normal"]),
    ("list encodr", 2, ["encodr", "encoder"]),
    ("show encodr conv", 2, ["encodr", "encoder"]),
    ("show encoder vitt", 2, ["vitt", "vit"]),
    ("train untrained --optimizer adamm", 2, ["adamm", "adam"]),
    ("train untrained --schedule cosin", 2, ["cosin", "cosine"]),
    ("train untrained --freeze encodr", 2, ["encodr", "did you mean encoder?"]),
    ("evaluate trained -m elob", 2, ["elob", "elbo"]),
    ("evaluate trained -m fid[nothing]", 2, ["nothing"]),
    ("fit-sampler trained --sampler gmn", 2, ["gmn", "gmm"]),
    ("grid --posterior vmff", 2, ["vmff", "vmf"]),
    ("check encoder/cnov", 2, ["cnov", "conv"]),
    ("reproduce iwea", 2, ["iwea", "iwae"]),
    # options and numbers
    (
        "build -s encoder.hiden=64 -s decoder.binarise=dynamic -o new",
        2,
        ["2 mistakes", "hidden?", "binarize?"],
    ),
    ("build -s encoder.hidden=-1 -o new", 2, ["encoder.hidden", "-1"]),
    ("build -s encoder.hidden=many -o new", 2, ["encoder.hidden", "many"]),
    ("build -s encodr.hidden=8 -o new", 2, ["encodr", "encoder"]),
    ("build -s hidden -o new", 2, ["hidden", "="]),
    ("build --latent 0 -o new", 2, ["latent", "0"]),
    ("build --latent two -o new", 2, ["latent", "two"]),
    ("train untrained --steps 0", 2, ["steps", "0"]),
    ("train untrained --lr fast", 2, ["--lr", "fast"]),
    ("train untrained --lr -1", 2, ["lr", "-1"]),
    ("sample trained -n 0", 2, ["0"]),
    ("sample trained --temperature hot", 2, ["hot", "number"]),
    ("traverse trained --dims a", 2, ["--dims", "a"]),
    ("traverse trained --dims 99", 2, ["99"]),
    ("sweep -s objective.beta", 2, ["objective.beta", "VALUE"]),
    ("sweep -s train.epoch=1", 2, ["epoch", "epochs"]),
    # what does not go together, or is not there
    ("build --posterior delta --divergence kl -o new", 2, ["'delta'", "--divergence none"]),
    ("train untrained --overwrite --resume", 2, ["--resume", "--overwrite"]),
    ("sample trained --condition 7", 2, ["condition"]),
    ("explore trained --half", 2, ["--half", "--export"]),
    ("plot untrained", 2, ["untrained"]),
    # what would change nothing
    ("explore trained --export p.html --no-examples --split train", 2, ["--split", "--no-examples"]),
    ("explore trained --export p.html --device cpu", 2, ["--device", "--export"]),
    ("interpolate trained --from-prior -s dataset.seed=1", 2, ["--set", "--from-prior"]),
    ("traverse trained --from-prior --data-root . --split test", 2, ["--split and --data-root"]),
    ("reconstruct trained --picture there.png --split train", 2, ["--split", "--picture"]),
    ("impute trained -o filled.npz --mean --draws 3", 2, ["--draws", "--mean"]),
    ("plot trained --live --smooth 3", 2, ["--smooth", "--live"]),
    # devices
    ("train untrained --device cuda", 2, ["cuda", "cpu"]),
    ("sample trained --device tpu", 2, ["tpu", "cpu"]),
    # files and folders
    ("build nothing.toml", 2, ["nothing.toml", "looked for in"]),
    ("build nots.txt.toml", 2, ["nots.txt.toml", "did you mean notes.txt?"]),
    ("build --data missing.csv -o new", 2, ["missing.csv"]),
    ("build --data notes.txt -o new", 2, ["notes.txt"]),
    ("build -o trained", 2, ["trained", "--overwrite"]),
    ("train nowhere", 2, ["nowhere", "genmod build"]),
    ("train untrained --resume", 2, ["untrained"]),
    ("sample nowhere", 2, ["nowhere"]),
    ("sample traned", 2, ["traned", "did you mean trained?"]),
    ("sample trained -o picture.xyz", 2, [".xyz", ".png"]),
    ("sample trained -o there.png", 2, ["there.png", "--overwrite"]),
    ("sample trained -o no/folder/x.png", 2, ["no/folder", "mkdir"]),
    ("compare trained untrained --reference other", 2, ["other", "trained"]),
    ("compare trained untrained --pictures there.png", 2, ["there.png", "--pictures"]),
    ("report trained -o report.txt", 2, [".txt", ".html"]),
    ("fit-sampler trained --encoded nowhere", 2, ["nowhere", "genmod encode"]),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model that was trained, one that was not, and files."""
    import genmod
    from genmod import build, save, train

    folder = tmp_path_factory.mktemp("place")
    for name in ("trained", "untrained"):
        model = build(encoder={"name": "mlp", "hidden": [8]}, latent=2)
        save(model, folder / name)
        if name == "trained":
            train(model, directory=folder / name, steps=1, device="cpu")
    (folder / "there.png").write_text("a picture")
    (folder / "notes.txt").write_text("no data")
    assert genmod.load(folder / "trained") is not None
    return folder


@pytest.fixture
def at(place, terminals, tmp_path, monkeypatch):
    """Run a command line at a terminal of some width, in that folder; nothing in it may change."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GENMOD_DATA", raising=False)
    monkeypatch.chdir(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    yield lambda columns, line: terminals.Terminal(columns, monkeypatch).genmod(*shlex.split(line))
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def check(at, widths, line, code, wanted):
    seen = {columns: at(columns, line) for columns in widths}
    for columns, each in seen.items():
        assert each.code == code, each.lines
        assert len([text for text in each.lines if text.startswith("error: ")]) == 1
        assert len([text for text in each.lines if text.startswith("hint: ")]) == 1
        assert each.too_wide(columns) == []
        text = " ".join(each.words)
        assert "Traceback" not in text
        for fragment in wanted:
            assert fragment in text
    assert len({tuple(each.words) for each in seen.values()}) == 1, "a word or a number was split"


every = pytest.mark.parametrize(
    ("line", "code", "wanted"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES]
)


@every
def test_what_is_seen(at, line, code, wanted):
    check(at, [60], line, code, wanted)


@pytest.mark.slow
@every
def test_what_is_seen_is_the_same_at_every_width(at, line, code, wanted):
    check(at, [40, 60, 80, 120], line, code, wanted)

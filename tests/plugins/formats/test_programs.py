"""Formats onnx and pt2: what a file computes is what the model does, for other batches and without genmod."""

import csv
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

import genmod
from genmod.plugins.formats import pt2
from genmod.plugins.formats._draws import Watched
from genmod.plugins.formats._program import Program

EXAMPLES = Path(__file__).parents[3] / "examples" / "export"
SMALL = {"name": "mlp", "hidden": [8]}
needs_onnx = pytest.mark.skipif(
    not all(find_spec(name) for name in ("onnxscript", "onnxruntime")),
    reason="needs onnxscript and onnxruntime",
)


def pictures(n=40, size=8):
    rng = np.random.default_rng(0)
    return rng.integers(0, 17, (n, 1, size, size), dtype=np.uint8)


def conditional(**more):
    return genmod.build(
        "cvae", data="digits", encoder=SMALL, network=SMALL, latent=2, condition="label", **more
    ).eval()


def table(missing=True):
    rng = np.random.default_rng(1)
    frame = {
        "age": [None if missing and i % 7 == 0 else float(v) for i, v in enumerate(rng.normal(40, 9, 90))],
        "city": [None if missing and i % 9 == 0 else "BRO"[v] for i, v in enumerate(rng.integers(0, 3, 90))],
        "visits": rng.integers(0, 9, 90).tolist(),
        "income": np.exp(rng.normal(10, 1, 90)).tolist(),
    }
    pandas = pytest.importorskip("pandas")
    return genmod.build(data=pandas.DataFrame(frame), encoder=SMALL, network=SMALL, latent=2).eval()


def test_given_the_numbers_that_torch_draws_a_program_draws_what_the_model_draws():
    model = conditional()
    context = model.asked(None, 4)
    program = Program(model, "sample", 1, False)
    assert [value.name for value in program.inputs] == ["context", "noise"]
    assert program.context == tuple(f"label={name}" for name in model.data.classes)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        with Watched() as watched:
            z = model.latents(4, context)
    assert watched.seen == [("noise", (4, 2))]
    with torch.random.fork_rng():
        torch.manual_seed(5)
        noise = torch.randn(4, 2)
    with torch.no_grad():
        torch.testing.assert_close(program(context, noise)[0], model.decode(z, context).mean)


def test_the_bound_is_the_elbo_of_the_draw_and_counts_in_units_of_the_data():
    model = table()
    program = Program(model, "score", 1, False)
    given = program.made_up(5)
    with torch.no_grad():
        x, noise = given["x"], given["noise"]
        assert bool(x.isnan().any())
        q = model.encode(x)
        z = q.base_dist.loc + noise * q.base_dist.scale
        log_p = model.decode(z).log_prob(x) + model.prior().log_prob(z) - q.log_prob(z)
        per_unit = genmod.evaluation.log_units(model.data, x).nansum(1)
        torch.testing.assert_close(program(x, noise)[0], (log_p + per_unit).float())


def test_pt2_computes_what_the_model_does(tmp_path):
    model = conditional()
    done = genmod.export(model, {"name": "pt2", "part": "reconstruct"}, tmp_path / "r.pt2", check=True)
    assert done.path == tmp_path / "r.pt2"
    assert done.files == ("r.pt2",)
    assert done.differences["examples"] < 1e-5
    known = {"genmod": ""}
    run = torch.export.load(done.path, extra_files=known).module()
    plain = json.loads(known["genmod"])
    assert plain["genmod"] == genmod.__version__
    assert plain["data"]["classes"][0] == model.data.classes[0]
    assert "dataset" not in plain["spec"]["components"]
    assert str(Path.cwd()) not in known["genmod"]
    stored = torch.from_numpy(pictures(6))
    context = model.asked("3", 6)
    x = model.data.values(stored)
    with torch.no_grad():
        expected = model.decode(model.encode(x, context).mean, context).mean
        torch.testing.assert_close(run(x, context)[0], expected)
        assert run(x[:1], context[:1])[0].shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("parts", "part", "said"),
    [
        ({"posterior": "delta", "prior": "none", "divergence": "none", "objective": "reconstruction"}, "sample", "no prior"),
        ({"posterior": "delta", "prior": "none", "divergence": "none", "objective": "reconstruction"}, "score", "no density"),
        ({"posterior": "gamma", "prior": "gamma"}, "score", "number of random numbers that is not fixed"),
        ({"posterior": "vmf", "prior": "uniform-sphere"}, "score", "number of random numbers that is not fixed"),
        ({"posterior": "semi-amortised"}, "encode", "gradients"),
    ],
)  # fmt: skip
def test_what_cannot_be_an_input_is_refused_with_a_reason(parts, part, said, tmp_path):
    model = genmod.build(data="digits", encoder=SMALL, network=SMALL, latent=3, **parts).eval()
    with pytest.raises(genmod.UsageError, match=said) as error:
        genmod.export(model, {"name": "pt2", "part": part}, tmp_path / "f.pt2")
    assert error.value.hint
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("part", ["sample", "score"])
def test_inputs_stay_as_they_are(part):
    """Also where a model draws in place, as that of observations without shades does."""
    model = conditional(decoder={"name": "bernoulli", "binarize": "dynamic"})
    program = Program(model, part, 1, part == "sample")
    given = program.made_up(5)
    before = {name: values.clone() for name, values in given.items()}
    assert "uniform" in given
    with torch.no_grad():
        program(*given.values())
    for name, values in given.items():
        assert values.equal(before[name]), name


def test_a_whole_model_has_two_parts(tmp_path):
    model = genmod.build(model="pixelcnn", data=pictures(size=4)).eval()
    with pytest.raises(genmod.UsageError, match="has no latents") as error:
        genmod.export(model, "pt2", tmp_path / "f.pt2")
    assert "--part sample" in error.value.hint
    program = Program(model, "sample", 1, False)
    assert [(value.name, value.shape) for value in program.inputs] == [("uniform", (16,))]


def test_a_mixture_of_posteriors_is_drawn_with_numbers_of_each_example():
    prior = {"name": "vamp", "components": 3, "weights": True}
    model = genmod.build(
        data="digits", encoder=SMALL, network=SMALL, latent=2, prior=prior, divergence="kl-mc"
    ).eval()
    with torch.no_grad():
        model.prior.logits.copy_(torch.tensor([2.0, 0.0, -2.0]))
        model.posterior.head.weight[:2].mul_(20)
        model.posterior.head.weight[2:] = 0.0
        model.posterior.head.bias[2:] = -3.0  # so that the parts lie apart
        program = Program(model, "sample", 1, False)
        assert [(value.name, value.shape) for value in program.inputs] == [("noise", (6,)), ("uniform", (1,))]
        p = model.prior()
        assert (p.variance > 2 * p.parts.variance.max(0)[0]).all()
        n = 20_000
        torch.testing.assert_close(
            program(*program.made_up(n).values())[0].mean(0),
            model.decode(p.sample((n,))).mean.mean(0),
            atol=0.01,
            rtol=0,
        )


@needs_onnx
@pytest.mark.slow
def test_a_mixture_of_posteriors_is_written(tmp_path):
    model = genmod.build(
        data="digits", encoder=SMALL, network=SMALL, latent=2, prior="vamp", divergence="kl-mc"
    )
    done = genmod.export(model.eval(), {"name": "onnx", "part": "sample"}, tmp_path / "s.onnx", check=True)
    assert done.differences["examples"] < 1e-5


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize("part", ["encode", "sample", "score"])
def test_a_table_with_missing_cells(part, tmp_path):
    done = genmod.export(table(), {"name": "onnx", "part": part}, tmp_path / "t.onnx", check=True)
    assert max(done.differences.values()) < 1e-5
    where = str(Path(genmod.__file__).parents[1]).encode()
    assert where not in done.path.read_bytes()


def test_a_table_without_missing_cells_is_scored_without_looking_at_them(tmp_path):
    model = table(missing=False)
    done = genmod.export(model, {"name": "pt2", "part": "score"}, tmp_path / "f.pt2", check=True)
    assert max(done.differences.values()) < 1e-5
    with pytest.raises(genmod.errors.DataError, match="city"):
        model.decoder.observe(torch.full((1, 4), -0.5))


def test_what_differs_is_not_kept(tmp_path, monkeypatch):
    wrong = {torch.hypot: lambda a, b: a.abs() + b.abs()}
    monkeypatch.setattr(pt2.Pt2Format, "substitutes", wrong)
    with pytest.raises(genmod.GenmodError, match="scales by"):
        genmod.export(conditional(), {"name": "pt2", "part": "encode"}, tmp_path / "e.pt2", check=True)
    assert not any(tmp_path.iterdir())


@needs_onnx
@pytest.mark.slow
def test_the_consumer_needs_neither_torch_nor_genmod(tmp_path):
    genmod.export(conditional(), {"name": "onnx", "part": "sample"}, tmp_path / "sample.onnx")
    without = (
        "import sys, runpy; sys.modules.update(torch=None, genmod=None); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", without, str(EXAMPLES / "consumer.py"), "sample.onnx", "-n", "6"]
    done = subprocess.run(
        [*command, "--condition", "label=7"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["sample.npz examples (6, 1, 8, 8)", "sample.pgm"]
    assert (tmp_path / "sample.pgm").read_bytes().startswith(b"P5 48 8 255\n")


@needs_onnx
@pytest.mark.slow
def test_the_consumer_reads_and_writes_rows(tmp_path):
    model = table()
    genmod.export(model, {"name": "onnx", "part": "reconstruct"}, tmp_path / "again.onnx")
    rows = [["age", "city", "visits", "income"], ["40.5", "R", "3", "30000"], ["", "", "0", "12000.5"]]
    with (tmp_path / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    command = [sys.executable, str(EXAMPLES / "consumer.py"), "again.onnx", "--x", "people.csv"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with (tmp_path / "again.csv").open(newline="") as file:
        head, *found = csv.reader(file)
    assert head == rows[0]
    assert all(row[1] in "BRO" and float(row[2]) >= 0 and float(row[3]) > 0 for row in found)


@needs_onnx
@pytest.mark.slow
def test_pictures_of_another_size(tmp_path):
    model = genmod.build("autoencoder-kl-small", data="digits", latent=2).eval()
    options = {"name": "onnx", "part": "reconstruct", "size": [16, 24]}
    done = genmod.export(model, options, tmp_path / "r.onnx", check=True)
    assert max(done.differences.values()) < 1e-5


@needs_onnx
@pytest.mark.slow
def test_a_double_model_stays_double(tmp_path):
    done = genmod.export(
        conditional().double(), {"name": "onnx", "part": "reconstruct"}, tmp_path / "r.onnx", check=True
    )
    assert done.differences["examples"] < 1e-12

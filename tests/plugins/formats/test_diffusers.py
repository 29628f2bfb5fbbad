"""The format beside what diffusers wrote: its folders, its keys, its outputs; see ``record.py``. No test needs diffusers."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import genmod
from genmod import FileError, UsageError
from genmod.model.assembly import blueprint
from genmod.model.incoming import assemble_incoming
from genmod.plugins.formats._layout import Layout
from genmod.plugins.formats.diffusers import DiffusersFormat
from genmod.spec import ModelSpec
from genmod.testing.inputs import jostle

RECORDED = Path(__file__).parent / "recorded"
SMALL = ("kl", "kl-plain", "vq")
FILE = "diffusion_pytorch_model.safetensors"
WIDE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
PUBLISHED = {
    "sd": {"_class_name": "AutoencoderKL", **WIDE},
    "flux": {"_class_name": "AutoencoderKL", **WIDE, "latent_channels": 16}
    | {"use_quant_conv": False, "use_post_quant_conv": False},
    "ldm-celebahq": {"_class_name": "VQModel", **WIDE, "num_vq_embeddings": 8192}
    | {"block_out_channels": [128, 256, 512]}
    | {"down_block_types": ["DownEncoderBlock2D"] * 3, "up_block_types": ["UpDecoderBlock2D"] * 3},
}
PICTURES = torch.rand((20, 3, 8, 12), generator=torch.Generator().manual_seed(4))


def some(cases, count):
    """The cases, of which those after the first few are slow."""
    return [
        pytest.param(*values, marks=[pytest.mark.slow] * (i >= count))
        for i, values in enumerate(cases.values())
    ]


def read(folder, **options):
    return genmod.build(source=f"diffusers:{folder}", data=PICTURES, **options).eval()


@pytest.fixture
def folder(tmp_path):
    """A copy of a folder, to be changed."""
    return Path(shutil.copytree(RECORDED / "kl", tmp_path / "kl"))


@pytest.mark.parametrize("name", SMALL)
@torch.no_grad()
def test_outputs_are_those_of_diffusers(name):
    ours, wanted = read(RECORDED / name), load_file(RECORDED / f"{name}.safetensors")
    q = ours.encode((wanted["x"] + 1) / 2)
    if name == "vq":
        torch.testing.assert_close(q.encoded, wanted["encoded"], rtol=0, atol=1e-5)
        assert torch.equal(q.codes.flatten(), wanted["codes"])
    else:
        torch.testing.assert_close(q.mean, wanted["mean"], rtol=0, atol=1e-5)
        torch.testing.assert_close(q.stddev, wanted["std"], rtol=0, atol=1e-5)
    z = q.mean if name == "vq" else wanted["z"]
    torch.testing.assert_close(2 * ours.decode(z).mean - 1, wanted["decoded"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_what_was_read_is_written_as_it_was(name, tmp_path):
    out = genmod.export(read(RECORDED / name), {"name": "diffusers", "scaling": 0.5}, tmp_path / "out").path
    before, after = load_file(RECORDED / name / FILE), load_file(out / FILE)
    assert set(before) == set(after)
    for key, tensor in before.items():
        wanted = torch.zeros_like(tensor) if key.endswith("to_k.bias") else tensor
        torch.testing.assert_close(after[key], wanted, rtol=1e-6, atol=1e-6, msg=key)
    config = json.loads((RECORDED / name / "config.json").read_text())
    config |= {"sample_size": 12, "scaling_factor": 0.5} | ({"vq_embed_dim": 5} if name == "vq" else {})
    del config["_diffusers_version"]
    assert json.loads((out / "config.json").read_text()) == config


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "sd")) for name in PUBLISHED]
)
def test_every_key_of_a_published_layout(name):
    """Their keys and shapes as diffusers has them at the width that is published, and the names they have here."""
    rows = json.loads((RECORDED / f"{name}.keys.json").read_text())
    layout = Layout.from_config(PUBLISHED[name], name)
    assert layout.keys() == {key: ours for key, _, ours in rows}
    folder = RECORDED / ("vq" if layout.codes else "kl")
    incoming = DiffusersFormat().read(folder)
    sizes = {"channels": list(layout.channels), "layers": 2, "groups": 32, "attention": True}
    components = {kind: dict(part) for kind, part in incoming.components.items()}
    for kind in ("encoder", "network"):
        components[kind] |= sizes
    components["encoder"]["features"] = layout.features
    components["posterior"] |= {"codes": layout.codes} if layout.codes else {}
    spec = genmod.compose(
        incoming.recipe, components={**components, "decoder": "laplace"}, latent=layout.latent
    )
    state = blueprint(spec, genmod.DataInfo((3, 64, 64))).state_dict()
    shapes = {ours: shape for _, shape, ours in rows if ours}
    assert {ours: list(state[ours].shape) for ours in shapes} == shapes
    parameters = {n for n in state if n.partition(".")[0] in ("encoder", "posterior", "network")}
    left = {n.rpartition(".")[0] for n in parameters - set(shapes)}
    added = set() if layout.quant else {"posterior.places.head", "network.start"}
    assert left == added | ({"posterior.books.0"} if layout.codes else set())


@pytest.mark.slow
def test_weights_that_say_older_names_of_attention(folder):
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(folder / FILE)
    for new, old in older.items():
        for key in [key for key in tensors if f".{new}." in key]:
            tensors[key.replace(new, old)] = tensors.pop(key)
    assert any("proj_attn" in key for key in tensors)
    save_file(tensors, folder / FILE)
    wanted = read(RECORDED / "kl").state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in read(folder).state_dict().items())


def test_half_precision_is_read_in_single_where_there_is_no_other(folder):
    halves = {key: tensor.half() for key, tensor in load_file(folder / FILE).items()}
    (folder / FILE).unlink()
    save_file(halves, folder / "diffusion_pytorch_model.fp16.safetensors")
    found = read(folder).state_dict()["encoder.conv_in.weight"]
    assert torch.equal(found, halves["encoder.conv_in.weight"].float())


@pytest.mark.slow
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@torch.no_grad()
def test_values_of_any_range(low, high):
    wanted = load_file(RECORDED / "kl.safetensors")
    incoming = DiffusersFormat().read(RECORDED / "kl")
    spec = genmod.compose("vae", components={**incoming.components, **incoming.others}, latent=2)
    ours = assemble_incoming(spec, genmod.DataInfo((3, 8, 12), low=low, high=high), incoming, "it").eval()
    half = (high - low) / 2
    q = ours.encode((wanted["x"] + 1) * half + low)
    torch.testing.assert_close(q.mean, wanted["mean"], rtol=0, atol=1e-5)
    decoded = (ours.decode(wanted["z"]).mean - low) / half - 1
    torch.testing.assert_close(decoded, wanted["decoded"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_factors_are_those_of_draws_of_the_training_pictures(tmp_path):
    ours = read(RECORDED / "kl")
    split = genmod.as_dataset(PICTURES).split("train")
    x = split.__getitems__(range(len(split))).x
    with torch.no_grad():
        q = ours.encode(x)
        # All draws: their variance is that of the means and the mean of the variances.
        deviation = (q.mean.var(correction=0) + q.variance.mean()).sqrt()
    done = genmod.export(ours, "diffusers", tmp_path / "out", data=PICTURES)
    config = json.loads((done.path / "config.json").read_text())
    assert config["scaling_factor"] == pytest.approx(1 / float(deviation), rel=0.1)
    assert config["shift_factor"] == pytest.approx(float(q.mean.mean()), abs=0.1 * float(deviation))
    assert f"measured on {len(split)} training pictures" in done.notes[-1]
    again = genmod.export(ours, "diffusers", tmp_path / "again", data=PICTURES)
    assert (again.path / "config.json").read_bytes() == (done.path / "config.json").read_bytes()
    fewer = {"name": "diffusers", "pictures": 3, "shift": 0.25}
    done = genmod.export(ours, fewer, tmp_path / "few", data=PICTURES)
    config = json.loads((done.path / "config.json").read_text())
    assert config["shift_factor"] == 0.25
    # Nothing is said to be measured that was given.
    assert done.notes[-1] == f"scaling_factor {config['scaling_factor']:.5g}, measured on 3 training pictures"


def test_nothing_is_said_of_a_shift_that_is_not_written(tmp_path):
    shifted = {"name": "diffusers", "shift": 0.25}
    done = genmod.export(read(RECORDED / "vq"), shifted, tmp_path / "out", data=PICTURES)
    config = json.loads((done.path / "config.json").read_text())
    assert "shift_factor" not in config
    assert done.notes[-2:] == (
        "shift_factor 0.25 is left out: this class has none",
        f"scaling_factor {config['scaling_factor']:.5g}, measured on {len(genmod.as_dataset(PICTURES).split('train'))} "
        "training pictures",
    )


def test_options_that_make_other_layers_are_refused():
    for options in ({"encoder.layers": 3}, {"encoder.attention": False}, {"network.layers": 2}):
        with pytest.raises(UsageError, match="the layers are not those that are read") as error:
            read(RECORDED / "kl", settings=options)
        assert error.value.hint


def test_factors_that_cannot_be_measured_are_said_to_be_missing(tmp_path):
    done = genmod.export(read(RECORDED / "kl"), "diffusers", tmp_path / "out")
    assert "not measured (the model was built for data that were given in Python" in done.notes[-1]
    assert json.loads((done.path / "config.json").read_text())["scaling_factor"] == 1


@pytest.mark.slow
def test_layers_without_a_place_there_are_one(tmp_path):
    """Features of another number than diffusers has; the convolution of one pixel becomes part of that before it."""
    encoder = {"name": "autoencoder-2d", "channels": [4, 8], "groups": 2, "features": 5}
    ours = genmod.build(
        data=PICTURES,
        encoder=encoder,
        posterior={"name": "normal-map", "scale": "log-variance"},
        decoder="laplace",
        latent=2,
    ).eval()
    jostle(ours)
    out = genmod.export(ours, {"name": "diffusers", "scaling": 1.0}, tmp_path / "out").path
    assert not json.loads((out / "config.json").read_text())["use_quant_conv"]
    again = read(out)
    with torch.no_grad():
        for name in ("mean", "stddev"):
            found, wanted = (getattr(each.encode(PICTURES), name) for each in (again, ours))
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


CONFIGS = {
    "class": ({"_class_name": "AutoencoderTiny"}, "AutoencoderTiny"),
    "no class": ({"_class_name": None}, "reads AutoencoderKL and VQModel"),
    "classes": ({"_class_name": ["AutoencoderKL"]}, "reads AutoencoderKL and VQModel"),
    "block": ({"down_block_types": ["DownEncoderBlock2D", "AttnDownEncoderBlock2D"]}, "AttnDownEncoder"),
    "number of blocks": ({"up_block_types": ["UpDecoderBlock2D"]}, "up_block_types"),
    "function": ({"act_fn": "gelu"}, "act_fn = 'gelu'"),
    "groups": ({"norm_num_groups": 5}, "norm_num_groups = 5"),
    "channels": ({"block_out_channels": "many"}, r"has not: block_out_channels = 'many'\s"),
    "no channels": ({"block_out_channels": []}, "block_out_channels"),
    "negative": ({"latent_channels": -1}, "latent_channels = -1"),
    "true is no number": ({"layers_per_block": True}, "layers_per_block = True"),
    "pictures": ({"out_channels": 4}, "out_channels = 4"),
    "flag": ({"use_quant_conv": "no"}, "use_quant_conv = 'no'"),
    "codebook": ({"_class_name": "VQModel", "vq_embed_dim": 0}, "vq_embed_dim = 0"),
    "unknown": ({"patch_size": 2}, "patch_size, which is no entry of AutoencoderKL"),
    "many layers": ({"layers_per_block": 100_000}, "2 stages of 100000 layers"),
}


@pytest.mark.parametrize(("change", "said"), some(CONFIGS, 8), ids=CONFIGS)
def test_configurations_that_are_refused(folder, change, said):
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=said) as error:
        read(folder)
    assert error.value.hint


def changed(folder, **tensors):
    own = load_file(folder / FILE)
    for key, tensor in tensors.items():
        own.pop(key, None)
        if tensor is not None:
            own[key] = tensor
    save_file(own, folder / FILE)


WEIGHTS = {
    "unknown": ({"encoder.extra.weight": torch.zeros(2)}, "has encoder.extra.weight, which is no weight"),
    "missing": ({"decoder.conv_in.bias": None}, "lacks decoder.conv_in.bias"),
    "shape": ({"encoder.conv_in.weight": torch.zeros(4, 1, 3, 3)}, r"conv_in.weight of shape \(4, 1, 3, 3\)"),
    "not finite": ({"encoder.conv_in.bias": torch.full((4,), float("nan"))}, "not finite"),
    "whole numbers": ({"encoder.conv_in.bias": torch.zeros(4, dtype=torch.int64)}, "not finite numbers"),
}


@pytest.mark.parametrize(("tensors", "said"), some(WEIGHTS, 2), ids=WEIGHTS)
def test_weights_that_are_refused(folder, tensors, said):
    changed(folder, **tensors)
    with pytest.raises(FileError, match=said):
        read(folder)


def test_pickles_are_not_read(folder):
    (folder / FILE).rename(folder / "diffusion_pytorch_model.bin")
    with pytest.raises(FileError, match="may hold code") as error:
        read(folder)
    assert "save_pretrained" in error.value.hint


def test_where_there_is_no_autoencoder(folder, tmp_path):
    with pytest.raises(FileError, match=r"has no config\.json") as error:
        read(tmp_path)
    assert "save_pretrained" in error.value.hint
    folder.rename(tmp_path / "vae")
    with pytest.raises(FileError) as error:
        read(tmp_path)
    assert error.value.hint.endswith(f"--from diffusers:{tmp_path / 'vae'}")
    (tmp_path / "vae" / FILE).unlink()
    with pytest.raises(FileError, match="has no diffusion_pytorch_model"):
        read(tmp_path / "vae")
    with pytest.raises(FileError, match="there is no folder"):
        read(tmp_path / "nowhere")
    for source, said in {"diffusers": "names no folder", "bogus:x": "bogus"}.items():
        with pytest.raises(UsageError, match=said):
            genmod.build(source=source)


def test_a_header_that_promises_more_than_there_is(folder):
    """Nothing is allocated for what a file claims to have."""
    header = json.dumps(
        {"encoder.conv_in.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}
    )
    (folder / FILE).write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
    with pytest.raises(FileError, match="lacks"):
        read(folder)
    (folder / FILE).write_bytes((2**40).to_bytes(8, "little"))
    with pytest.raises(FileError, match="header has"):
        read(folder)


def test_parts_that_are_there_are_not_named(tmp_path):
    with pytest.raises(UsageError, match="encoder and latent are that of diffusers:"):
        read(RECORDED / "kl", encoder="mlp", latent=3)
    with pytest.raises(UsageError, match="takes data of shape 3×any×any; these have 1×8×8"):
        genmod.build(source=f"diffusers:{RECORDED / 'kl'}")


MODELS = {
    "vectors": ({"encoder": "mlp"}, "no encoder 'mlp', no posterior 'normal', no network 'mlp'"),
    "probabilities": ({"decoder": "bernoulli"}, "no decoder 'bernoulli'"),
    "shortcuts": ({"encoder.shortcuts": True}, "no shortcuts"),
    "two depths": ({"network": {"name": "autoencoder-2d", "channels": [4, 8], "layers": 3}}, "layers 1 of"),
    "codes": ({"posterior": "fsq"}, "no posterior 'fsq'"),
    "vectors of codes": ({"posterior": {"name": "vq"}, "latent": "2x4"}, "latents that are no map"),
    "heads": ({"posterior": {"name": "vq", "heads": 2}}, "codebooks of several heads"),
    "conditions": ({"condition": "label"}, r"no conditions \(label\)"),
}


@pytest.mark.parametrize(("parts", "said"), some(MODELS, 3), ids=MODELS)
def test_models_that_are_refused(parts, said, tmp_path):
    usual = {
        "encoder": {"name": "autoencoder-2d", "channels": [4, 8], "groups": 2},
        "posterior": {"name": "normal-map", "scale": "log-variance"},
        "decoder": "laplace",
    }
    options = {key: parts[key] for key in parts if "." in key}
    if parts.get("encoder") == "mlp":
        usual = {"decoder": "laplace"}
    recipe = "vae"
    if "posterior" in parts:
        recipe, usual = "vq-vae", {**usual, "prior": "categorical"}
    named = {"latent": 4, **usual, **{key: parts[key] for key in parts if "." not in key}}
    model = genmod.build(recipe, data="digits", settings=options, **named).eval()
    with pytest.raises(UsageError, match=said) as error:
        genmod.export(model, "diffusers", tmp_path / "out")
    assert error.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_it_is_an_ordinary_model(name, tmp_path):
    """Saved, loaded and trained like any other."""
    ours = read(RECORDED / name)
    again = genmod.load(genmod.save(ours, tmp_path / "model"))
    wanted = ours.state_dict()
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in again.state_dict().items())
    assert isinstance(again.spec, ModelSpec)
    genmod.train(again, PICTURES, steps=2, batch_size=4, device="cpu")
    if name == "vq":
        # Codes of a model that is trained already are not put among the first pictures.
        moved = (again.state_dict()["posterior.books.0.vectors"] - wanted["posterior.books.0.vectors"]).abs()
        assert 0 < float(moved.max()) < 0.05

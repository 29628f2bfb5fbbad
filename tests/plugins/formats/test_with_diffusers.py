"""The format beside diffusers itself: equal codes and pictures, both ways, for the layouts that are published."""

import pytest
import torch

import genmod
from genmod.testing.inputs import jostle

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.slow

_KL = {"layers_per_block": 2, "block_out_channels": (8, 16, 32, 32), "norm_num_groups": 4}
KL = {
    "sd": _KL | {"latent_channels": 4},
    "sdxl": _KL | {"latent_channels": 4, "scaling_factor": 0.13025},
    "sd3": _KL
    | {"latent_channels": 16, "scaling_factor": 1.5305, "shift_factor": 0.0609}
    | {"use_quant_conv": False, "use_post_quant_conv": False},
    "flux": _KL
    | {"latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159}
    | {"use_quant_conv": False, "use_post_quant_conv": False},
    "without attention": _KL | {"latent_channels": 4, "mid_block_add_attention": False},
}
VQ = {
    "ldm-celebahq": {"layers_per_block": 2, "block_out_channels": (8, 16, 32), "norm_num_groups": 4}
    | {"latent_channels": 3, "num_vq_embeddings": 64, "vq_embed_dim": 3},
    "amused": {"layers_per_block": 2, "block_out_channels": (8, 16, 16, 32, 24), "norm_num_groups": 4}
    | {"latent_channels": 8, "num_vq_embeddings": 64, "mid_block_add_attention": False},
    "other length": {"layers_per_block": 1, "block_out_channels": (8, 16), "norm_num_groups": 8}
    | {"latent_channels": 6, "num_vq_embeddings": 64, "vq_embed_dim": 3},
}
X = torch.rand((3, 3, 32, 48), generator=torch.Generator().manual_seed(3))


def made(cls, config):
    """An autoencoder of diffusers with random weights, none at a value where it starts."""
    stages = len(config["block_out_channels"])
    model = getattr(diffusers, cls)(
        **config,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
    )
    jostle(model)
    return model.eval()


def close(found, wanted):
    """To 1e-5 of the largest value."""
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


@torch.no_grad()
def compare(theirs, ours):
    """Pictures from -1 to 1 there, from 0 to 1 here."""
    q, there = ours.encode(X), theirs.encode(2 * X - 1)
    if hasattr(there, "latent_dist"):
        close(q.mean, there.latent_dist.mean)
        close(q.stddev, there.latent_dist.std)
        z = torch.randn(q.mean.shape)
        close(ours.decode(z).mean, (theirs.decode(z).sample + 1) / 2)
        return
    close(q.encoded, there.latents)
    codes = theirs.quantize(there.latents)[2][2].reshape(q.codes.shape)
    assert torch.equal(q.codes, codes)
    assert len(codes.unique()) > 3
    close(ours.decode(q.mean).mean, (theirs.decode(there.latents).sample + 1) / 2)


@pytest.mark.parametrize(
    ("cls", "config"),
    [pytest.param("AutoencoderKL", config, id=name) for name, config in KL.items()]
    + [pytest.param("VQModel", config, id=name) for name, config in VQ.items()],
)
def test_what_it_wrote_is_read_and_written_again(cls, config, tmp_path):
    theirs = made(cls, config)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = genmod.build(source=f"diffusers:{tmp_path / 'theirs'}", data=X).eval()
    compare(theirs, ours)
    genmod.export(ours, {"name": "diffusers", "scaling": 0.5}, tmp_path / "again")
    again = getattr(diffusers, cls).from_pretrained(tmp_path / "again").eval()
    compare(again, ours)
    before, after = theirs.state_dict(), again.state_dict()
    assert list(before) == list(after)
    for name, tensor in before.items():
        if name.endswith("to_k.bias"):
            assert not after[name].any()
        else:
            torch.testing.assert_close(after[name], tensor, rtol=1e-6, atol=1e-6, msg=name)


OURS = {
    "usual": {},
    "features that are folded": {"encoder.features": 12},
    "a scale for each pixel": {"decoder.scale": "per-pixel"},
    "without attention": {"encoder.attention": False},
}


@pytest.mark.parametrize("options", OURS.values(), ids=OURS)
@pytest.mark.parametrize("kind", ["AutoencoderKL", "VQModel"])
def test_what_genmod_made_is_opened_there(kind, options, tmp_path):
    posterior = {"name": "normal-map", "scale": "log-variance"}
    recipe = "vae"
    if kind == "VQModel":
        posterior, recipe = {"name": "vq", "codes": 32}, "vq-vae"
    encoder = {"name": "autoencoder-2d", "channels": [8, 16, 32], "layers": 2, "groups": 4, "features": 8}
    ours = genmod.build(
        recipe,
        data=X,
        encoder=encoder,
        posterior=posterior,
        decoder="laplace",
        latent=4,
        settings=options,
    ).eval()
    jostle(ours)
    made = genmod.export(ours, "diffusers", tmp_path / "out", data=X)
    theirs = getattr(diffusers, kind).from_pretrained(tmp_path / "out").eval()
    compare(theirs, ours)
    assert made.files == ("config.json", "diffusion_pytorch_model.safetensors")


def test_a_bounded_scale_differs_in_deviations_alone_which_is_said(tmp_path):
    encoder = {"name": "autoencoder-2d", "channels": [8, 16], "groups": 4, "features": 8}
    ours = genmod.build(data=X, encoder=encoder, posterior="normal-map", decoder="laplace", latent=4).eval()
    made = genmod.export(ours, "diffusers", tmp_path / "out", data=X)
    assert any("standard deviations" in note for note in made.notes)
    theirs = diffusers.AutoencoderKL.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        q, there = ours.encode(X), theirs.encode(2 * X - 1).latent_dist
        close(q.mean, there.mean)
        v = there.std.log()
        close(q.stddev, (v / (1 + (v / 9) ** 2).sqrt()).exp())

"""Makes the folders in ``recorded``: small autoencoders as diffusers writes them, with their keys and outputs.

Run by hand where diffusers is installed: ``python tests/plugins/formats/record.py``.
"""

import json
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

from genmod.plugins.formats._layout import Layout

HERE = Path(__file__).parent / "recorded"
SMALL = {
    "kl": ("AutoencoderKL", {"latent_channels": 2}),
    "kl-plain": (
        "AutoencoderKL",
        {"latent_channels": 2, "use_quant_conv": False, "use_post_quant_conv": False},
    ),
    "vq": (
        "VQModel",
        {"latent_channels": 3, "vq_embed_dim": 5, "num_vq_embeddings": 16, "mid_block_add_attention": False},
    ),
}
SIZES = {"block_out_channels": (4, 6), "layers_per_block": 1, "norm_num_groups": 2}
WIDE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "norm_num_groups": 32}
PUBLISHED = {
    "sd": ("AutoencoderKL", WIDE | {"latent_channels": 4}),
    "flux": (
        "AutoencoderKL",
        WIDE | {"latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False},
    ),
    "ldm-celebahq": (
        "VQModel",
        WIDE | {"block_out_channels": (128, 256, 512), "latent_channels": 3, "num_vq_embeddings": 8192},
    ),
}


def blocks_of(config):
    stages = len(config["block_out_channels"])
    return {
        "down_block_types": ("DownEncoderBlock2D",) * stages,
        "up_block_types": ("UpDecoderBlock2D",) * stages,
    }


def made(cls, config):
    return getattr(diffusers, cls)(**config, **blocks_of(config)).eval()


@torch.no_grad()
def record():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 8, 12) * 2 - 1
    for name, (cls, config) in SMALL.items():
        model = made(cls, SIZES | config)
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        model.save_pretrained(HERE / name)
        encoded = model.encode(x)
        found = {"x": x, "z": torch.randn(2, config["latent_channels"], 4, 6)}
        if cls == "AutoencoderKL":
            found |= {"mean": encoded.latent_dist.mean, "std": encoded.latent_dist.std}
            found["decoded"] = model.decode(found["z"]).sample
        else:
            found |= {"encoded": encoded.latents, "codes": model.quantize(encoded.latents)[2][2]}
            found["decoded"] = model.decode(encoded.latents).sample
        save_file({key: value.contiguous() for key, value in found.items()}, HERE / f"{name}.safetensors")
    for name, (cls, config) in PUBLISHED.items():
        with torch.device("meta"):
            state = made(cls, config).state_dict()
        names = Layout.from_config({"_class_name": cls, **config, **blocks_of(config)}, name).keys()
        lines = [json.dumps([key, list(tensor.shape), names[key]]) for key, tensor in state.items()]
        (HERE / f"{name}.keys.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    record()

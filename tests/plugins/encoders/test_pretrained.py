"""Encoder of a network of torchvision: its features are that network's, and its weights come from a safe file."""

import copy

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models, transforms

import genmod
from genmod import DataInfo, FileError, UsageError, compose
from genmod.model.assembly import assemble, blueprint
from genmod.nn.weights import initial_weights, weights_follow
from genmod.plugins.encoders.pretrained import PretrainedEncoder

NAME = "shufflenet_v2_x0_5"


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        net = models.get_model(NAME, weights=None)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # so that one pass makes features of a usual size
        net.train()(torch.rand(16, 3, 64, 64))
    return net.eval()


@pytest.fixture
def file(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


def model_of(file, **options):
    part = {"name": "pretrained", "model": NAME, "weights": str(file), "size": 64, **options}
    return compose(components={"encoder": part, "network": "mlp", "decoder": "gaussian"}, latent=2)


@torch.no_grad()
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_torchvision(net, file, channels):
    encoder = PretrainedEncoder((channels, 16, 20), model=NAME, weights=file)
    x = torch.rand(2, channels, 16, 20)
    prepare = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    headless = copy.deepcopy(net)
    headless.fc = torch.nn.Identity()
    torch.testing.assert_close(encoder.train()(x), headless(prepare(x.expand(-1, 3, -1, -1))))


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_is_no_parameter_and_the_same_state(file, frozen):
    encoder = PretrainedEncoder((1, 8, 8), model=NAME, weights=file, frozen=frozen, size=64)
    assert bool(list(encoder.parameters())) is not frozen
    other = PretrainedEncoder((1, 8, 8), model=NAME, frozen=not frozen, size=64)
    x = torch.rand(2, 1, 8, 8)
    assert not torch.equal(other(x), encoder(x))
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(x), encoder(x))


@pytest.mark.slow
def test_training_leaves_frozen_weights_alone(file, tmp_path):
    model = genmod.build(
        encoder={"name": "pretrained", "model": NAME, "weights": str(file), "size": 32},
        decoder="gaussian",
        latent=2,
    )
    before = {name: t.clone() for name, t in model.encoder.state_dict().items()}
    posterior = next(model.posterior.parameters()).clone()
    genmod.train(model, steps=2, batch_size=8, device="cpu", directory=tmp_path / "model")
    assert all(torch.equal(t, before[name]) for name, t in model.encoder.state_dict().items())
    assert not torch.equal(next(model.posterior.parameters()), posterior)


@torch.no_grad()
@pytest.mark.slow
def test_a_saved_model_does_not_need_the_file(file, tmp_path):
    model = assemble(model_of(file), DataInfo((1, 8, 8))).eval()
    directory = genmod.save(model, tmp_path / "model")
    file.unlink()
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(genmod.load(directory).encode(x).mean, model.encode(x).mean)
    with pytest.raises(FileError, match="no file of weights"):
        assemble(model_of(file), DataInfo((1, 8, 8)))


def test_a_missing_file_is_said_before_anything_is_allocated(tmp_path):
    with pytest.raises(FileError, match="no file of weights"):
        blueprint(model_of(tmp_path / "none.safetensors"), DataInfo((1, 8, 8)))


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "resnet18.pth"
    path.write_bytes(b"anything")
    with pytest.raises(FileError, match="may hold code") as caught:
        initial_weights(path)
    assert "weights_only=True" in caught.value.hint
    assert "resnet18.safetensors" in caught.value.hint
    with weights_follow():
        assert initial_weights(path) is None


@pytest.mark.parametrize("damage", ["cut", "other", "renamed", "reshaped"])
def test_other_files_are_refused(net, file, damage):
    tensors = {name: t.clone() for name, t in net.state_dict().items()}
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    if damage == "other":
        save_file(models.get_model("resnet18", weights=None).state_dict(), file)
    if damage == "renamed":
        tensors["conv1.0.wait"] = tensors.pop("conv1.0.weight")
        save_file(tensors, file)
    if damage == "reshaped":
        tensors["conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
        save_file(tensors, file)
    with pytest.raises(FileError, match=r"damaged|does not belong"):
        PretrainedEncoder((1, 8, 8), model=NAME, weights=file, size=64)


@torch.no_grad()
def test_a_head_of_other_classes_does_not_matter(net, file):
    tensors = {name: t.clone() for name, t in net.state_dict().items()}
    x = torch.rand(2, 1, 8, 8)
    expected = PretrainedEncoder((1, 8, 8), model=NAME, weights=file, size=64)(x)
    tensors["fc.weight"], tensors["fc.bias"] = torch.zeros(7, 1024), torch.zeros(7)
    save_file(tensors, file)
    assert torch.equal(PretrainedEncoder((1, 8, 8), model=NAME, weights=file, size=64)(x), expected)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("resnet18", 512),
        ("alexnet", 4096),
        pytest.param("densenet121", 1024, marks=pytest.mark.slow),
        ("efficientnet_b0", 1280),
        ("convnext_tiny", 768),
    ],
)
def test_families(name, features):
    with torch.device("meta"):
        encoder = PretrainedEncoder((3, 32, 32), model=name)
        assert encoder(torch.empty(2, 3, 32, 32)).shape == (2, features) == (2, *encoder.feature_shape)


def test_vision_transformers_say_their_size():
    with torch.device("meta"):
        encoder = PretrainedEncoder((3, 32, 32), model="vit_b_32")
        assert encoder.backbone.size == (224, 224)
        with pytest.raises(UsageError, match="pictures of 64×64"):
            PretrainedEncoder((3, 32, 32), model="vit_b_32", size=64)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((1, 8, 8), {"model": "resnet81"}, "no network 'resnet81'"),
        ((1, 8, 8), {"model": "squeezenet1_0"}, "linear layer"),
        ((1, 8, 8), {"model": "inception_v3"}, "inception_v3"),
        ((2, 8, 8), {}, "2 channels"),
        ((12,), {}, "images"),
    ],
)
def test_refusals(shape, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        PretrainedEncoder(shape, **options)
    assert caught.value.hint

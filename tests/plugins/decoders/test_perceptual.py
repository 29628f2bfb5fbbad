"""Perceptual error: against torchvision by hand, and its weights from a file."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models
from torchvision.transforms.functional import normalize

import genmod
from genmod import DataInfo, FileError, UsageError, compose
from genmod.model.assembly import assemble
from genmod.plugins.decoders.perceptual import PerceptualDecoder
from genmod.testing.inputs import examples

IMAGES = DataInfo((3, 40, 33), levels=256)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return models.get_model("squeezenet1_1", weights=None).eval()


@pytest.fixture
def file(net, tmp_path):
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"


@torch.no_grad()
@pytest.mark.parametrize("high", [1.0, 255.0])
def test_against_torchvision_by_hand(net, file, high):
    data = DataInfo((3, 40, 33), high=high, levels=256)
    decoder = PerceptualDecoder(data, weights=file, weight=3.0, pixel=0.5)
    x, parameters = examples(data, 4), torch.randn(4, 3, 40, 33)
    y = parameters.sigmoid()
    total = torch.zeros(4)
    a, b = (normalize(each, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)) for each in (x / high, y))
    for i, layer in enumerate(net.features):
        a, b = layer(a), layer(b)
        if i in (1, 4, 7, 12):
            total += 3.0 * (a - b).square().mean((1, 2, 3)) / 4
    total += 0.5 * (x / high - y).square().mean((1, 2, 3))
    torch.testing.assert_close(decoder(parameters).log_prob(x), -3 * 40 * 33 * total)
    torch.testing.assert_close(decoder(parameters).mean, high * y)


@torch.no_grad()
def test_likelier_the_more_alike():
    decoder = PerceptualDecoder(IMAGES)
    parameters = torch.randn(3, 40, 33)
    y = decoder(parameters).mean
    steps = [
        decoder(parameters).log_prob(y + size * torch.randn_like(y)).item() for size in (0.0, 0.02, 0.1, 0.5)
    ]
    assert steps[0] == pytest.approx(0, abs=1e-4)
    assert steps == sorted(steps, reverse=True)


@torch.no_grad()
def test_draws_and_batches_are_broadcast():
    decoder = PerceptualDecoder(DataInfo((1, 8, 8)))
    parameters, x = torch.randn(5, 4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    together = decoder(parameters).log_prob(x)
    assert together.shape == (5, 4)
    torch.testing.assert_close(together[2, 3], decoder(parameters[2, 3]).log_prob(x[3]))


def test_named_layers_are_the_only_ones(file):
    x, parameters = torch.rand(2, 3, 40, 33), torch.randn(2, 3, 40, 33)
    one, other, both = (
        PerceptualDecoder(IMAGES, weights=file, layers=layers, pixel=0.0)(parameters).log_prob(x)
        for layers in (["features.1"], ["features.7"], ["features.1", "features.7"])
    )
    torch.testing.assert_close(both, (one + other) / 2)


def test_only_the_pictures_are_trained():
    decoder = PerceptualDecoder(IMAGES)
    assert not list(decoder.parameters())
    parameters = torch.randn(2, 3, 40, 33, requires_grad=True)
    decoder(parameters).log_prob(torch.rand(2, 3, 40, 33)).sum().backward()
    assert parameters.grad.abs().min() > 0


def test_a_saved_model_does_not_need_the_file(file, tmp_path):
    part = {"name": "perceptual", "weights": str(file), "pixel": 1.0}
    spec = compose(
        components={"encoder": "mlp", "decoder": part, "objective": "reconstruction", "divergence": "none"}
    )
    model = assemble(spec, DataInfo((1, 8, 8), levels=17))
    genmod.train(model, steps=3, batch_size=8, device="cpu")
    directory = genmod.save(model, tmp_path / "model")
    file.unlink()
    again = genmod.load(directory)
    x, z = torch.rand(2, 1, 8, 8), torch.zeros(2, *model.latent_shape)
    assert torch.equal(again.decode(z).log_prob(x), model.eval().decode(z).log_prob(x))


@pytest.mark.parametrize("model", ["alexnet", "squeezenet1_0", "resnet18", "resnet50", "vgg16", "vgg19"])
def test_default_layers_exist(model):
    with torch.device("meta"):
        decoder = PerceptualDecoder(DataInfo((3, 32, 32)), model=model)
        sizes = {maps.shape[-2:] for maps in decoder.backbone(torch.empty(1, 3, 32, 32)).values()}
    assert len(sizes) >= 3


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (DataInfo((12,)), {}, "grey and colour"),
        (DataInfo((2, 8, 8)), {}, "grey and colour"),
        (DataInfo((1, 8, 8), low=-torch.inf), {}, "bounded"),
        (DataInfo((1, 8, 8)), {"layers": ["features.99"]}, r"no layer 'features\.99'"),
        (DataInfo((1, 8, 8)), {"model": "convnext_tiny"}, "which layers"),
        (DataInfo((1, 8, 8)), {"model": "alexnet", "size": 8}, "pictures of 8×8"),
    ],
)
def test_refusals(data, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        PerceptualDecoder(data, **options)
    assert caught.value.hint


def test_weights_of_another_network_are_refused(file):
    with pytest.raises(FileError, match="does not belong"):
        PerceptualDecoder(IMAGES, model="alexnet", weights=file)

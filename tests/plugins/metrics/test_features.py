"""Features: what they are, that they are those of other implementations, and what they refuse."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from genmod import Batch, DataInfo, FileError, TensorSplit, UndefinedError, UsageError
from genmod.evaluation.featured import checked_features, featured
from genmod.evaluation.subject import Subject
from genmod.plugins.datasets.digits import Digits
from genmod.plugins.encoders import _backbone
from genmod.plugins.features import _images as images
from genmod.plugins.features import digits_cnn, dino, inception
from genmod.plugins.features.classifier import ClassifierFeatures
from genmod.plugins.features.digits_cnn import DigitsCnnFeatures
from genmod.plugins.features.dino import DinoFeatures
from genmod.plugins.features.inception import InceptionFeatures
from genmod.plugins.features.pca import PcaFeatures
from genmod.plugins.features.pixel import PixelFeatures
from genmod.plugins.features.randconv import RandconvFeatures
from genmod.testing.reference import reference_model

SUM = 0.15437528752954677
GREY, COLOUR, TABLE = DataInfo((1, 8, 8)), DataInfo((3, 32, 32)), DataInfo((12,))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return Digits(tmp_path_factory.mktemp("none"))


def parts(digits):
    train, test = digits.split("train").batch, digits.split("test").batch
    return digits.info.values(train.x), train.labels, digits.info.values(test.x), test.labels


def test_pca_is_that_of_scikit_learn(digits):
    from sklearn.decomposition import PCA

    x, _, test, _ = parts(digits)
    made = PcaFeatures(digits.info, components=10)
    made.fit(x, None)
    oracle = PCA(10, svd_solver="full").fit(x.flatten(1).double().numpy())
    wanted = torch.from_numpy(oracle.transform(test.flatten(1).double().numpy())).float()
    torch.testing.assert_close(made(test).abs(), wanted.abs(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(made.directions @ made.directions.T, torch.eye(10), atol=1e-5, rtol=0)
    largest = made.directions.gather(1, made.directions.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


def test_pca_of_fewer_values_than_components():
    made = PcaFeatures(DataInfo((5,)))
    made.fit(torch.rand(30, 5), None)
    assert (made(torch.rand(4, 5)).shape, made.version) == ((4, 5), "5")
    with pytest.raises(UsageError, match="components of 1 examples"):
        made.fit(torch.rand(1, 5), None)


def test_pixel_is_the_values():
    x = torch.rand(4, 3, 32, 32)
    assert torch.equal(PixelFeatures(COLOUR)(x), x.flatten(1))


def test_digits_network_knows_digits(digits):
    _, _, test, labels = parts(digits)
    made = DigitsCnnFeatures(digits.info)
    assert (made.net(test).argmax(1) == labels).float().mean() >= 0.96
    assert made(test).shape == (250, 32)
    train = digits.info.values(digits.split("train").batch.x)
    assert made(train).square().mean().item() == pytest.approx(1, rel=1e-3)
    file = images.Path(digits_cnn.__file__).with_name("digits_cnn.safetensors")
    assert file.stat().st_size <= 200_000
    # Values in other units are the same pictures.
    counts = DataInfo((1, 8, 8), low=0.0, high=16.0)
    torch.testing.assert_close(DigitsCnnFeatures(counts)(16 * test), made(test), rtol=1e-4, atol=1e-4)


def test_random_network_is_orthogonal_and_the_same_everywhere():
    made = RandconvFeatures(COLOUR)
    for layer in made.net:
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.flatten(1)
            gram = weight @ weight.T
            torch.testing.assert_close(gram, gram[0, 0] * torch.eye(len(gram)), atol=1e-5, rtol=0)
    grey = torch.rand(3, 1, 8, 8)
    three = RandconvFeatures(DataInfo((3, 8, 8)))(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(RandconvFeatures(GREY)(grey), three)
    # The stored weights, whatever version of torch reads them.
    assert made.net[0].weight.double().sum().item() == pytest.approx(SUM, abs=1e-9)


def test_classifier_tells_classes_apart(digits):
    x, labels, test, truth = parts(digits)
    made = ClassifierFeatures(digits.info, steps=150)
    made.fit(x, labels, seed=1)
    centres = torch.stack([made(x[labels == digit]).mean(0) for digit in range(10)])
    assert (torch.cdist(made(test), centres).argmin(1) == truth).float().mean() > 0.9
    assert made(x).square().mean().item() == pytest.approx(1, rel=1e-3)
    with pytest.raises(UsageError, match="no classes"):
        made.fit(x, None)


# ---------------------------------------------------------------- Inception


@pytest.mark.parametrize("shape", [(7, 5), (32, 32), (300, 310)])
def test_pictures_are_enlarged_as_in_tensorflow(shape):
    """Against a plain loop over the formula of its kernel."""
    x = torch.rand(1, 2, *shape, dtype=torch.float64)
    found = inception.enlarged(x, 29)
    for i, j in ((0, 0), (3, 28), (28, 11), (17, 17)):
        places = [i * shape[0] / 29, j * shape[1] / 29]
        corners = [(math.floor(p), min(math.floor(p) + 1, n - 1)) for p, n in zip(places, shape, strict=True)]
        (top, bottom), (left, right) = corners
        down, across = (p - math.floor(p) for p in places)
        first = x[..., top, left] + (x[..., top, right] - x[..., top, left]) * across
        second = x[..., bottom, left] + (x[..., bottom, right] - x[..., bottom, left]) * across
        torch.testing.assert_close(found[..., i, j], first + (second - first) * down, rtol=1e-9, atol=1e-12)


def random_inception(classes):
    """Weights that give features of a size that can be compared."""
    torch.manual_seed(0)
    net = inception._network(classes)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return net


@pytest.mark.slow
def test_inception_is_that_of_published_scores(tmp_path):
    oracle = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed"
    )
    state = random_inception(1008).state_dict()
    save_file(state, tmp_path / "weights.safetensors")
    torch.save(state, tmp_path / "weights.pth")
    wanted_of = oracle.FeatureExtractorInceptionV3(
        "inception", ["2048"], feature_extractor_weights_path=str(tmp_path / "weights.pth")
    )
    made = InceptionFeatures(COLOUR, weights=tmp_path / "weights.safetensors").eval()
    levels = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        (wanted,) = wanted_of(levels)
        found = made(levels / 255)
    assert found.shape == (3, 2048)
    torch.testing.assert_close(found / wanted.abs().max(), wanted / wanted.abs().max(), rtol=1e-4, atol=1e-5)
    assert len(made.version) == 8


@pytest.mark.slow
def test_inception_is_that_of_torchvision(tmp_path):
    net = random_inception(1000)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    made = InceptionFeatures(GREY, weights=tmp_path / "weights.safetensors").eval()
    x = torch.randint(256, (2, 1, 8, 8)) / 255
    net.fc = nn.Identity()
    with torch.no_grad():
        wanted = net((inception.enlarged((255 * x).expand(-1, 3, -1, -1), 299) - 128) / 128)
        torch.testing.assert_close(made(x), wanted, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- DINOv2

WIDTH = 128


def dino_weights(depth=2, side=16):
    """Random weights with the names of the published files."""
    torch.manual_seed(0)
    net = dino._Transformer(WIDTH, depth, side**2 + 1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter))
    return {**net.state_dict(), "mask_token": torch.zeros(1, WIDTH)}


def test_dino_is_the_transformer_of_torchvision(tmp_path):
    """Whose blocks have no scales: these are put into the layers before them."""
    from torchvision.models import VisionTransformer

    state = dino_weights()
    save_file(state, tmp_path / "weights.safetensors")
    made = DinoFeatures(COLOUR, weights=tmp_path / "weights.safetensors").eval()
    oracle = VisionTransformer(
        224, 14, num_layers=2, num_heads=WIDTH // 64, hidden_dim=WIDTH, mlp_dim=4 * WIDTH
    )
    named = {
        "class_token": state["cls_token"],
        "conv_proj.weight": state["patch_embed.proj.weight"],
        "conv_proj.bias": state["patch_embed.proj.bias"],
        "encoder.pos_embedding": state["pos_embed"],
        "encoder.ln.weight": state["norm.weight"],
        "encoder.ln.bias": state["norm.bias"],
    }
    pairs = {
        "ln_1": ("norm1", None),
        "ln_2": ("norm2", None),
        "self_attention.in_proj_": ("attn.qkv.", None),
        "self_attention.out_proj": ("attn.proj", "ls1"),
        "mlp.0": ("mlp.fc1", None),
        "mlp.3": ("mlp.fc2", "ls2"),
    }
    for i in range(2):
        for theirs, (ours, scale) in pairs.items():
            for what in ("weight", "bias"):
                tensor = state[f"blocks.{i}.{ours.rstrip('.')}.{what}"]
                if scale:
                    gamma = state[f"blocks.{i}.{scale}.gamma"]
                    tensor = tensor * (gamma[:, None] if what == "weight" else gamma)
                joint = "" if theirs.endswith("_") else "."
                named[f"encoder.layers.encoder_layer_{i}.{theirs}{joint}{what}"] = tensor
    oracle.heads = nn.Identity()
    oracle.load_state_dict(named)
    x = torch.rand(2, 3, 224, 224)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in dino.IMAGENET)
    normal = (x - mean) / deviation
    with torch.no_grad():
        wanted = oracle.eval()(normal)
        torch.testing.assert_close(made.net(normal), wanted, rtol=1e-3, atol=1e-3)
        assert made(torch.rand(2, 3, 32, 32)).shape == (2, WIDTH)


def test_dino_learnt_on_larger_pictures(tmp_path):
    """The embedding of 37×37 places, as published, becomes one of 16×16; a constant one stays what it is."""
    state = dino_weights(1, 37)
    state["pos_embed"] = torch.cat([torch.zeros(1, 1, WIDTH), torch.full((1, 37**2, WIDTH), 0.7)], 1)
    save_file(state, tmp_path / "weights.safetensors")
    made = DinoFeatures(GREY, weights=tmp_path / "weights.safetensors")
    places = made.net._places(16)
    assert places.shape == (1, 257, WIDTH)
    torch.testing.assert_close(places[:, 1:], torch.full((1, 256, WIDTH), 0.7))


# ---------------------------------------------------------------- refusals and identity


@pytest.mark.parametrize(
    "cls", [RandconvFeatures, ClassifierFeatures, DigitsCnnFeatures, InceptionFeatures, DinoFeatures]
)
@pytest.mark.parametrize(
    "info",
    [TABLE, DataInfo((1, 1, 1)), DataInfo((1, 8, 8), low=-math.inf)],
    ids=["table", "small", "unbounded"],
)
def test_what_has_no_such_features(cls, info):
    with pytest.raises(UndefinedError, match=r"features '.*' need images") as raised:
        cls(info)
    assert "pixel and pca" in raised.value.hint


@pytest.mark.parametrize("cls", [InceptionFeatures, DinoFeatures])
def test_files_of_weights_that_cannot_be_used(cls, tmp_path):
    with pytest.raises(UsageError, match="need a file of weights") as raised:
        cls(COLOUR)
    assert "save_file" in raised.value.hint
    assert not isinstance(raised.value, UndefinedError)
    save_file({"something": torch.zeros(3)}, tmp_path / "other.safetensors")
    (tmp_path / "old.pth").write_bytes(b"pickle")
    for name, match in (
        ("other.safetensors", "does not belong to"),
        ("old.pth", "may hold code"),
        ("none.safetensors", "no file"),
    ):
        with pytest.raises(FileError, match=match):
            cls(COLOUR, weights=tmp_path / name)


def test_weights_fit_by_name_and_shape_or_nothing_is_filled_in():
    net, before = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), torch.ones(2, 3)
    nn.init.ones_(net[0].weight)
    given = {name: torch.zeros_like(t) for name, t in net.state_dict().items() if "num_batches" not in name}
    for wrong in (
        {**given, "0.bias": torch.zeros(3)},
        {name: tensor for name, tensor in given.items() if name != "0.bias"},
        {**given, "0.bias.more": torch.zeros(3)},
    ):
        with pytest.raises(FileError, match=r"w\.safetensors does not belong to a pair: .*0\.bias"):
            _backbone.fill(net, wrong, Path("w.safetensors"), "a pair", "")
        assert torch.equal(net[0].weight, before)
    _backbone.fill(net, given, Path("w.safetensors"), "a pair", "")
    assert not net[0].weight.any()


def subject_of(seed=0, scale=1.0):
    x = scale * torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    return Subject(
        reference_model(), TensorSplit(Batch(x[:30])), train=lambda: TensorSplit(Batch(x[30:])), seed=seed
    )


def test_identity_of_what_was_fitted():
    """The same data and seed, the same features; other data, another checksum."""
    one, again, other = (
        featured(subject, "pca") for subject in (subject_of(), subject_of(), subject_of(scale=2.0))
    )
    assert one.sha256 == again.sha256 != other.sha256
    assert one.name == other.name == "pca-3"
    assert torch.equal(one.of_split(30), again.of_split(30))


@pytest.mark.slow
def test_features_do_not_keep_their_subject():
    import gc
    import weakref

    subject = subject_of()
    featured(subject, "pca").of_split(3)
    reference = weakref.ref(subject)
    del subject
    gc.collect()
    assert reference() is None


def test_texts():
    assert checked_features(None) is None
    assert checked_features("inception:weights=a/b.safetensors") == "inception:weights=a/b.safetensors"
    for text in ("nope", "pca:3", "pca:width=3", "pca:components=none", "pca:components=0"):
        with pytest.raises(UsageError):
            checked_features(text)

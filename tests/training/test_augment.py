"""Augmentation: what it does to an example depends on seed, step and example alone."""

import pytest
import torch

from genmod import DataInfo, UsageError
from genmod.options.text import parse_call, plain_value
from genmod.training.augment import Augmentation

INFO = DataInfo((1, 8, 8), levels=256)


@pytest.fixture
def x():
    return torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)


ROTATED = ["random-rotation:180", "random-crop:8,padding=2"]
MOVED = ["random-horizontal-flip", "random-crop:8,padding=2"]


@pytest.fixture
def turn():
    return Augmentation(ROTATED, INFO, 0)


@pytest.mark.parametrize("texts", [ROTATED, MOVED])
def test_it_is_a_function_of_seed_step_and_example(x, texts):
    turn = Augmentation(texts, INFO, 0)
    indices = [5, 3, 8, 0, 1, 2]
    first = turn(x, indices, 4)
    torch.manual_seed(99)
    assert torch.equal(turn(x, indices, 4), first)
    assert torch.equal(turn(x[[2]], [8], 4), first[[2]])
    assert not torch.equal(turn(x, indices, 5), first)
    assert not torch.equal(turn(x, [7, *indices[1:]], 4)[0], first[0])
    assert not torch.equal(Augmentation(texts, INFO, 1)(x, indices, 4), first)


def test_examples_are_augmented_each_in_its_own_way(turn, x):
    same = x[:1].expand(6, 1, 8, 8)
    assert len({picture.numpy().tobytes() for picture in turn(same, range(6), 0)}) > 3


@pytest.mark.parametrize(
    "texts",
    [
        ["random-horizontal-flip"],
        ["random-vertical-flip:0.3", "random-horizontal-flip:0.7"],
        ["random-crop:[9,11],padding=3"],
        ["random-crop:[9,11],padding=[1,2,3,0],padding_mode=edge,fill=0.5", "random-horizontal-flip"],
        ["random-crop:[9,11],padding=[2,1],fill=[0.1,0.2,0.3]"],
        ["random-crop:[9,6]", "random-crop:[9,11],padding=[4,0],padding_mode=reflect"],
        ["random-crop:[9,11],padding=[0,2],padding_mode=symmetric", "random-vertical-flip"],
        ["random-crop:[9,11]"],
    ],
)
def test_flips_and_crops_of_a_batch_are_those_of_torchvision_for_each_example(texts):
    for info, dtype in (
        (DataInfo((3, 9, 11), levels=256), torch.uint8),
        (DataInfo((3, 9, 11)), torch.float32),
    ):
        x = (torch.rand(12, 3, 9, 11) * (1 if dtype == torch.float32 else 255)).to(dtype)
        together, alone = Augmentation(texts, info, 7), Augmentation(texts, info, 7)
        assert together._moves is not None
        alone._moves = None
        for step in range(2):
            moved = together(x, range(20, 32), step)
            assert torch.equal(moved, alone(x, range(20, 32), step))
            assert moved.is_contiguous()


@pytest.mark.parametrize(
    "texts", [["random-crop:8,pad_if_needed=true"], ["random-horizontal-flip", "random-rotation:20"]]
)
def test_other_transforms_are_those_of_torchvision_one_by_one(x, texts):
    assert Augmentation(texts, INFO, 0)._moves is None


def test_crops_are_fair():
    crop = Augmentation(["random-crop:2,padding=1"], DataInfo((1, 2, 2), levels=2), 0)
    x = torch.tensor([[1, 0], [0, 0]], dtype=torch.uint8).expand(3600, 1, 2, 2)
    places = crop(x, range(3600), 0).flatten(1)
    # Of nine parts, four have the one pixel, in four places; five have none of it.
    counts = torch.cat([places.sum(0), (places.sum(1) == 0).sum()[None]])
    expected = torch.tensor([400.0, 400, 400, 400, 2000])
    chance = expected / 3600
    assert ((counts - expected).abs() < 4 * (3600 * chance * (1 - chance)).sqrt()).all(), counts


def test_nothing_is_changed_in_place(turn, x):
    before = x.clone()
    turn(x, range(6), 0)
    assert torch.equal(x, before)


def test_flips_are_fair():
    flip = Augmentation(["RandomHorizontalFlip"], DataInfo((1, 1, 2), levels=2), 0)
    x = torch.tensor([0, 1], dtype=torch.uint8).expand(2000, 1, 1, 2)
    flipped = flip(x, range(2000), 0)[:, 0, 0, 0].float().mean()
    assert abs(float(flipped) - 0.5) < 4 * 0.5 / 2000**0.5


def test_transforms_are_applied_in_their_order():
    x = torch.arange(4, dtype=torch.uint8).reshape(1, 1, 2, 2)
    info = DataInfo((1, 2, 2), levels=4)
    one = Augmentation(["random_horizontal_flip:1", "random-vertical-flip:p=1"], info, 0)
    assert one(x, [0], 0).flatten().tolist() == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("random-horizontal-flop", "did you mean random-horizontal-flip"),
        ("random-crop", "missing a required argument: 'size'"),
        ("random-crop:8,pading=2", "unexpected keyword argument 'pading'"),
        ("random-affine:10,interpolation=sharp", "'sharp' is not a valid InterpolationMode"),
        ("random-rotation:-3", "must be positive"),
        ("compose", "no transform 'compose'"),
        ("lambda", "no transform 'lambda'"),
        ("os.system:ls", "no transform 'os.system'"),
        ("cut-mix", "no transform 'cut-mix'"),
        ("random-crop:8,,", "is not NAME or NAME:VALUE"),
        ("", "is not NAME or NAME:VALUE"),
    ],
)
def test_what_cannot_be_is_refused(text, words):
    with pytest.raises(UsageError) as refused:
        Augmentation([text], INFO, 0)
    assert words in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("center-crop:6", "uint8 of shape (1, 8, 8) into uint8 of shape (1, 6, 6)"),
        ("rgb", "into uint8 of shape (3, 8, 8)"),
        ("random-crop:6", "uint8 of shape (1, 8, 8) into uint8 of shape (1, 6, 6)"),
    ],
)
def test_another_shape_is_refused(x, text, words):
    with pytest.raises(UsageError) as refused:
        Augmentation([text], INFO, 0)(x, range(6), 0)
    assert f"--augment {text} turns" in refused.value.message
    assert words in refused.value.message


@pytest.mark.parametrize("text", ["random-crop:9", "random-crop:8,padding=8,padding_mode=reflect"])
def test_a_crop_that_cannot_be_says_which_it_was(x, text):
    with pytest.raises(UsageError, match=f"--augment {text} does not work on examples that are uint8"):
        Augmentation([text], INFO, 0)(x, range(6), 0)


def test_values_out_of_range_are_refused():
    x = torch.full((1, 3, 8, 8), 16, dtype=torch.uint8)
    brighter = Augmentation(["color-jitter:[2.0,2.0]"], DataInfo((3, 8, 8), levels=17), 0)
    with pytest.raises(UsageError, match="turns values from 0 to 16 into 32 to 32"):
        brighter(x, [0], 0)
    noise = Augmentation(["gaussian-noise:sigma=0.3,clip=false"], DataInfo((3, 8, 8)), 0)
    with pytest.raises(UsageError, match="turns values from"):
        noise(torch.zeros(1, 3, 8, 8), [0], 0)


def test_tables_are_refused():
    with pytest.raises(UsageError, match="needs images"):
        Augmentation(["random-horizontal-flip"], DataInfo((5,)), 0)


def test_calls():
    assert parse_call("name") == ("name", (), {})
    assert parse_call("a:1, b , c = [1, 2],d=x=y") == ("a", ("1", "b"), {"c": "[1, 2]", "d": "x=y"})
    for text in ("a:b=1,2", "a:b=1,b=2", "a:=1", "a:1=2", "a b", "a:"):
        with pytest.raises(UsageError):
            parse_call(text)
    assert [plain_value(t) for t in ("1", "0.5", "true", "null", "[1,2]", "x", "[" * 99999)][:5] == [
        1,
        0.5,
        True,
        None,
        [1, 2],
    ]

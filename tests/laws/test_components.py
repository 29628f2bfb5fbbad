"""Laws of every part of a model, whatever its kind."""

import copy
import json

import pytest
import torch
from torch import nn

from genmod.options import to_json, validate


def gradient_reaches(module):
    """Names of the parameters that no gradient has reached."""
    return [
        name
        for name, parameter in module.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.abs().sum() > 0
    ]


def test_gradient_reaches_every_parameter(component):
    part = component.usual()
    output = component.output(part)
    if not list(part.parameters()):
        return
    # Random weights: a plain sum has no gradient below a normalisation.
    (output * torch.randn_like(output)).sum().backward()
    assert gradient_reaches(part) == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_dtype_is_kept(component, dtype):
    part = component.usual().to(dtype)
    assert component.output(part, dtype=dtype).dtype == dtype
    part.eval()
    assert component.output(part, dtype=dtype).dtype == dtype


def test_single_precision_agrees_with_double(component):
    part = component.usual().eval()
    single = component.output(part)
    double = component.output(part.double(), dtype=torch.float64)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_works_for_a_batch_of_one(component):
    part = component.usual()
    assert component.output(part, batch=1).isfinite().all()
    assert component.output(part.eval(), batch=1).isfinite().all()


def test_an_example_does_not_depend_on_its_neighbours(component):
    """Bit for bit: the same batch size takes the same path through the kernels."""
    if component.kind == "prior":
        pytest.skip("a prior has no examples")
    part = component.usual().eval()
    whole, other = component.output(part), component.output(part, neighbours=1.0)
    assert torch.equal(whole[0], other[0])
    assert not whole.any() or not torch.equal(whole[1:], other[1:]), (
        "the neighbours' own results did not change"
    )


def test_state_round_trip_is_bit_equal(component):
    part, other = component.usual(), component.usual()
    for tensor in part.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.125)
    other.load_state_dict(part.state_dict())
    assert torch.equal(component.output(part.eval()), component.output(other.eval()))


def test_copy_is_equal_and_independent(component):
    part = component.usual().eval()
    before = component.output(part)
    other = copy.deepcopy(part)
    assert torch.equal(component.output(other), before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert torch.equal(component.output(part), before)


def test_same_seed_same_weights(component):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(component.usual().state_dict())
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_evaluation_neither_changes_the_component_nor_the_input(component):
    part = component.usual().eval()
    state = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    first = component.output(part)
    assert torch.equal(component.output(part), first)
    assert all(torch.equal(part.state_dict()[name], tensor) for name, tensor in state.items())


def test_builds_and_runs_without_memory(component):
    with torch.device("meta"):
        part = component.usual()
        tensors = [*part.parameters(), *part.buffers()]
        assert all(tensor.is_meta for tensor in tensors)
        assert component.output(part, device="meta").is_meta


def test_repr(component):
    part = component.usual()
    assert isinstance(part, nn.Module)
    assert component.cls.__name__ in repr(part)


def test_options_survive_json(component):
    cls = component.cls
    options = validate(cls, component.options, component.kind)
    again = validate(cls, json.loads(json.dumps(to_json(cls, options))), component.kind)
    assert again == options

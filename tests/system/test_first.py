"""The parameters of a module without torch's walk."""

from torch import nn

import genmod
from genmod.system.first import each_parameter


def test_they_are_those_of_torch_in_its_order():
    model = genmod.build(model="flow")
    assert [*map(id, each_parameter(model))] == [*map(id, model.parameters())]


def test_missing_ones_are_passed_over_and_shared_ones_come_again():
    layer = nn.Linear(2, 2, bias=False)
    module = nn.Sequential(nn.ReLU(), layer, layer)
    module.register_module("none", None)
    assert [*map(id, each_parameter(module))] == [id(layer.weight)] * 2
    assert next(each_parameter(nn.ReLU()), None) is None

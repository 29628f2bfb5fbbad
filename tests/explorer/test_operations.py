"""Every operation of the page's interpreter gives what PyTorch gives."""

import math

import pytest
import torch

from genmod.explorer.operations import OPERATIONS
from genmod.explorer.program import Graph

torch.manual_seed(0)
ODD = torch.tensor([-2.5, -1.5, -0.5, 0.0, 0.5, 1.5, 2.5, 3.7, -7.2, 0.3, 12.0, 1e-3])
SIGNED = torch.randn(2, 3, 4)
UNIT = torch.rand(2, 3, 4) * 0.98 + 0.01
POSITIVE = torch.rand(2, 3, 4) * 5 + 0.01
ROW = torch.randn(3, 1)
SPECIAL = torch.tensor([math.nan, math.inf, -math.inf, 0.0, 1.0, -1.0])
TRUTH = torch.tensor([True, False, True, False])
OTHER = torch.tensor([True, True, False, False])
IMAGES = torch.randn(2, 4, 7, 6)
NUMBERS = torch.tensor([0, 2, 2, -1]), torch.tensor([[0, 3], [1, 4]])

UNARY = {
    "abs atan asinh ceil cos cosh erf exp expm1 floor neg relu round sigmoid sign sin sinh tan tanh trunc": ODD,
    "isinf isnan abs neg relu sigmoid sign exp tanh": SPECIAL,
    "acos asin atanh log log10 log1p log2 reciprocal rsqrt sqrt": UNIT,
    "acosh": POSITIVE + 1,
    "alias clone": SIGNED,
    "logical_not": TRUTH,
}
COMPARISONS = "eq ge gt le lt ne"
CASES = [
    *((f"{name}.default", (x,), {}) for names, x in UNARY.items() for name in names.split()),
    *((f"{name}.Scalar", (torch.tensor([1.0, 2.0, 3.0, math.nan]), 2.0), {}) for name in COMPARISONS.split()),
    *((f"{name}.Tensor", (ODD, ODD.flip(0)), {}) for name in COMPARISONS.split()),
    *((f"logical_{name}.default", (TRUTH, OTHER), {}) for name in ("and", "or", "xor")),
    *((f"{name}.default", (SIGNED, ROW), {}) for name in ("maximum", "minimum", "atan2", "hypot")),
    ("maximum.default", (SPECIAL, SPECIAL.flip(0)), {}),
    ("add.Tensor", (SIGNED, ROW), {"alpha": 2}),
    ("add.Tensor", (torch.tensor(2.0), SIGNED), {}),
    ("sub.Tensor", (SIGNED, ROW), {"alpha": 3}),
    ("mul.Tensor", (SIGNED, ROW), {}),
    ("mul.Scalar", (SIGNED, 0.1), {}),
    ("div.Tensor", (SIGNED, ROW), {}),
    ("div.Tensor_mode", (SIGNED * 9, ROW), {"rounding_mode": "floor"}),
    ("div.Tensor_mode", (SIGNED * 9, ROW), {"rounding_mode": "trunc"}),
    ("fmod.Scalar", (ODD, 2.0), {}),
    ("remainder.Scalar", (ODD, 2.0), {}),
    ("pow.Tensor_Scalar", (POSITIVE, 1.7), {}),
    ("pow.Tensor_Scalar", (SIGNED, 3.0), {}),
    ("clamp.default", (SIGNED, -0.5), {}),
    ("clamp.default", (SIGNED, None, 0.3), {}),
    ("clamp.Tensor", (SIGNED, ROW), {}),
    ("hardtanh.default", (SIGNED, -0.2, 0.4), {}),
    ("elu.default", (SIGNED, 1.3), {}),
    ("leaky_relu.default", (SIGNED, 0.2), {}),
    ("gelu.default", (ODD,), {}),
    ("gelu.default", (ODD,), {"approximate": "tanh"}),
    ("where.self", (SIGNED > 0, SIGNED, ROW), {}),
    ("_to_copy.default", (ODD,), {"dtype": torch.int64}),
    ("_to_copy.default", (ODD,), {"dtype": torch.bool}),
    ("_to_copy.default", (ODD,), {"dtype": torch.float32}),
    ("view.default", (SIGNED, [4, -1]), {}),
    ("_unsafe_view.default", (SIGNED, [6, 4]), {}),
    ("permute.default", (SIGNED, [2, 0, -2]), {}),
    ("expand.default", (ROW, [2, -1, 4]), {}),
    ("unsqueeze.default", (SIGNED, -1), {}),
    ("squeeze.dims", (ROW[None], [0, -1]), {}),
    ("squeeze.dim", (ROW, 0), {}),
    ("squeeze.default", (ROW[None],), {}),
    ("select.int", (SIGNED, 1, -1), {}),
    ("slice.Tensor", (SIGNED, 2, -3, 9223372036854775807, 2), {}),
    ("slice.Tensor", (SIGNED, 1, None, -1), {}),
    ("cat.default", ([SIGNED, SIGNED[:, :1]], -2), {}),
    ("flip.default", (SIGNED, [0, -1]), {}),
    ("repeat.default", (ROW, [2, 2, 3]), {}),
    ("index_select.default", (SIGNED, -1, NUMBERS[0].clamp(0)), {}),
    ("embedding.default", (torch.randn(5, 3), NUMBERS[1]), {}),
    ("constant_pad_nd.default", (SIGNED, [1, -1, 0, 2], 0.5), {}),
    ("full.default", ([2, 3], math.inf), {}),
    ("full_like.default", (SIGNED, 1.5), {}),
    ("scalar_tensor.default", (2.5,), {}),
    ("sum.dim_IntList", (SIGNED, [0, -1], True), {}),
    ("sum.default", (SIGNED,), {}),
    ("mean.dim", (SIGNED, [1]), {}),
    ("mean.default", (SIGNED,), {}),
    ("prod.dim_int", (SIGNED, 1), {}),
    ("var.correction", (SIGNED, [1, 2]), {"correction": 0}),
    ("var.correction", (SIGNED, [2]), {"keepdim": True}),
    ("amax.default", (SIGNED, [1]), {}),
    ("amin.default", (SIGNED, [-1], True), {}),
    ("argmax.default", (SIGNED, 1), {}),
    ("argmin.default", (SIGNED,), {}),
    ("any.dim", (SIGNED > 1.2, -1), {}),
    ("any.default", (SIGNED > 9,), {}),
    ("cumsum.default", (SIGNED, 1), {}),
    ("_softmax.default", (SIGNED, 1, False), {}),
    ("_log_softmax.default", (SIGNED * 50, -1, False), {}),
    ("mm.default", (torch.randn(3, 5), torch.randn(5, 4)), {}),
    ("bmm.default", (torch.randn(2, 3, 5), torch.randn(2, 5, 4)), {}),
    ("addmm.default", (torch.randn(4), torch.randn(3, 5), torch.randn(5, 4)), {"beta": 0.5, "alpha": 2}),
    ("avg_pool2d.default", (IMAGES, [2], [2]), {}),
    ("avg_pool2d.default", (IMAGES, [3, 2], [2, 1], [1, 0], False, False), {}),
    ("_adaptive_avg_pool2d.default", (IMAGES, [3, 4]), {}),
    ("upsample_nearest2d.vec", (IMAGES, [15, 9], None), {}),
    ("upsample_nearest2d.vec", (IMAGES, None, [2.0, 3.0]), {}),
    ("upsample_bilinear2d.vec", (IMAGES, [15, 9], False, None), {}),
    ("upsample_bilinear2d.vec", (IMAGES, [15, 9], True, None), {}),
]
CONVOLUTIONS = [
    # input, weight, stride, padding, dilation, transposed, output padding, groups
    ((2, 4, 7, 6), (5, 4, 3, 3), [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    ((2, 4, 9, 8), (6, 2, 3, 2), [2, 3], [2, 0], [2, 1], False, [0, 0], 2),
    ((2, 4, 5, 4), (4, 3, 4, 4), [2, 2], [1, 1], [1, 1], True, [1, 0], 1),
    ((2, 4, 5, 4), (4, 2, 3, 2), [3, 1], [0, 1], [2, 1], True, [0, 0], 2),
    ((2, 4, 9), (5, 4, 3), [2], [1], [1], False, [0], 1),
    ((2, 4, 9), (4, 5, 3), [2], [1], [1], True, [1], 1),
]
for x_shape, w_shape, *options in CONVOLUTIONS:
    outputs = w_shape[1] * options[-1] if options[3] else w_shape[0]
    CASES.append(
        (
            "convolution.default",
            (torch.randn(x_shape), torch.randn(w_shape), torch.randn(outputs), *options),
            {},
        )
    )
FIRST_OF_SEVERAL = [
    ("native_layer_norm.default", (SIGNED, [3, 4], torch.randn(3, 4), torch.randn(3, 4), 1e-5), {}),
    ("native_group_norm.default", (IMAGES, torch.randn(4), None, 2, 4, 42, 2, 1e-5), {}),
    (
        "_native_batch_norm_legit_no_training.default",
        (IMAGES, torch.rand(4), torch.randn(4), torch.randn(4), torch.rand(4) + 0.5, 0.1, 1e-5),
        {},
    ),
    ("split_with_sizes.default", (SIGNED, [1, 3], 2), {}),
    ("max.dim", (SIGNED, 1), {}),
    ("min.dim", (SIGNED, -1, True), {}),
]
KEPT = ("alpha", "approximate", "beta", "correction", "keepdim", "rounding_mode", "dtype")


def graph_of(overload, args, kwargs, item=None):
    """A graph of that one operation, its tensors as constants, written as ``genmod.explorer.graph`` writes it."""
    constants = []

    def plain(value):
        if isinstance(value, torch.Tensor):
            constants.append(value.float())
            return {"at": len(constants) - 1}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        if isinstance(value, float) and math.isinf(value):
            return {"number": "Infinity"}
        return str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value

    schema = overload._schema
    positional = [
        plain(args[i] if i < len(args) else a.default_value)
        for i, a in enumerate(schema.arguments)
        if not a.kwarg_only
    ]
    options = {name: plain(value) for name, value in kwargs.items() if name in KEPT}
    name = schema.name.partition("::")[2]
    nodes = [(name, positional, options)] if options else [(name, positional)]
    if item is not None:
        nodes.append(("getitem", [{"at": len(constants)}, item]))
    graph = Graph((), tuple(constants), tuple(nodes), len(constants) + len(nodes) - 1)
    return graph.to_json()


def overload_of(text):
    name, _, kind = text.partition(".")
    return getattr(getattr(torch.ops.aten, name), kind)


def test_every_operation_gives_what_torch_gives(run_in_node):
    cases, expected = [], []
    for name, args, kwargs in CASES:
        cases.append((graph_of(overload_of(name), args, kwargs), []))
        expected.append((name, overload_of(name)(*args, **kwargs)))
    for name, args, kwargs in FIRST_OF_SEVERAL:
        results = overload_of(name)(*args, **kwargs)
        for item in range(2 if name[:3] in ("max", "min", "spl") else 1):
            cases.append((graph_of(overload_of(name), args, kwargs, item), []))
            expected.append((name, results[item]))
    operations, found = run_in_node(cases)
    for (name, wanted), got in zip(expected, found, strict=True):
        torch.testing.assert_close(
            got,
            wanted.float().flatten(),
            rtol=2e-6,
            atol=2e-6,
            equal_nan=True,
            msg=lambda m, n=name: f"{n}: {m}",
        )
    assert set(operations) == OPERATIONS
    tried = {name.partition(".")[0] for name, _, _ in [*CASES, *FIRST_OF_SEVERAL]}
    assert tried | {"rand_like"} == OPERATIONS, "an operation without a test"


def test_random_numbers_are_uniform_and_the_same_each_time(run_in_node):
    graph = graph_of(overload_of("rand_like.default"), (torch.zeros(5000),), {})
    _, (first, again) = run_in_node([(graph, []), (graph, [])])
    assert torch.equal(first, again)
    assert first.min() >= 0
    assert first.max() < 1
    counts = torch.histc(first, 10, 0, 1)
    assert (
        (counts - 500).square() / 500
    ).sum() < 27.9  # chi-squared with 9 degrees of freedom, once in a thousand


def test_weights_of_16_bits_are_read_as_torch_reads_them(run_in_node):
    values = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6e-8, 3.1e-5, math.inf, -math.inf, math.nan, 1 / 3])
    graph = Graph((), (values,), (("alias", [{"at": 0}]),), 1).to_json(half=True)
    _, (got,) = run_in_node([(graph, [])])
    assert torch.equal(got.nan_to_num(7.0), values.half().float().nan_to_num(7.0))


@pytest.mark.parametrize("half", [False, True])
def test_the_size_of_the_weights(half):
    graph = Graph((), (torch.zeros(300),), (("alias", [{"at": 0}]),), 1).to_json(half=half)
    assert len(graph["weights"]) == 300 * (2 if half else 4) / 3 * 4

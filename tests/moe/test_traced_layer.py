"""The layer under torch.compile and torch.export, on the meta device, under autocast, and differentiated twice: every router."""

import copy
import io
import logging
import re
from pathlib import Path

import pytest
import torch

from moe_viz.moe import ROUTERS
from moe_viz.moe.dispatch import _RunExperts, plan_sorted, traceable_experts
from moe_viz.moe.grouped import grouped_product
from tests.moe.test_invariants import build, inputs

EVERY = pytest.mark.parametrize("name", list(ROUTERS))
GROUPABLE = {"dtype": torch.float32}
DOCUMENT = Path(__file__).parents[2] / "docs" / "layer.md"


def ready(name, training, **options):
    """A layer that has seen a batch, as one has before it is compiled: centroids lie where the first one puts them."""
    layer = build(name, 4, **{**GROUPABLE, **options})
    layer(*inputs(8, dtype=layer.experts.w1.dtype, seed=7))
    layer.router.after_step(layer.router(*inputs(8, dtype=layer.experts.w1.dtype, seed=7)))
    return layer.train(training)


class Output(torch.nn.Module):
    """y alone: what an exported program hands on."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x, ids):
        return self.layer(x, ids)[0]


def one_step(layer, run, x, ids):
    """Everything that a training step leaves: output, loss terms, counts, gradients, state."""
    torch.manual_seed(5)
    x = x.clone().requires_grad_()
    y, aux, counts = run(x, ids)
    (y.square().sum() + sum(aux.values())).backward()
    return y, aux, counts, x.grad, {n: p.grad for n, p in layer.named_parameters()}, dict(layer.named_buffers())


def assert_compiles(layer, backend, n_tokens=(8,)):
    torch._dynamo.reset()
    twin = copy.deepcopy(layer)

    def answers(module):
        def run(x, ids):
            y, routing = module(x, ids)
            return y, routing.aux, (routing.pre_counts, routing.post_counts)

        return run

    compiled = torch.compile(answers(twin), backend=backend, fullgraph=True)
    for seed, size in enumerate(n_tokens):
        x, ids = inputs(size, dtype=layer.experts.w1.dtype, seed=seed)
        found, wanted = one_step(twin, compiled, x, ids), one_step(layer, answers(layer), x, ids)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def may_be_traced(layer):
    return layer.router.untraceable() is None


@EVERY
def test_a_layer_compiles_in_training_with_all_it_leaves_behind(name):
    layer = ready(name, True)
    if may_be_traced(layer):
        assert_compiles(layer, "aot_eager")
    else:
        torch._dynamo.reset()
        with pytest.raises(torch._dynamo.exc.Unsupported, match=f"the {name} router cannot be compiled or exported"):
            torch.compile(Output(layer), backend="eager", fullgraph=True)(*inputs(8, dtype=torch.float32))


@EVERY
def test_a_layer_exports_at_evaluation_and_answers_alike(name):
    layer = ready(name, False)
    x, ids = inputs(8, dtype=torch.float32)
    if may_be_traced(layer):
        program = torch.export.export(Output(layer), (x, ids), strict=False)
        torch.testing.assert_close(program.module()(x, ids), layer(x, ids)[0])
    else:
        with pytest.raises(ValueError, match=f"the {name} router cannot be compiled or exported at evaluation"):
            torch.export.export(Output(layer), (x, ids), strict=False)


@pytest.mark.parametrize("options", [{}, {"capacity_factor": 1.0}], ids=["dropless", "capacity"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_exports_and_compiles_where_no_grouped_product_fits(options, dtype):
    layer = build("topk", 4, d_model=4, d_hidden=5, dtype=dtype, experts={"bias": True}, **options)
    assert not layer.experts.can_group(torch.zeros(1, 4, dtype=dtype))
    assert_compiles(layer, "aot_eager")


def test_an_exported_layer_is_saved_and_loaded(tmp_path):
    layer = ready("topk", False)
    x, ids = inputs(8, dtype=torch.float32)
    torch.export.save(torch.export.export(Output(layer), (x, ids), strict=False), tmp_path / "layer.pt2")
    torch.testing.assert_close(torch.export.load(tmp_path / "layer.pt2").module()(x, ids), layer(x, ids)[0])


def test_an_exported_layer_takes_any_number_of_tokens():
    layer = ready("topk", False)
    tokens = torch.export.Dim("tokens", min=2, max=512)
    program = torch.export.export(
        Output(layer), inputs(8, dtype=torch.float32), dynamic_shapes=({0: tokens}, {0: tokens}), strict=False
    )
    for size in (2, 19):
        x, ids = inputs(size, dtype=torch.float32)
        torch.testing.assert_close(program.module()(x, ids), layer(x, ids)[0])


@pytest.mark.nightly
@EVERY
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("factor", [None, 1.0])
def test_a_layer_compiles_with_inductor(name, training, factor):
    layer = ready(name, training, capacity_factor=factor)
    if may_be_traced(layer):
        assert_compiles(layer, "aot_eager", (8, 12))
        draws = name == "random" or (
            training and name in ("noisy_topk", "gshard", "st_moe", "nllb", "vmoe", "reinforce")
        )
        if not draws:  # inductor has a random stream of its own
            assert_compiles(layer, "inductor")


def test_what_cannot_be_traced_says_what_can():
    unplaced = build("kmeans", 4, **GROUPABLE)
    assert "centroids" in unplaced.router.untraceable() and unplaced.eval().router.untraceable() is None
    with pytest.raises(
        ValueError, match="kmeans router cannot be compiled or exported before its first training batch"
    ):
        torch.export.export(Output(unplaced.train()), inputs(8, dtype=torch.float32), strict=False)
    assert "tolerance" in build("sinkhorn", 4, tolerance=1e-3).router.untraceable()
    assert build("random", 4, evaluation="average").eval().router.untraceable() is None
    mask = torch.ones(8, dtype=torch.bool, device="meta")
    with pytest.raises(ValueError, match="topk router cannot be compiled or exported with a mask"):
        build("topk", 4, **GROUPABLE).to("meta").router(torch.zeros(8, 4, device="meta"), mask=mask)
    base = ready("base", True)
    with pytest.raises(ValueError, match="base router cannot be compiled or exported in training: the host"):
        torch.export.export(Output(base), inputs(8, dtype=torch.float32), strict=False)


def test_a_compiled_network_leaves_out_what_cannot_be_traced_where_one_says_so():
    torch._dynamo.reset()
    layer, (x, ids) = ready("base", True), inputs(8, dtype=torch.float32)
    wanted = layer(x, ids)[0]
    with pytest.raises(ValueError, match="base router cannot be compiled or exported"):
        torch.compile(Output(layer), backend="eager")(x, ids)
    layer.forward = torch.compiler.disable(layer.forward)
    torch.testing.assert_close(torch.compile(Output(layer), backend="eager")(x, ids), wanted)


def test_the_table_of_the_documentation_is_what_routers_say():
    text = DOCUMENT.read_text(encoding="utf-8")
    told = {name: cells for name, *cells in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)}
    exceptions = {}
    for name in ROUTERS:
        fresh = build(name, 4)
        reasons = [fresh.train(mode).router.untraceable() for mode in (True, False)]
        if any(reasons):
            exceptions[name] = [f"no: {reason}" if reason else "yes" for reason in reasons]
    assert told == exceptions


@EVERY
@pytest.mark.parametrize("factor", [None, 0.7])
def test_gradients_have_gradients(name, factor):
    layer = build(name, 4, d_model=3, d_hidden=3, capacity_factor=factor, experts={"bias": True, "activation": "gelu"})
    x, ids = inputs(6, 3)

    def answers(x, w1):
        torch.manual_seed(0)
        layer.experts.w1 = w1
        y, routing = layer(x, ids)
        # Shares are constants in every balancing loss; those of `dense` move with x, which a numerical check would see.
        terms = {} if name == "dense" else routing.aux
        return y, *[term for term in terms.values() if term.requires_grad]

    w1 = layer.experts.w1.detach().clone().requires_grad_()
    del layer.experts.w1
    assert torch.autograd.gradgradcheck(answers, (x.requires_grad_(), w1), fast_mode=True)


@pytest.mark.parametrize("activation", ["relu", "swiglu"])
def test_second_gradients_of_grouped_products_equal_those_of_buffers(activation):
    seen = []
    whole = build("topk", 4, 8, 8, experts={"activation": activation, "bias": True}, capacity_factor=0.7)
    for dtype in (torch.float32, torch.float64):  # float64 has no grouped product
        layer = copy.deepcopy(whole).to(dtype)
        x, ids = inputs(12, 8)
        x = x.to(dtype).requires_grad_()
        y, routing = layer(x, ids)
        (first,) = torch.autograd.grad(y.square().sum() + routing.aux["balance"], x, create_graph=True)
        first.square().sum().backward()
        seen.append([x.grad.double(), *(p.grad.double() for p in layer.parameters())])
    torch.testing.assert_close(seen[0], seen[1], atol=1e-4, rtol=1e-3)


@EVERY
def test_the_traced_way_answers_as_the_usual_one(name):
    layer = build(name, 4, **GROUPABLE, experts={"bias": True})
    x, ids = inputs(12, dtype=torch.float32)
    routing = layer.router(x, ids)
    if name == "soft":
        return
    e, w = layer.experts, routing.route_weight
    arguments = x, w, routing.route_in_weight, e.w1, e.b1, e.w2, e.b2, plan_sorted(routing), e.activation
    torch.testing.assert_close(traceable_experts(*arguments), _RunExperts.apply(*arguments))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_grouped_product_is_a_sound_operation(dtype):
    ends = torch.tensor([3, 3, 5, 6], dtype=torch.int32)
    rows, weights = (torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((8, 4), (4, 4, 8)))
    out = grouped_product(rows, weights, ends)
    assert out.shape == (8, 8) and not out[6:].any()
    torch.testing.assert_close(out[3:5], rows[3:5] @ weights[2])
    torch.library.opcheck(grouped_product, (rows, weights, ends))
    torch.library.opcheck(grouped_product, (rows.detach().t().requires_grad_(), rows, ends))


@EVERY
def test_a_layer_on_the_meta_device_tells_shapes_and_takes_real_weights(name):
    real = build(name, 4, **GROUPABLE).eval()
    with torch.device("meta"):
        empty = build(name, 4, **GROUPABLE).eval()
    x, ids = inputs(8, dtype=torch.float32)
    if may_be_traced(empty):
        y, routing = empty(x.to("meta"), ids.to("meta"))
        assert y.is_meta and y.shape == x.shape and routing.probs.shape == (8, 4)
    file = io.BytesIO()
    torch.save(real.state_dict(), file)
    file.seek(0)
    empty.load_state_dict(torch.load(file, weights_only=True), assign=True)
    torch.testing.assert_close(empty(x, ids)[0], real(x, ids)[0])
    y, routing = empty.train()(x, ids)
    empty.router.after_step(routing)
    assert y.isfinite().all() and all(b.isfinite().all() for b in empty.router.buffers())


@EVERY
def test_counts_and_state_are_exact_under_autocast(name):
    plain, half = (build(name, 2, **GROUPABLE) for _ in range(2))
    x, ids = torch.ones(3001, 4), torch.zeros(3001, dtype=torch.int64)
    seen = []
    for layer, cast in ((plain, False), (half, True)):
        layer.router.global_counts = torch.zeros(2)
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=cast):
            routing = layer(x, ids)[1]
            layer.router.after_step(routing)
        kept = routing.pre_counts, routing.post_counts, layer.router.global_counts, *layer.router.buffers()
        assert all(t.dtype.itemsize >= 4 or t.dtype == torch.bool for t in kept)
        seen.append([*kept, *routing.aux.values()])
    torch.testing.assert_close(seen[1], seen[0])


@EVERY
def test_numbers_of_another_kind_are_refused_in_words(name):
    layer = build(name, 4)
    ids = torch.zeros(6, dtype=torch.int64)
    for dtype in (torch.int64, torch.bool, torch.complex64):
        with pytest.raises(ValueError, match=f"floating-point numbers; got {dtype}"):
            layer(torch.zeros(6, 4, dtype=dtype), ids)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_token_ids_that_are_no_whole_numbers_are_refused_in_words(dtype):
    with pytest.raises(ValueError, match=f"token_ids are whole numbers; got {dtype}"):
        build("hash", 4)(torch.zeros(6, 4, dtype=torch.float64), torch.zeros(6, dtype=dtype))


def test_small_whole_numbers_are_tokens_too():
    layer, (x, ids) = build("hash", 4), inputs(6)
    torch.testing.assert_close(layer(x, ids.to(torch.uint8))[0], layer(x, ids)[0])


@pytest.fixture(autouse=True, scope="module")
def quiet():
    """torch logs each refusal with its whole trace."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)

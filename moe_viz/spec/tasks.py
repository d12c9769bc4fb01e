"""Every task's declaration: what is learned, its options, and the run defaults that suit it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import field_validator

from moe_viz.spec.knobs import N_, Knob, Spec
from moe_viz.spec.points import MOST_POINTS, decode_points


class TaskOptions(Spec):
    """Base. `shared_vector` and `balanced_start` are the dial from healthy routing to collapse (all tasks have it)."""

    title: ClassVar[str]
    summary: ClassVar[str]
    metric: ClassVar[str]
    """Name of `task_metric`."""
    metric_goal: ClassVar[Literal["min", "max"]]
    run_defaults: ClassVar[dict[str, Any]] = {}
    """RunConfig fields that default differently for this task."""
    causal: ClassVar[bool] = False
    """Predicts the next token: a router that looks ahead leaks the answer."""
    residual: ClassVar[bool] = True
    """The model has a path beside the experts, so a dropped token goes on unchanged; otherwise it comes out as zero."""

    name: str
    shared_vector: float = Knob(
        0.0,
        ge=0,
        le=64,
        live=True,
        title=N_("Shared vector"),
        stops=[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        help=N_(
            "Length of one fixed vector added to what every router sees. A large direction shared by all tokens is what makes routing collapse."
        ),
    )
    balanced_start: bool = Knob(
        True,
        live=False,
        title=N_("Balanced start"),
        help=N_(
            "Remove the shared direction from the router's first weights, so that a collapse is learned rather than present at step 0."
        ),
    )


TRANSFORMER: dict[str, Any] = {
    "router": {"name": "topk", "k": 2},
    "n_layers": 2,
    "d_model": 64,
    "d_hidden": 128,
    "batch_tokens": 1024,
    "balance_coef": 0.01,
    "lr": 3e-3,
}
"""Run defaults of the small transformers: text, digits, photographs."""


class Domains(TaskOptions):
    title = N_("Text: four domains")
    summary = N_("A small language model reads English, Russian, Python code and tables of numbers.")
    metric = "held_out_loss"
    metric_goal = "min"
    causal = True
    run_defaults = TRANSFORMER
    name: Literal["domains"] = "domains"
    tokenizer: Literal["bytes", "bpe"] = Knob(
        "bytes",
        live=False,
        title=N_("Tokens"),
        help=N_("Bytes, or byte-pair pieces (a vocabulary of 2,048 learned from the same text)."),
    )
    block: int = Knob(
        64,
        ge=8,
        le=256,
        live=False,
        title=N_("Sequence length"),
        unit=N_("tokens"),
        help=N_("Tokens in one training sequence."),
    )


class Digits(TaskOptions):
    title = N_("Images: handwritten digits")
    summary = N_("A small vision transformer reads 8×8 handwritten digits as 16 patches.")
    metric = "accuracy"
    metric_goal = "max"
    run_defaults = TRANSFORMER
    name: Literal["digits"] = "digits"


class Photo(TaskOptions):
    title = N_("Images: photographs")
    summary = N_("A small vision transformer tells from which of six photographs a piece is cut, patch by patch.")
    metric = "accuracy"
    metric_goal = "max"
    run_defaults = TRANSFORMER | {"lr": 1e-3}
    name: Literal["photo"] = "photo"


class Clusters(TaskOptions):
    title = N_("Points: eight clusters")
    summary = N_(
        "Eight clouds of points, each with its own rule: the smallest task on which experts can divide the work."
    )
    residual = False
    metric = "nmse"
    metric_goal = "min"
    run_defaults = {
        "router": {"name": "switch", "k": 1},
        "n_layers": 1,
        "d_model": 16,
        "d_hidden": 32,
        "batch_tokens": 256,
        "balance_coef": 0.1,
        "lr": 3e-3,
    }
    name: Literal["clusters"] = "clusters"
    n_clusters: int = Knob(
        8, ge=2, le=16, live=False, title=N_("Clusters"), help=N_("How many clouds of points there are.")
    )


class Plane(TaskOptions):
    title = N_("Points: the plane")
    summary = N_(
        "Points of two to four classes in the plane: which expert owns which part of it can be seen at a glance."
    )
    residual = False
    metric = "accuracy"
    metric_goal = "max"
    run_defaults = {
        "router": {"name": "switch", "k": 1},
        "n_layers": 1,
        "d_model": 16,
        "d_hidden": 32,
        "batch_tokens": 256,
        "balance_coef": 0.1,
        "lr": 3e-3,
    }
    name: Literal["plane"] = "plane"
    shape: Literal["moons", "rings", "checker", "spiral", "waves"] = Knob(
        "spiral", live=False, title=N_("Shape"), help=N_("How the points of the classes lie in the plane.")
    )
    lift: Literal["curved", "straight"] = Knob(
        "curved",
        live=False,
        title=N_("Borders"),
        help=N_(
            "What the model sees of a point. straight: 1, x and y, so the border between two experts is a straight line. curved: waves of x and y too."
        ),
    )
    points: str = Knob(
        "",
        live=False,
        max_length=4 * MOST_POINTS,
        title=N_("Painted points"),
        help=N_("Points painted on the page Gate map, four characters each; they replace the shape. Empty: none."),
    )

    @field_validator("points")
    @classmethod
    def _are_points(cls, text: str) -> str:
        decode_points(text)
        return text


TASK_OPTIONS: dict[str, type[TaskOptions]] = {
    cls.model_fields["name"].default: cls for cls in (Domains, Digits, Photo, Clusters, Plane)
}
"""Registry name -> options model."""

"""RunConfig: everything that defines a run. Same config, seed and device: same run.

A config has a *flat* form, one word per knob (`task`, `router`, `k`, `shared_vector`, `lr`, ...): widget keys, permalink
parameters, command-line options and live knobs are all those words. `from_flat(flat(config)) == config`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar, Union

from pydantic import Field, model_validator
from pydantic.fields import FieldInfo

from moe_viz.spec.config import Config, changed, needs_restart
from moe_viz.spec.knobs import N_, Knob
from moe_viz.spec.routers import ROUTER_OPTIONS, RouterOptions
from moe_viz.spec.tasks import TASK_OPTIONS, TaskOptions

if TYPE_CHECKING:  # which of the registry's kinds a run has is known only when it runs
    AnyRouter = AnyTask = Any
else:
    AnyRouter = Annotated[Union[tuple(ROUTER_OPTIONS.values())], Field(discriminator="name")]
    AnyTask = Annotated[Union[tuple(TASK_OPTIONS.values())], Field(discriminator="name")]


class RunConfig(Config):
    """One network's run. Fields that are not given take the task's own defaults first, then the defaults below."""

    kind: ClassVar[Literal["network", "mixture"]] = "network"
    SOURCE: ClassVar[str] = "task"

    task: AnyTask = Knob(live=False, level="basic", title=N_("Task"), help=N_("What the model learns."))
    router: AnyRouter = Knob(
        live=True,
        level="basic",
        title=N_("Gate type"),
        help=N_("How tokens are assigned to experts. Switching keeps the experts."),
    )
    n_experts: int = Knob(
        8,
        ge=1,
        le=64,
        live=False,
        level="basic",
        stops=[1, 2, 4, 8, 16, 32, 64],
        title=N_("Experts"),
        help=N_("Number of experts in each layer."),
    )
    balance_coef: float = Knob(
        0.01,
        ge=0,
        le=10,
        live=True,
        level="basic",
        stops=[0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
        title=N_("Balance"),
        help=N_("Weight of the balancing loss. 0 switches it off."),
    )
    z_coef: float = Knob(
        0.0,
        ge=0,
        le=1,
        live=True,
        stops=[0.0, 0.0001, 0.001, 0.01, 0.1],
        title=N_("z-loss"),
        help=N_("Weight of the z-loss, which keeps the router's scores small."),
    )
    speed: Literal["full"] | Annotated[float, Field(ge=0, le=1000)] = Knob(
        "full",
        live=True,
        level="basic",
        stops=[0, 1, 2, 5, 10, 20, 50, "full"],
        unit="steps/s",
        title=N_("Speed"),
        help=N_("Training steps per second. 0: only when you press Step. full: as fast as the machine can."),
    )
    lr: float = Knob(
        3e-3,
        gt=0,
        le=1,
        live=True,
        stops=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
        title=N_("Learning rate"),
        help=N_("Step size of the optimiser (AdamW)."),
    )
    batch_tokens: int = Knob(
        1024,
        ge=16,
        le=16384,
        live=True,
        stops=[64, 128, 256, 512, 1024, 2048, 4096],
        unit=N_("tokens"),
        title=N_("Batch"),
        help=N_("Tokens in one training step (rounded to whole sequences or images)."),
    )
    n_layers: int = Knob(
        2, ge=1, le=8, live=False, title=N_("Layers"), help=N_("Layers, each with its own router and experts.")
    )
    d_model: int = Knob(
        64,
        ge=8,
        le=512,
        multiple_of=4,
        live=False,
        stops=[16, 32, 48, 64, 128],
        title=N_("Width"),
        help=N_("Numbers that describe one token."),
    )
    d_hidden: int = Knob(
        128,
        ge=4,
        le=2048,
        multiple_of=4,
        live=False,
        stops=[32, 64, 128, 256],
        title=N_("Expert width"),
        help=N_("Hidden units in one expert."),
    )
    n_shared: int = Knob(
        0,
        ge=0,
        le=4,
        live=False,
        title=N_("Shared experts"),
        help=N_("Experts that every token passes through, beside the routed ones."),
    )
    shared_gate: bool = Knob(
        False,
        live=False,
        title=N_("Gated shared experts"),
        help=N_("Each token scales the shared experts' output by a learned share between 0 and 1 (Qwen2-MoE)."),
    )
    balance_scope: Literal["batch", "sequence", "global"] = Knob(
        "batch",
        live=True,
        title=N_("Balance over"),
        help=N_(
            "Where the load must be even: in each micro-batch, within each sequence or image, or over all micro-batches of a step."
        ),
    )
    micro_batches: int = Knob(
        1,
        ge=1,
        le=16,
        live=True,
        title=N_("Micro-batches"),
        help=N_("Parts into which one step's batch is split; their gradients are added."),
    )
    freeze_router: bool = Knob(
        False,
        live=True,
        title=N_("Frozen router"),
        help=N_(
            "The router keeps the weights it has, and any balancing bias too; everything else goes on learning. "
            "Set before step 0, it stays random: what experts specialise in then is not the router's learning."
        ),
    )
    grad_ledger: bool = Knob(
        False,
        live=True,
        title=N_("Gradient ledger"),
        help=N_("Record each expert's share of the gradient at every step."),
    )
    seed: int = Knob(0, ge=0, le=2**31 - 1, live=False, title=N_("Seed"), help=N_("Starting point of all randomness."))
    device: Literal["auto", "cpu", "cuda", "mps"] = Knob(
        "auto", live=False, title=N_("Device"), help=N_("Where the model trains.")
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for key, default in (("task", "domains"), ("router", None)):
            if isinstance(data.get(key, default), str):
                data[key] = {"name": data.get(key, default)}
        task = data["task"]
        task_name = task.get("name") if isinstance(task, dict) else getattr(task, "name", None)
        if isinstance(task_name, str) and task_name in TASK_OPTIONS:
            data = {**TASK_OPTIONS[task_name].run_defaults, **data}
        return {**data, "router": data.get("router") or {"name": "topk"}}

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        self.router.check_experts(self.n_experts)
        return self

    @property
    def names(self) -> dict[str, str]:
        return {"task": self.task.name, "router": self.router.name}

    def flat(self) -> dict[str, Any]:
        """One word per knob, defaults included: `task` and `router` are names, their options stand beside them."""
        values = {"task": self.task.name, "router": self.router.name}
        for part in (self.router, self, self.task):
            values |= {key: value for key, value in part.model_dump().items() if key not in ("name", "task", "router")}
        return values

    @classmethod
    def from_flat(cls, values: dict[str, Any]) -> RunConfig:
        """The config of a flat form. Raises ValueError on an unknown word or a bad value."""
        values = dict(values)
        nested: dict[str, Any] = {}
        for part, registry, fallback in (("task", TASK_OPTIONS, "domains"), ("router", ROUTER_OPTIONS, None)):
            name = values.pop(part, fallback)
            if part == "router" and name is None:
                name = TASK_OPTIONS[nested["task"]["name"]].run_defaults["router"]["name"]
            if not isinstance(name, str) or name not in registry:
                raise ValueError(f"{part} = {name!r} is not known; it can be: {', '.join(registry)}")
            options = registry[name].model_fields.keys() - {"name"}
            nested[part] = {"name": name, **{key: values.pop(key) for key in list(values) if key in options}}
        return cls(**nested, **values)

    def fields(self) -> dict[str, FieldInfo]:
        """Word -> declaration, for every word of `flat()`."""
        fields = {key: RunConfig.model_fields[key] for key in ("task", "router")}
        for part in (type(self.router), RunConfig, type(self.task)):
            fields |= {key: info for key, info in part.model_fields.items() if key not in ("name", "task", "router")}
        return fields

    def turned(self, knobs: dict[str, Any]) -> RunConfig:
        """Switching `router` takes the new router's defaults, except the `CARRIED` options, which are kept where the new router allows them.
        Switching `task` starts from the task's defaults and keeps `router`, `n_experts`, `seed`, `speed` and `device`."""
        flat = self.flat()
        unknown = (
            knobs.keys() - flat.keys() - _words_of(knobs.get("router", flat["router"]), knobs.get("task", flat["task"]))
        )
        if unknown:
            raise ValueError(f"unknown knob {', '.join(sorted(unknown))}; known: {', '.join(sorted(flat))}")
        if knobs.get("task", flat["task"]) != flat["task"]:
            router = {
                key: value for key, value in flat.items() if key in type(self.router).model_fields or key == "router"
            }
            flat = {**router, **{key: flat[key] for key in ("n_experts", "seed", "speed", "device")}}
        if knobs.get("router", flat["router"]) != flat["router"]:
            kept = {key: value for key, value in flat.items() if key not in type(self.router).model_fields}
            flat = kept | {
                key: flat[key] for key in CARRIED if key in flat and _allows({**kept, **knobs}, key, flat[key])
            }
        if "renormalize" not in knobs and (knobs.get("k", flat.get("k")) == 1) != (flat.get("k") == 1):
            flat.pop(
                "renormalize", None
            )  # its default depends on whether k is 1: with a single gate it would stop the router's gradient
        return RunConfig.from_flat(flat | knobs)

    def settled(self, device: str) -> RunConfig:
        return self.model_copy(update={"device": device})

    def brought_along(self, old: Any) -> set[str]:
        whole: set[str] = set()
        if self.router.name != old.router.name:
            whole |= type(self.router).model_fields.keys() - {"name"}
        return whole | (self.flat().keys() if self.task.name != old.task.name else set())

    def made_anew(self, words: set[str]) -> set[str]:
        return set(type(self.router).model_fields) if "router" in words else set()


CARRIED = ("k", "capacity_factor", "drop_policy")
"""Router options that survive a switch to another router that has them."""
C = TypeVar("C", bound=Config)


def change(config: C, **knobs: Any) -> C:
    """The config after turning some knobs (flat words). Raises ValueError on an unknown word or a bad value."""
    return config.turned(knobs)


def fine_grained(config: RunConfig, m: int) -> RunConfig:
    """Each expert split into m of 1/m the hidden width, and m times as many chosen: same weights, same work (DeepSeekMoE, arXiv:2401.06066).

    A restart for a running model. Raises ValueError where the width or the limits of `n_experts` and `k` do not allow it.
    """
    if not hasattr(config.router, "k"):
        raise ValueError(f"router {config.router.name!r} has no k to multiply by {m}")
    if m < 1 or config.d_hidden % m:
        raise ValueError(f"d_hidden = {config.d_hidden} cannot be split into {m} equal parts")
    return change(config, n_experts=config.n_experts * m, d_hidden=config.d_hidden // m, k=config.router.k * m)


def coarse_grained(config: RunConfig, m: int) -> RunConfig:
    """The way back: each m experts joined to one of m times the hidden width, and 1/m as many chosen.

    Raises ValueError where `n_experts` or `k` cannot be divided, or the width's limit does not allow it.
    """
    if not hasattr(config.router, "k"):
        raise ValueError(f"router {config.router.name!r} has no k to divide by {m}")
    for word, value in (("n_experts", config.n_experts), ("k", config.router.k)):
        if m < 1 or value % m:
            raise ValueError(f"{word} = {value} cannot be divided by {m}")
    return change(config, n_experts=config.n_experts // m, d_hidden=config.d_hidden * m, k=config.router.k // m)


def _words_of(router: Any, task: Any) -> set[str]:
    words: set[str] = set()
    for name, registry in ((router, ROUTER_OPTIONS), (task, TASK_OPTIONS)):
        words |= set(registry[name].model_fields) if isinstance(name, str) and name in registry else set()
    return words - {"name"}


def _allows(flat: dict[str, Any], key: str, value: Any) -> bool:
    try:
        RunConfig.from_flat({**flat, key: value})
    except ValueError:
        return False
    return True


__all__ = [
    "CARRIED",
    "RouterOptions",
    "RunConfig",
    "TaskOptions",
    "change",
    "changed",
    "coarse_grained",
    "fine_grained",
    "needs_restart",
]

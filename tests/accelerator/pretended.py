"""A pretended GPU over CPU memory: tensors that say `cuda:0`, hold real numbers, and refuse to meet tensors of the host.

torch's own Python backend (PrivateUse1, here called `mimic`) gives autograd an accelerator, so that the backward pass runs in a thread of
its own exactly as on CUDA. Every operation passes `Device.run`, which raises where CUDA would raise, and counts what makes the host wait,
kernels, float64, and float sums whose order CUDA leaves open (atomics). `pretending()` makes this process believe in it, and ends that.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

CUDA, CPU, BACKEND = torch.device("cuda", 0), torch.device("cpu"), "mimic:0"
WAITS = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "equal", "is_nonzero", "histc"}  # fmt: skip
"""Operations that read the device's data on the host, whatever their arguments."""
INDEXING = {"index", "index_put_", "index_put", "_index_put_impl_"}
ATOMIC = {"index_add", "index_add_", "scatter_add", "scatter_add_"}
FACTORIES = ("arange", "zeros", "ones", "full", "empty", "rand", "randn", "randint", "randperm", "tensor", "as_tensor", "eye", "linspace")  # fmt: skip
PACKAGE = os.sep + "moe_viz" + os.sep


class MixedDevices(RuntimeError):
    """A tensor of the device met one of the host."""


class Device:
    """waits, kernels, unordered: what was counted since `clear`.  memory: bytes free and in all.  before: called with each operation's name; it may raise."""

    def __init__(self) -> None:
        self.real_generator = torch.Generator
        self.generator = torch.Generator()
        self.generator_device: dict[int, tuple[torch.device, Any]] = {}
        self.pinned: set[int] = set()
        self.before: Callable[[str], Any] = lambda name: None
        self.memory = (8_000_000_000, 16_000_000_000)
        self.clear()

    def clear(self) -> None:
        self.waits, self.kernels, self.doubles, self.unordered = (Counter[str]() for _ in range(4))

    def wait(self, kind: str) -> None:
        self.waits[f"{kind} at {_line()}"] += 1

    def run(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """One operation."""
        name = func._schema.name.removeprefix("aten::")
        self.before(name)
        leaves = tree_leaves((args, kwargs))
        gpus = [t for t in leaves if isinstance(t, Gpu)]
        self._refuse_mixed(
            func, name, [t for t in leaves if isinstance(t, torch.Tensor) and not isinstance(t, Gpu)], args
        )
        if name == "_to_copy" and "device" in kwargs and torch.device(kwargs["device"]).type == "cpu":
            self.wait("device to host")
            return func(args[0].elem, **kwargs)
        if name == "copy_":
            return self._copy(*args, **kwargs)
        if name == "_local_scalar_dense":
            self.wait("item")
            return func(args[0].elem)
        self._count_waits(func, name, args)
        self._count_kernels(func, name, args, kwargs)
        if name == "_fused_adamw_":
            _check_fused(*args[:6])
        plain, named = tree_map(lambda t: t.elem if isinstance(t, Gpu) else t, (args, kwargs))
        if "device" in named:
            named["device"] = CPU
        named.pop("pin_memory", None)
        if torch.Tag.nondeterministic_seeded in func.tags:
            with self.stream(named.pop("generator", None)):
                out = func(*plain, **named)
        else:
            out = self._in_any_order(func, name, plain, named) if name in ATOMIC else func(*plain, **named)
        if any(isinstance(t, torch.Tensor) and t.dtype == torch.float64 for t in tree_leaves(out)):
            self.doubles[f"{name} at {_line()}"] += 1
        known = {id(t.elem): t for t in gpus}

        def on_device(t: Any) -> Any:
            return (known[id(t)] if id(t) in known else Gpu(t)) if isinstance(t, torch.Tensor) else t

        return tree_map(on_device, out)

    def _refuse_mixed(self, func: Any, name: str, hosts: list[torch.Tensor], args: tuple) -> None:
        """As CUDA: a host tensor is only welcome in a copy, as an index, or as a number (0-dim) in a pointwise operation."""
        if name in ("copy_", "_to_copy", "_copy_from"):
            return
        if name in INDEXING:
            hosts = [t for t in hosts if not any(t is i for i in args[1])]
        for t in hosts:
            if t.dim() or torch.Tag.pointwise not in func.tags:
                raise MixedDevices(f"{name}: cuda:0 meets a host tensor {tuple(t.shape)} {t.dtype} at {_line()}")

    def _copy(self, dst: torch.Tensor, src: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
        if isinstance(dst, Gpu) and isinstance(src, Gpu):
            self.kernels["copy_"] += 1
            dst.elem.copy_(src.elem)
        elif isinstance(dst, Gpu):
            if src.numel() and not (non_blocking and src.data_ptr() in self.pinned):
                self.wait("host to device")
            dst.elem.copy_(src)
        else:
            self.wait("device to host")
            dst.copy_(src.elem)
        return dst

    def _count_waits(self, func: Any, name: str, args: tuple) -> None:
        if name in WAITS or (name == "repeat_interleave" and func._overloadname == "Tensor"):
            self.wait(name)
        if name in INDEXING:
            if any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in args[1]):
                self.wait("boolean index")
            if any(t is not None and not isinstance(t, Gpu) for t in args[1]):
                self.wait("host index")
        if name == "_grouped_mm" and args[0].dtype != torch.bfloat16:
            self.wait("grouped_mm")  # _grouped_mm_fallback: offs.cpu(), then one mm per expert (GroupedMMUtils.h)

    def _count_kernels(self, func: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> None:
        if name.startswith(("empty", "new_empty")) or name in ("detach", "alias", "_unsafe_view", "lift_fresh"):
            return
        if any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns):
            return  # a view
        ends = (args[2] if len(args) > 2 else kwargs.get("offs")) if name == "_grouped_mm" else None
        self.kernels[name] += 1 if ends is None else len(ends)

    def _in_any_order(self, func: Any, name: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        """CUDA adds with atomics: whether another order gives other bits."""
        into, dim, index, source = args[:4]
        if not into.is_floating_point():
            return func(*args, **kwargs)
        order = torch.randperm(
            index.shape[0 if index.dim() == 1 else dim], generator=self.real_generator().manual_seed(1)
        )
        turned = index[order] if index.dim() == 1 else index.index_select(dim, order)
        start = into.clone()
        out = func(*args, **kwargs)
        if not torch.equal(out, func(start, dim, turned, source.index_select(dim, order), *args[4:], **kwargs)):
            self.unordered[f"{name} at {_line()}"] += 1
        return out

    @contextmanager
    def stream(self, generator: Any = None) -> Iterator[None]:
        """Draw from the device's generator, or the given one, instead of the host's default."""
        if generator is not None and self.generator_device.get(id(generator), (CPU, None))[0].type != "cuda":
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        source, before = generator or self.generator, torch.default_generator.get_state()
        torch.default_generator.set_state(source.get_state())
        try:
            yield
        finally:
            source.set_state(torch.default_generator.get_state())
            torch.default_generator.set_state(before)

    def bytes(self) -> int:
        """Memory of all tensors that live on the device now."""
        storages = [thing.elem.untyped_storage() for thing in gc.get_objects() if type(thing) is Gpu]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


DEVICE = Device()


class Gpu(torch.Tensor):
    """A tensor of the device. elem: the CPU tensor that holds its numbers."""

    @staticmethod
    def __new__(cls, elem: torch.Tensor, requires_grad: bool = False) -> Gpu:
        shape, about = elem.size(), {"strides": elem.stride(), "storage_offset": elem.storage_offset()}
        t = torch.Tensor._make_wrapper_subclass(cls, shape, **about, dtype=elem.dtype, device=BACKEND)
        t.elem = elem.detach()
        return t.requires_grad_(True) if requires_grad else t

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self) -> Any:
        DEVICE.wait("tolist")
        return self.elem.tolist()

    def new_tensor(self, data: Any, **kwargs: Any) -> Gpu:
        DEVICE.wait("host to device")
        return Gpu(self.elem.new_tensor(data, **kwargs))

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor first.")

    def __deepcopy__(self, memo: dict[int, Any]) -> Gpu:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user support the deepcopy protocol at the moment"
            )
        twin = memo[id(self)] = Gpu(self.elem.clone(), self.requires_grad)
        if getattr(self, "_is_param", False):
            twin._is_param = True
        return twin

    def __repr__(self) -> str:
        return f"Gpu({self.elem!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        return DEVICE.run(func, args, dict(kwargs or {}))


class Backend(_DummyBackendModule):
    """torch.mimic, which `fork_rng` asks in place of torch.cuda."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """What activation checkpointing asks every device of the process, wherever its tensors lie."""
        return [torch.bfloat16, torch.float16]

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return DEVICE.generator.get_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        DEVICE.generator.set_state(state)


def _check_fused(params: Any, grads: Any, means: Any, squares: Any, _: Any, steps: Any) -> None:
    """`can_use_fast_route` of ForeachUtils.h, which the CUDA kernel of fused AdamW insists on and that of the CPU does not."""
    for p, *others in zip(params, grads, means, squares):
        for other in others:
            alike = all(s == 1 or a == b for s, a, b in zip(p.shape, p.elem.stride(), other.elem.stride()))
            if p.shape != other.shape or p.dtype != other.dtype or not alike:
                raise RuntimeError(f"fused AdamW on CUDA: {tuple(p.shape)} {p.elem.stride()} and {other.elem.stride()}")
    if any(not isinstance(s, Gpu) or s.dtype != torch.float32 for s in steps):
        raise RuntimeError("fused AdamW on CUDA: step counters must be float32 on the device")


def _line() -> str:
    """The innermost line of moe_viz that is at work."""
    for frame, number in traceback.walk_stack(None):
        name = frame.f_code.co_filename
        if PACKAGE in name and "site-packages" not in name:
            return f"{name.rpartition(PACKAGE)[2]}:{number}"
    return "autograd"


def _is_cuda(device: Any) -> bool:
    return device is not None and not isinstance(device, int) and torch.device(device).type == "cuda"


@cache
def register() -> None:
    """Tell torch of the backend; once per process, and for good."""
    _setup_privateuseone_for_python_backend("mimic", backend_module=Backend())

    @torch.library.impl("aten::empty.memory_format", "privateuseone")
    def empty(size, *, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
        return Gpu(torch.empty(size, dtype=dtype, device="cpu"))

    @torch.library.impl("aten::empty_strided", "privateuseone")
    def empty_strided(size, stride, *, dtype=None, layout=None, device=None, pin_memory=None):
        return Gpu(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _factory(name: str) -> Any:
    real = getattr(torch, name)

    def make(*args: Any, **kwargs: Any) -> torch.Tensor:
        if not _is_cuda(kwargs.get("device")):
            return real(*args, **kwargs)
        DEVICE.before(name)
        kwargs.pop("device")
        grad = kwargs.pop("requires_grad", False)
        if name in ("tensor", "as_tensor"):
            DEVICE.wait("host to device")
        else:
            DEVICE.kernels[name] += 1
        if name.startswith("rand"):
            with DEVICE.stream(kwargs.pop("generator", None)):
                return Gpu(real(*args, **kwargs), grad)
        return Gpu(real(*args, **kwargs), grad)

    return make


class _Generator:
    """torch.Generator on any device: numbers from the CPU's, and a note of whose it is meant to be."""

    def __new__(cls, device: Any = "cpu") -> Any:
        made = DEVICE.real_generator()
        DEVICE.generator_device[id(made)] = (torch.device(device), made)
        return made


def _pin_memory(tensor: torch.Tensor, *_: Any) -> torch.Tensor:
    twin = tensor.clone()
    DEVICE.pinned.add(twin.data_ptr())
    return twin


@contextmanager
def pretending() -> Iterator[Device]:
    """This process has one CUDA device, until the block ends."""
    from moe_viz.moe import routing

    register()
    real_to = torch.Tensor.to

    def to(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        args = tuple(torch.device(BACKEND) if isinstance(a, torch.device | str) and _is_cuda(a) else a for a in args)
        if _is_cuda(kwargs.get("device")):
            kwargs["device"] = torch.device(BACKEND)
        return real_to(self, *args, **kwargs)

    here = {name: _factory(name) for name in FACTORIES} | {"Generator": _Generator}
    cuda = {"is_available": lambda: True, "current_device": lambda: 0, "device_count": lambda: 1}
    cuda |= {"mem_get_info": lambda *_: DEVICE.memory, "empty_cache": lambda: None, "synchronize": lambda *_: None}
    cuda |= {"get_device_name": lambda *_: "Mimic", "default_generators": (DEVICE.generator,)}
    with (
        mock.patch.multiple(torch, **here),
        mock.patch.multiple(torch.cuda, **cuda),
        mock.patch.multiple(torch.Tensor, to=to, pin_memory=_pin_memory),
        mock.patch("torch.nn.utils.clip_grad._has_foreach_support", lambda tensors, device: True),
    ):
        try:
            yield DEVICE
        finally:
            for kept in (routing._kept_numbers, routing._kept_tokens):
                kept.cache_clear()
            DEVICE.before = lambda name: None

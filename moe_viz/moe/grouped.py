"""The grouped product as one operation of torch's library, which compilers trace, exports store and autograd differentiates again and again.

torch's own `grouped_mm` takes no float32 while it is traced, and leaves rows behind the last group unset. Axes: G groups, N rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.library.custom_op("moe_viz::grouped_product", mutates_args=())
def grouped_product(left: Tensor, right: Tensor, ends: Tensor) -> Tensor:
    """left [N, A], right [G, A, B] -> [N, B], each group's rows times its matrix, rows from ends[-1] on 0; or
    left [A, N], right [N, B] -> [G, A, B], each group's part of left times that of right.

    ends [G] int32, where each group's rows end. Types and widths that `grouped_mm` does not take run group by group.
    """
    if takes_grouped(left.dtype, left.shape[0] if right.dim() == 2 else left.shape[1], right.shape[-1]):
        if right.dim() == 2:
            return F.grouped_mm(left.t().contiguous().t(), right.contiguous(), offs=ends)
        alive = torch.arange(left.shape[0], device=left.device) < ends[-1]
        dense = right.is_contiguous() or right.transpose(1, 2).is_contiguous()
        right = right if dense else right.contiguous()
        return F.grouped_mm(left.contiguous(), right, offs=ends).masked_fill_(~alive[:, None], 0)
    out = left.new_zeros(_shape(left, right, ends))
    start = 0
    for group, end in enumerate(ends.tolist()):
        if right.dim() == 2:
            out[group] = left[:, start:end] @ right[start:end]
        else:
            out[start:end] = left[start:end] @ right[group]
        start = end
    return out


def takes_grouped(dtype: torch.dtype, *widths: int) -> bool:
    """Whether torch's grouped product takes rows so wide: at most 32 bits a number, rows of whole multiples of 16 bytes."""
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return False
    return not any(width * dtype.itemsize % 16 for width in widths)


def _shape(left: Tensor, right: Tensor, ends: Tensor) -> tuple[int, ...]:
    if right.dim() == 2:
        return ends.shape[0], left.shape[0], right.shape[1]
    return left.shape[0], right.shape[2]


@grouped_product.register_fake
def _(left: Tensor, right: Tensor, ends: Tensor) -> Tensor:
    return left.new_empty(_shape(left, right, ends))


def _setup(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    left, right, ends = ctx.saved_tensors
    of_left = of_right = None
    if right.dim() == 2:
        if ctx.needs_input_grad[0]:
            of_left = grouped_product(right, grad.transpose(1, 2), ends).t()
        if ctx.needs_input_grad[1]:
            of_right = grouped_product(left.t(), grad, ends)
    else:
        if ctx.needs_input_grad[0]:
            of_left = grouped_product(grad, right.transpose(1, 2), ends)
        if ctx.needs_input_grad[1]:
            of_right = grouped_product(left.t(), grad, ends)
    return of_left, of_right, None


grouped_product.register_autograd(_backward, setup_context=_setup)

"""A layer of a Gated PixelCNN and its gradient, for training on a CPU, where a step is bound by memory as much as by products.

It computes what `GatedLayer` computes from `vertical` and `horizontal`, and tests hold the two to each other. Written out, it
passes over memory less often than autograd would: the link is added up inside its product, gates work in place, both halves of
their gradient are written side by side, and gradients that meet are added up inside a product as well.

    z = K_v ∗ v + c_v      v' = gate(z)      u = K_h ∗ h + L z + c_h      h' = h + O gate(u)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Sides = tuple[int, int, int]    # rows of zeros above, columns left and right


@dataclass(frozen=True)
class Shape:
    """How a layer lies over its input: padding of both convolutions, their dilation, and whether the vertical one leaves out
    its own row and h' is without h, as in a first layer."""

    vertical: Sides
    horizontal: Sides
    dilation: int
    first: bool


class GatedStep(torch.autograd.Function):
    """v, h (B, H, W, ·), the weights of the four products with their biases (that of the link and of K_h as one), biases of the
    place or class for both stacks or None, factors (B, H, W, p) on gate(u) or None, shape -> v', h' (B, H, W, p)."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, h: Tensor, k_v: Tensor, b_v: Tensor, link: Tensor, k_h: Tensor, b_h: Tensor, out: Tensor,
        b_out: Tensor, c_v: Tensor | None, c_h: Tensor | None, keep: Tensor | None, shape: Shape,
    ) -> tuple[Tensor, Tensor]:
        v_in, h_in = _padded(v[:, :-1] if shape.first else v, shape.vertical), _padded(h, shape.horizontal)
        z = _convolved(v_in, k_v, b_v, shape.dilation, c_v)
        u = _convolved(h_in, k_h, b_h, shape.dilation, c_h)
        _flat(u).addmm_(_flat(z), link.t())
        gate_z = z.clone()    # the gradient of the link wants z as it is
        v_next, g = _gate(gate_z), _gate(u)
        if keep is not None:
            g *= keep
        h_next = b_out.expand_as(g).contiguous() if shape.first else h + b_out
        _flat(h_next).addmm_(_flat(g), out.t())
        ctx.save_for_backward(v_in, h_in, z, gate_z, u, g, k_v, link, k_h, out, keep)
        ctx.shape, ctx.extra = shape, [None if c is None else c.shape for c in (c_v, c_h)]
        ctx.set_materialize_grads(False)    # of v' after the last layer, at which nobody looks
        return v_next, h_next

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_v: Tensor | None, d_h: Tensor) -> tuple[Tensor | None, ...]:
        v_in, h_in, z, gate_z, u, g, k_v, link, k_h, out, keep = ctx.saved_tensors
        shape, needed = ctx.shape, ctx.needs_input_grad
        trained = needed[2]    # all weights or none: maps of what a pixel depends on want the gradient of the image alone
        d_h = torch.zeros_like(g) if d_h is None else d_h.contiguous()
        rows = _flat(d_h)
        d_g = (rows @ out).view_as(g)
        d_u = _gate_backward(d_g if keep is None else d_g.mul_(keep), u)
        d_out, d_b_out, d_link = (rows.t() @ _flat(g), rows.sum(0), _flat(d_u).t() @ _flat(z)) if trained else (None,) * 3
        d_h_in, d_k_h, d_b_h = _convolved_backward(d_u, h_in, k_h, shape.dilation, needed[1], trained)
        if d_v is None:
            d_z = (_flat(d_u) @ link).view_as(z)
        else:
            d_z = _gate_backward(d_v, gate_z)
            _flat(d_z).addmm_(_flat(d_u), link)
        d_v_in, d_k_v, d_b_v = _convolved_backward(d_z, v_in, k_v, shape.dilation, needed[0], trained)
        if needed[0]:
            d_v_in = _inside(d_v_in, shape.vertical)
            d_v_in = F.pad(d_v_in, (0, 0, 0, 0, 0, 1)) if shape.first else d_v_in
        if needed[1]:
            d_h_in = _inside(d_h_in, shape.horizontal)
            d_h_in = d_h_in if shape.first else d_h + d_h_in
        extra = [None if s is None else d.sum_to_size(s) for d, s in zip((d_z, d_u), ctx.extra, strict=True)]
        return d_v_in, d_h_in, d_k_v, d_b_v, d_link, d_k_h, d_b_h, d_out, d_b_out, *extra, None, None


def _flat(x: Tensor) -> Tensor:
    return x.view(-1, x.shape[-1])


def _padded(x: Tensor, sides: Sides) -> Tensor:
    top, left, right = sides
    return F.pad(x, (0, 0, left, right, top, 0)).permute(0, 3, 1, 2)


def _inside(x: Tensor, sides: Sides) -> Tensor:
    top, left, right = sides
    return x[:, top:, left:x.shape[2] - right]


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, dilation: int, added: Tensor | None) -> Tensor:
    weight = weight.contiguous(memory_format=torch.channels_last)
    z = F.conv2d(x, weight, bias, dilation=dilation).permute(0, 2, 3, 1).contiguous()
    return z if added is None else z.add_(added)


def _convolved_backward(
    grad: Tensor, x: Tensor, weight: Tensor, dilation: int, needed: bool, trained: bool
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    d_x, d_weight, d_bias = torch.ops.aten.convolution_backward(
        grad.permute(0, 3, 1, 2), x, weight.contiguous(memory_format=torch.channels_last), [len(weight)], [1, 1], [0, 0],
        [dilation, dilation], False, [0, 0], 1, [needed, trained, trained],
    )
    return None if d_x is None else d_x.permute(0, 2, 3, 1), d_weight, d_bias


def _gate(z: Tensor) -> Tensor:
    """(…, 2p) -> (…, p): tanh of the first half, in place, times the sigmoid of the second."""
    z.narrow(-1, 0, z.shape[-1] // 2).tanh_()
    return F.glu(z, -1)


def _gate_backward(grad: Tensor, z: Tensor) -> Tensor:
    """Gradient (…, p) of what `_gate` gave and z as it left it -> gradient (…, 2p) of z as it was."""
    result, p = torch.ops.aten.glu_backward(grad, z, -1), grad.shape[-1]
    a = result.narrow(-1, 0, p)
    torch.ops.aten.tanh_backward.grad_input(a, z.narrow(-1, 0, p), grad_input=a)
    return result

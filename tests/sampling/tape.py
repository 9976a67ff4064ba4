"""What a CUDA graph does, without a GPU: a function's operations are recorded on their tensors and repeated on the same.

A number that Python would have changed in between, memory that moves or a question to the device shows as it would there.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKING = {"aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh", "aten::is_nonzero"}


def memory(tree):
    return {t.untyped_storage().data_ptr() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)} - {0}


class Tape(TorchDispatchMode):
    """The operations of a function on tensors, to be repeated on the same ones by calling it."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name, kwargs = operation.overloadpacket._qualified_op_name, kwargs or {}
        assert name not in ASKING, f"{name} waits for the device"
        found = operation(*args, **kwargs)
        changes = operation._schema.is_mutable
        if changes or not memory(found) & memory((args, kwargs)):    # not a view
            self.operations.append((operation, args, kwargs, [] if changes else tree_leaves(found)))
        return found

    def __call__(self):
        for operation, args, kwargs, outputs in self.operations:
            found = tree_leaves(operation(*args, **kwargs))
            for output, value in zip(outputs, found, strict=bool(outputs)):
                output.copy_(value)


def taped(function):
    function()
    tape = Tape()
    with tape:
        function()
    return tape

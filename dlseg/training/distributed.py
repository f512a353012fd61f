"""Several processes that train one network, started by torchrun: who is who, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from dlseg.common.checks import message


@dataclass(frozen=True)
class Processes:
    """This process, number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    def share(self, batch: int) -> range:
        """Which samples of a batch are this process's.

        Raises:
            ValueError: some process would get none.
        """
        if batch < self.size:
            enough = f"at least one image for each of {self.size} processes"
            raise ValueError(message("batch", batch, enough, f"nearest: {self.size}"))
        return range(batch * self.rank // self.size, batch * (self.rank + 1) // self.size)

    def total(self, x: Shaped[Tensor, "*shape"]) -> Shaped[Tensor, "*shape"]:
        """The sum of every process's `x`, for all of them."""
        if self.size > 1:
            x = x.clone()
            dist.all_reduce(x)
        return x

    def wrap(self, net: nn.Module) -> nn.Module:
        """`net`, or what adds up its gradients over the processes."""
        if self.size == 1:
            return net
        return nn.parallel.DistributedDataParallel(net)


def processes() -> Processes:
    """The processes that torch.distributed knows of; one where it was not started."""
    return Processes(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Processes()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Join the other processes where torchrun started this one; over NCCL on GPUs, gloo elsewhere."""
    if not dist.is_torchelastic_launched():
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # torchrun starts everybody again when one is lost, with the same store: addresses of the last attempt are in it
    public: Any = dist  # documented, though not declared as exported
    store, rank, size = next(public.rendezvous("env://"))
    attempt = public.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=size)
    try:
        yield processes()
    finally:
        dist.destroy_process_group()


def without_exchange(model: nn.Module) -> AbstractContextManager[Any]:
    """Gradients made here are not added up over the processes yet."""
    return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


class _Total(torch.autograd.Function):
    """A sum over the processes that gradients pass through: what each process does moves every loss."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return processes().total(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return processes().total(gradients[0].contiguous())


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation by the statistics of all processes' images (torch's own needs GPUs)."""

    def forward(self, input: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """As nn.BatchNorm2d on the whole batch."""
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        own = input.new_tensor([input.numel() // input.shape[1]])
        sums = _Total.apply(torch.cat([input.sum((0, 2, 3)), own]))  # one exchange for both
        mean, count = sums[:-1] / sums[-1], sums[-1].detach()
        centred = input - mean[:, None, None]
        variance = _Total.apply(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            rate = self.momentum or 0.0
            self.running_mean.lerp_(mean.detach(), rate)
            self.running_var.lerp_(variance.detach() * count / (count - 1), rate)
        scale = self.weight / torch.sqrt(variance + self.eps)
        return centred * scale[:, None, None] + self.bias[:, None, None]


def share_statistics(net: nn.Module) -> None:
    """Let every batch normalisation in `net` see the images of all processes."""
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.BatchNorm2d:
                shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum or 0.1)
                shared.to(child.weight).load_state_dict(child.state_dict())
                setattr(parent, name, shared)

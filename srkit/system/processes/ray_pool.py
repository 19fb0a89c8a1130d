"""A pool of processes on the hosts of a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import Any, Generic

import torch

from srkit.errors import DataError, SrkitError
from srkit.system.devices import device_of_rank
from srkit.system.extras import needs
from srkit.system.processes.pool import DeathError, Item, Opened, Result, Setup, Worker

#: The address of a cluster of this machine only, which is started for this run.
LOCAL = "local"


class RayPool:
    """Processes that a Ray cluster places on its hosts, each with a GPU or a part of one.

    Every host needs srkit, the model, and the working directory with its files, at the same paths.

    Parameters
    ----------
    address
        ``auto``: the cluster that this host belongs to; ``local``: a cluster of this machine only;
        ``HOST:PORT`` or ``ray://HOST:PORT``: another one.
    count
        Number of processes; by default one per GPU, or one per host if there are no GPUs.

    Raises
    ------
    PluginError
        If Ray is not installed.
    SrkitError
        If there is no such cluster, or it has fewer cores than `count`.
    """

    def __init__(self, address: str, count: int | None = None) -> None:
        with needs("ray", "ray"):
            import ray
        if not ray.is_initialized():
            try:
                ray.init(
                    address=address,
                    include_dashboard=False if address == LOCAL else None,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())[:160]
                raise SrkitError(
                    f"--ray {address}: cannot connect to a cluster ({reason}); "
                    f"start one with `ray start --head`, or use --ray {LOCAL}"
                ) from error
        self._ray = ray
        owned = ray.cluster_resources()
        hosts = sum(bool(node["Alive"]) for node in ray.nodes())
        cores, self._gpus = int(owned.get("CPU", 0)), owned.get("GPU", 0.0)
        self.count = count or int(self._gpus) or hosts
        if self.count > cores:
            raise SrkitError(
                f"--processes {self.count}: the Ray cluster has {cores} cores; use at most {cores}"
            )
        self._threads = max(1, cores // self.count)

    def workers(self, setup: Setup[Item, Result], count: int) -> list[Worker[Item, Result]]:
        """Start this many processes."""
        actor = self._ray.remote(_Actor).options(
            num_cpus=1,
            num_gpus=min(1.0, self._gpus / self.count),
            scheduling_strategy="SPREAD",
        )
        arguments = setup, self._threads, str(Path.cwd())
        return [_RayWorker(self._ray, actor, arguments) for _ in range(count)]


class _RayWorker(Worker[Item, Result]):
    """A process on a host of the cluster."""

    def __init__(self, ray: Any, actor: Any, arguments: tuple[Any, ...]) -> None:
        self._ray, self._class, self._arguments = ray, actor, arguments
        self.start()

    def start(self) -> None:
        self._actor = self._class.remote(*self._arguments)

    def submit(self, item: Item) -> Future[Any]:
        future: Future[Any] = self._actor.work.remote(item).future()
        return future

    def result(self, future: Future[Any]) -> Result:
        try:
            result: Result = future.result()
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayActorError as error:
            raise DeathError from error
        return result

    def stop(self) -> None:
        self._ray.kill(self._actor)


class _Actor(Generic[Item, Result]):
    """Works on items on a host of the cluster."""

    def __init__(self, setup: Setup[Item, Result], threads: int, folder: str) -> None:
        self._function = Opened(_on_this_host(setup, threads, folder))

    def work(self, item: Item) -> Result:
        return self._function(item)


@contextmanager
def _on_this_host(
    setup: Setup[Item, Result], threads: int, folder: str
) -> Iterator[Callable[[Item], Result]]:
    """Prepare a process of the cluster, and open its function."""
    try:
        os.chdir(folder)  # paths are relative to it
    except OSError as error:
        raise DataError(
            f"{folder}: missing on the host {gethostname()}; all hosts of the cluster have to "
            "share the working directory"
        ) from error
    torch.set_num_threads(threads)
    with setup(device_of_rank(0)) as function:
        yield function

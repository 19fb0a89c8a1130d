"""The processes of a Ray cluster, on any number of hosts."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from socket import gethostname
from typing import Any, Generic

import torch

from srkit.errors import DataError, SrkitError
from srkit.system.extras import needs
from srkit.system.processes.crew import Answer, DeathError, Item, Member, Opener

#: The address that stands for a cluster of this machine alone, started for this run.
LOCAL = "local"


class RayCrew:
    """Processes that a Ray cluster places on its hosts, with a GPU or a part of one each.

    Every host needs srkit, the model, and the folder of the run with its files, under the same
    paths.

    Parameters
    ----------
    address
        ``auto`` is the cluster that this host belongs to, ``local`` one of this machine alone,
        ``HOST:PORT`` or ``ray://HOST:PORT`` another.
    count
        How many; by default one for each GPU or, where there is none, for each host.

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
                raise SrkitError(
                    f"--ray {address}: no such cluster ({' '.join(str(error).split())[:160]}); "
                    f"start one with `ray start --head`, or take --ray {LOCAL}"
                ) from error
        self._ray = ray
        owned = ray.cluster_resources()
        hosts = sum(bool(node["Alive"]) for node in ray.nodes())
        cores, self._gpus = int(owned.get("CPU", 0)), owned.get("GPU", 0.0)
        self.count = count or int(self._gpus) or hosts
        if self.count > cores:
            raise SrkitError(
                f"--processes {self.count}: the Ray cluster has {cores} cores; take at most so many"
            )
        self._threads = max(1, cores // self.count)

    def members(self, opener: Opener[Item, Answer], count: int) -> list[Member[Item, Answer]]:
        """Start so many processes."""
        actor = self._ray.remote(_Actor).options(
            num_cpus=1,
            num_gpus=min(1.0, self._gpus / self.count),
            scheduling_strategy="SPREAD",
        )
        place = opener, self._threads, str(Path.cwd())
        return [_RayMember(self._ray, actor, place) for _ in range(count)]

    def ready(self, busy: Sequence[Member[Item, Answer]]) -> list[Member[Item, Answer]]:
        """Wait until one or more of them have an answer, or died."""
        answers = {member.answer: member for member in busy if isinstance(member, _RayMember)}
        done, _ = self._ray.wait(list(answers))
        return [answers[each] for each in done]


class _RayMember(Member[Item, Answer]):
    """A process on some host of the cluster."""

    def __init__(self, ray: Any, actor: Any, place: tuple[Any, ...]) -> None:
        self._ray, self._class, self._place = ray, actor, place
        self.start()

    def start(self) -> None:
        self._actor = self._class.remote(*self._place)

    def give(self, item: Item) -> None:
        self.answer = self._actor.work.remote(item)

    def take(self) -> Answer:
        try:
            answer: Answer = self._ray.get(self.answer)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except self._ray.exceptions.RayActorError as error:
            raise DeathError from error
        return answer

    def end(self) -> None:
        self._ray.kill(self._actor)


class _Actor(Generic[Item, Answer]):
    """Runs on a host of the cluster; opens what it needs with its first item."""

    def __init__(self, opener: Opener[Item, Answer], threads: int, folder: str) -> None:
        self._opener, self._threads, self._folder = opener, threads, folder
        self._stack, self._opened = ExitStack(), False

    def work(self, item: Item) -> Answer:
        if not self._opened:
            self._open()
        return self._answer(item)

    def _open(self) -> None:
        try:
            os.chdir(self._folder)  # what paths are relative to
        except OSError as error:
            raise DataError(
                f"{self._folder}: is not on the host {gethostname()}; all hosts of the cluster "
                "have to share the folder of the run"
            ) from error
        torch.set_num_threads(self._threads)
        device = "cuda:0" if torch.cuda.is_available() else None
        self._answer = self._stack.enter_context(self._opener(device))
        self._opened = True

"""An instance's life: up, down, purge."""

import shutil

from kubestore import ui
from kubestore.errors import KubestoreError
from kubestore.instance import Instance
from kubestore.lab import (
    bootstrap,
    cgroups,
    controlplane,
    images,
    network,
    nodes,
    preflight,
    programs,
    sysctls,
    workers,
)
from kubestore.lab.forge import Forge


def up(instance: Instance, *, argocd: bool = True, wanted: int | None = None) -> None:
    """Bring the instance up from whatever is there; the same call again goes on where one stopped.

    `wanted` is the number of nodes: as many as there are (or one) when it is None.
    """
    count = nodes.count(instance, wanted)
    preflight.check()
    with instance.lock("up"):
        instance.create()
        programs.build()
        network.ensure_bridge(instance)
        sysctls.remember(instance)
        forge = bootstrap.forge(instance)
        images.ensure(instance)
        workers.wake(instance)
        kubectl = controlplane.ensure(instance)
        workers.ensure(instance, kubectl, nodes.workers(instance, count))
        bootstrap.sources(forge)
        if argocd:
            forge.first_release()
            bootstrap.argocd(instance, kubectl)
            bootstrap.converge(kubectl)
            bootstrap.store_answers(instance)


def down(instance: Instance) -> None:
    """Stop everything and leave the machine as it was; the data stays."""
    if not instance.dir.exists():
        return
    with instance.lock("down"):
        _stop(instance)


def _stop(instance: Instance) -> None:
    with ui.step("stop the cluster") as step:
        for node in reversed(nodes.existing(instance)):
            step.note(node.name)
            node.stop()
            if left := cgroups.remove(node.cgroup):
                raise KubestoreError(
                    f"control groups are still busy: {left[0]} (of {len(left)})", "run it again"
                )
        step.note("forge")
        Forge(instance).stop()
        network.remove_bridge(instance)
        sysctls.restore(instance)


def purge(instance: Instance) -> None:
    """Stop everything and forget the instance; the cache of programs and images stays."""
    if not instance.dir.exists():
        return
    with instance.lock("purge"):
        if instance.exists:
            _stop(instance)
        with ui.step("remove its data"):
            for child in instance.dir.iterdir():
                if child.name != "lock":
                    shutil.rmtree(child) if child.is_dir() else child.unlink()
    shutil.rmtree(instance.dir)

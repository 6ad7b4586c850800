"""The running cluster refuses each forbidden manifest, and its status says the reason that was expected."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.run import CommandFailed
from kubestore.wait import until
from tests.manifests.forbidden import Forbidden, load

SECONDS = 60.0
APPLICATION = "applications.argoproj.io"

pytestmark = pytest.mark.e2e


@pytest.fixture
def kubectl() -> Kubectl:
    """The instance's cluster; it must be up."""
    instance = Instance.current()
    if not instance.kubeconfig.exists():
        pytest.fail(f"instance {instance.name} is not up: make up")
    return Kubectl(instance.kubeconfig)


@pytest.fixture
def applied(forbidden: Forbidden, kubectl: Kubectl) -> Iterator[str]:
    """The forbidden Application, taken away afterwards with whatever it made."""
    kubectl.run("apply", "-f", "-", input=forbidden.text)
    name = f"forbidden-{forbidden.name}"
    yield name
    kubectl.run("delete", APPLICATION, "-n", "argocd", name, "--wait=true", timeout=60)


@pytest.mark.parametrize("forbidden", load("admission"), ids=lambda one: one.name)
def test_admission_refuses_the_object_with_its_reason(forbidden: Forbidden, kubectl: Kubectl) -> None:
    with pytest.raises(CommandFailed) as error:
        kubectl.run("create", "-f", "-", input=forbidden.text)
    assert forbidden.given(error.value.output), error.value.output


@pytest.mark.parametrize(
    "forbidden", [one for one in load() if one.where != "admission"], ids=lambda one: one.name
)
def test_argocd_refuses_the_application_with_its_reason(
    forbidden: Forbidden, applied: str, kubectl: Kubectl
) -> None:
    said: list[str] = []

    def refused() -> bool:
        status = kubectl.json("get", APPLICATION, "-n", "argocd", applied).get("status", {})
        said[:] = messages(status, forbidden.where)
        return any(forbidden.given(text) for text in said)

    until(refused, f"{forbidden.name} to be refused", SECONDS, 1.0, lambda: json.dumps(said)[:600])


def messages(status: dict[str, Any], where: str) -> list[str]:
    """What the status says at `where`: messages of conditions, or of the failed sync and its resources."""
    if where != "sync":
        return [one["message"] for one in status.get("conditions", []) if one["type"] == where]
    operation = status.get("operationState", {})
    if operation.get("phase") not in ("Failed", "Error"):
        return []
    results = operation.get("syncResult", {}).get("resources") or []
    return [operation.get("message", ""), *(one.get("message", "") for one in results)]

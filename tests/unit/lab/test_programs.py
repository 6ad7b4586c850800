"""Every program and image has one pin, read from go.mod."""

import pytest

from kubestore.errors import KubestoreError
from kubestore.lab import gobuild, images, programs
from kubestore.ui import Step


def test_every_component_has_a_folder_and_names_its_programs() -> None:
    folders = {folder.name for folder in programs.MODULES.iterdir() if folder.is_dir()}
    assert folders == set(programs.COMPONENTS)
    for component in programs.COMPONENTS.values():
        assert component.packages, component.name


def test_versions_are_stamped_as_go_mod_pins_them() -> None:
    stamped = programs.KUBERNETES.stamped()
    pinned = programs.KUBERNETES.version("k8s.io/kubernetes")
    assert stamped["k8s.io/component-base/version.gitVersion"] == pinned
    minor = stamped["k8s.io/component-base/version.gitMinor"]
    assert pinned.startswith(f"v1.{minor}.")


def test_images_carry_the_version_of_the_module_inside() -> None:
    found = {image.image: image.version for image in images.all_images()}
    assert found["registry.k8s.io/kube-apiserver"] == programs.KUBERNETES.version("k8s.io/kubernetes")
    assert all(found.values())


def test_an_unknown_component_is_named() -> None:
    with pytest.raises(KubestoreError, match="nonsense"):
        list(programs.missing(["nonsense"]))


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("write /x: no space left on device", "disk is full"),
        ("verifying a@v1: checksum mismatch", "not what go.sum says"),
        ("malformed go.sum: wrong number of fields", "go.sum is broken"),
        ("dial tcp: lookup proxy: no such host", "did not answer"),
        ("compile: signal: killed", "was killed"),
    ],
)
def test_a_failed_build_names_its_cause(
    output: str, cause: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("log") / "build.log"
    log.write_text(output + "\n")
    with pytest.raises(KubestoreError, match=cause) as caught:
        gobuild._fail(programs.COMPONENTS["etcd"].folder, log, 1)
    assert str(log) in caught.value.hint


def test_a_step_that_fails_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no"), Step("try"):
        raise ValueError("no")
    assert "✗ try" in capsys.readouterr().err

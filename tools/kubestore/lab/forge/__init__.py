"""The forge: a git server with hooks, an image registry, mirrors of upstream manifests, a pipeline runner."""

from kubestore.lab.forge.forge import Forge

__all__ = ["Forge"]

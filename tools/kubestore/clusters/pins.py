"""Versions of what a laptop's cluster is made of; each stands here alone."""

# What minikube 1.39.0 and kind 0.33.0 start by themselves, of the same minor version as the embedded cluster's.
KUBERNETES = "v1.37.0"
KIND_IMAGE = (
    f"kindest/node:{KUBERNETES}@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
)

# Program -> the oldest version that will do: (major, minor).
OLDEST = {
    "docker": (20, 10),
    "kind": (0, 33),
    "minikube": (1, 39),
    "git": (2, 32),  # GIT_CONFIG_GLOBAL
}
# kubectl and the API server may differ by one minor version.
KUBECTL_SKEW = 1
MEMORY_GIB = 5.5
CPUS = 2

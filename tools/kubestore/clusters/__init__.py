"""Clusters of the user's own: minikube, kind, or whatever the current context names. `lab` is the embedded one."""

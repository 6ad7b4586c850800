"""`python -m kubestore` is the command `kubestore`."""

from kubestore.cli import main

main()

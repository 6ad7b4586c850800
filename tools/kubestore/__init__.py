"""KubeStore's command line: the embedded cluster, releases, validation and proofs."""

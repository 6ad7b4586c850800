"""The image registry: distribution behind nginx, its images in a folder."""

from kubestore.lab.forge.settings import Settings

CONFIG = """\
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
  maintenance:
    uploadpurging:
      enabled: false
http:
  net: unix
  addr: {root}/run/registry.sock
  secret: {secret}
  relativeurls: true
"""

# distribution 3 sends traces to a collector on this machine unless it is told not to.
ENVIRONMENT = {"OTEL_TRACES_EXPORTER": "none"}


def config(settings: Settings, secret: str) -> str:
    """The registry's configuration; `secret` signs the state of an upload under way."""
    return CONFIG.format(root=settings.root, data=settings.registry_data, secret=secret)

"""The control plane: kubeadm on the first node, its network, DNS and kubeconfig."""

from kubestore import files, ui, wait
from kubestore.instance import Instance
from kubestore.kubectl import Kubectl
from kubestore.lab import calico, images
from kubestore.lab.node import Node, fill


def ensure(instance: Instance) -> Kubectl:
    """Start the first node and a control plane on it; the second time only the node starts."""
    node = Node(instance, 1)
    before = node.dir / "etc" / "cni" / "net.d" / "10-kubestore.conflist"
    if before.exists():  # of a time before Calico: pods that hang on its bridge are made anew
        node.stop()
        before.unlink()
    with ui.step("start node-1"):
        node.start()
    if not instance.kubeconfig.exists():
        _init(node)
    kubectl = Kubectl(instance.kubeconfig)
    with ui.step("API server answers"):
        wait.until(lambda: kubectl.run("get", "--raw=/readyz") == "ok", "API server", 120)
    calico.ensure(instance, kubectl)
    with ui.step("node-1 ready"):
        kubectl.run("wait", "--for=condition=Ready", "node", node.name, "--timeout=120s", timeout=130)
        _dns(kubectl, instance)
    return kubectl


def _init(node: Node) -> None:
    instance = node.instance
    tag = {name: images.reference(f"registry.k8s.io/{name}").rpartition(":")[2] for name in
           ("etcd", "coredns/coredns", "kube-apiserver")}  # fmt: skip
    values = {
        "node_ip": node.ip, "node_name": node.name, "instance": instance.name,
        "pods": str(instance.pods), "services": str(instance.services),
        "kubernetes": tag["kube-apiserver"], "etcd": tag["etcd"], "coredns": tag["coredns/coredns"],
    }  # fmt: skip
    config = node.dir / "kubeadm.yaml"
    config.write_text(fill("kubeadm.yaml", values))
    log = instance.logs / "kubeadm.log"
    with ui.step("kubeadm init"):
        # A run that was stopped half-way leaves manifests and certificates; kubeadm takes the certificates.
        node.run(
            ["kubeadm", "init", "--config", config, "--skip-phases=preflight,show-join-command",
             "--ignore-preflight-errors=all"],
            timeout=300, log=log,
        )  # fmt: skip
    admin = node.dir / "etc" / "kubernetes" / "admin.conf"
    files.write(instance.kubeconfig, admin.read_text(), 0o600)


def _dns(kubectl: Kubectl, instance: Instance) -> None:
    """CoreDNS knows the forge's name and answers at once for names that nobody here can resolve."""
    corefile = fill("Corefile", {"host_ip": instance.host_ip})
    made = kubectl.run(
        "create", "configmap", "coredns", "-n", "kube-system", f"--from-literal=Corefile={corefile}",
        "--dry-run=client", "-o", "yaml",
    )  # fmt: skip
    kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", input=made)
    kubectl.run("scale", "-n", "kube-system", "deployment/coredns", "--replicas=1")

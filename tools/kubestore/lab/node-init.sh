#!/bin/sh
# The first program of a node, inside its mount, PID, UTS and network namespaces: lays the node's own
# folders over the machine's, then keeps containerd and the kubelet running. Ends with the node.
#
# From the environment: NODE_DIR (the node's folder), NODE_NAME, CGROUP_ROOT.
set -eu

hostname "$NODE_NAME"
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/containerd

# New folders below these go to the node's folder; the machine's own are only seen.
for folder in etc opt var/lib var/log; do
    mkdir -p "$NODE_DIR/upper/$folder" "$NODE_DIR/work/$folder"
    mount -t overlay overlay \
        -o "lowerdir=/$folder,upperdir=$NODE_DIR/upper/$folder,workdir=$NODE_DIR/work/$folder" "/$folder"
done
# What containers are stacked on, or write much to, lies on the machine's own file system.
for folder in var/lib/containerd var/lib/kubelet var/lib/etcd var/lib/cni var/log/pods \
    etc/kubernetes etc/containerd etc/cni/net.d opt/cni/bin opt/local-path-provisioner; do
    mkdir -p "$NODE_DIR/$folder" "/$folder"
    mount --bind "$NODE_DIR/$folder" "/$folder"
done
mount --make-rshared /
cp /usr/lib/cni/bandwidth /usr/lib/cni/host-local /usr/lib/cni/loopback /usr/lib/cni/portmap /opt/cni/bin/
sysctl -qw net.ipv4.ip_forward=1

# Run a program again when it ends; pause a little longer than a port needs to be free again.
keep() {
    name=$1
    shift
    while :; do
        "$@" >>"$NODE_DIR/logs/$name.log" 2>&1 || true # its end is written below, then it starts again
        echo "$name ended at $(date -Is)" >>"$NODE_DIR/logs/$name.log"
        sleep 1
    done
}

kubelet_once() {
    [ -s /var/lib/kubelet/config.yaml ] || return 0
    flags=$(sed -n 's/^KUBELET_KUBEADM_ARGS="\(.*\)"$/\1/p' /var/lib/kubelet/kubeadm-flags.env)
    # $flags is a list of words.
    # shellcheck disable=SC2086
    kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
        --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \
        --cgroup-root="$CGROUP_ROOT" $flags
}

mkdir -p "$NODE_DIR/logs"
keep containerd containerd --config /etc/containerd/config.toml &
keep kubelet kubelet_once &
wait

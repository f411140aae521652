# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# What a kind node needs from the distribution. `tools/toolbox node-image` builds it, with the folder
# images/base/files of the pinned kind module in the build context as `files`. Debian 12 on purpose: the
# systemd of later releases refuses hosts with cgroup v1.
ARG BASE_IMAGE=orchestrator-platform/debian:bookworm
FROM ${BASE_IMAGE}

COPY files/usr/local/bin/ /usr/local/bin/
COPY files/kind/ /kind/
COPY files/etc/ /etc/

RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      bash ca-certificates conntrack containernetworking-plugins curl e2fsprogs ebtables ethtool iproute2 iptables \
      jq kmod libseccomp2 mount nftables pigz procps runc socat systemd systemd-sysv util-linux \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*

# A node boots only what kind starts: everything the distribution would start at boot is taken away.
RUN chmod 755 /usr/local/bin/* /kind /kind/bin /kind/bin/* \
 && cd /lib/systemd/system \
 && rm -f sysinit.target.wants/systemd-tmpfiles-setup.service multi-user.target.wants/* local-fs.target.wants/* \
      basic.target.wants/* sockets.target.wants/*udev* sockets.target.wants/*initctl* /etc/systemd/system/*.wants/* \
 && echo ReadKMsg=no >> /etc/systemd/journald.conf \
 && mkdir -p /opt/cni/bin /etc/cni/net.d /etc/kubernetes/manifests /kind/manifests \
 && cp /usr/lib/cni/* /opt/cni/bin/ \
 && ln -s /usr/sbin/runc /usr/local/sbin/runc \
 && systemctl enable kubelet containerd undo-mount-hacks \
 && systemctl mask systemd-binfmt

# kindnet, kind's own network plugin, is not published as a Go module: a plain bridge serves one node.
COPY bridge.conflist /etc/cni/net.d/10-bridge.conflist

ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]

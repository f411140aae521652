# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# The one control-plane program that needs more than itself. Built by `tools/toolbox node-image`.
ARG BASE_IMAGE=orchestrator-platform/debian:bookworm
FROM ${BASE_IMAGE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends conntrack ipset iptables kmod nftables \
 && apt-get clean \
 && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*
COPY kube-proxy /usr/local/bin/kube-proxy
ENTRYPOINT ["/usr/local/bin/kube-proxy"]

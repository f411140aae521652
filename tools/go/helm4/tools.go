// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: 2026 The orchestrator.platform authors

//go:build tools

// Package tools names the programs that are built from the pinned module; written by ../pin.
package tools

import (
	_ "helm.sh/helm/v4/cmd/helm"
)

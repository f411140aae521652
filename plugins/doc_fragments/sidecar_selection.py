# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""Options that the modules sidecar and sidecar_info share: which workloads, and which sidecar they are to hold."""

from __future__ import annotations


class ModuleDocFragment:
    """The options, as documentation."""

    DOCUMENTATION = r"""
options:
  names:
    description: Select only workloads of these names. Empty selects all that match the other options.
    type: list
    elements: str
    default: []
  label_selectors:
    description: Label selectors, all of which a workload must match, for example V(app=agent).
    type: list
    elements: str
    default: []
  field_selectors:
    description: Field selectors, all of which a workload must match, for example V(metadata.name!=console).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  snippet_from:
    description: The ConfigMap with the published snippet.
    type: dict
    suboptions:
      namespace:
        description: Its namespace.
        type: str
        default: discord-monitor
      name:
        description: Its name, the chart's full name followed by C(-snippet).
        type: str
        default: discord-monitor-snippet
  snippet:
    description:
      - The snippet itself, in the shape of the ConfigMap's key C(snippet.json), instead of O(snippet_from). An empty
        one is refused.
    type: dict
  form:
    description:
      - V(native) makes it a native sidecar, an init container with C(restartPolicy=Always), so that Jobs can complete.
      - V(container) makes it an ordinary container.
      - V(auto) takes V(native) where the API server and every kubelet are 1.29 or newer. Where nodes may not be listed,
        the API server's version alone decides.
    type: str
    choices: [auto, native, container]
    default: auto
  bridge:
    description: Whether the input bridge is added too. It must be enabled in the chart's values.
    type: bool
    default: false
  container:
    description:
      - Name of the agent's container in the selected workloads, else the first one. A workload's own annotation wins.
    type: str
  overrides:
    description:
      - What differs from the published snippet, for all selected workloads. The annotation of the same name on a pod
        template or workload, for example C(orchestrator.platform/log-level), wins over it for that workload.
      - Security settings cannot be overridden.
    type: dict
    version_added: 0.2.0
    suboptions:
      image:
        description: The watcher's image.
        type: str
      log_level:
        description: One of V(debug), V(info), V(warning), V(error).
        type: str
      filters:
        description: Which events are sent, in the shape of the chart's value C(discord.monitoring.filters).
        type: dict
      webhook_secret_name:
        description: The Secret in the workload's namespace that holds the webhook URL.
        type: str
      webhook_secret_key:
        description: The key in that Secret.
        type: str
      input_secret_name:
        description: >-
          The Secret in the workload's namespace with the credential by which the bridge pulls its agent's input. Needs
          C(inputBridge.pull.enabled) in the chart's values; without O(bridge) it has no meaning.
        type: str
      input_secret_key:
        description: The key of that credential.
        type: str
      parity_mode:
        description: Whether everything that the agent's terminal would show is sent, without filters.
        type: bool
      thread_id:
        description: Id of the Discord thread into which messages go.
        type: str
      cpu_request:
        description: The watcher's CPU request.
        type: str
      cpu_limit:
        description: The watcher's CPU limit.
        type: str
      memory_request:
        description: The watcher's memory request.
        type: str
      memory_limit:
        description: The watcher's memory limit.
        type: str
      transcript_volume:
        description: Volume of the pod that holds the transcripts.
        type: str
      fifo_volume:
        description: Volume of the pod through which the bridge writes to the agent.
        type: str
  recreate_jobs:
    description:
      - Whether a Job of which nothing has run is deleted and made again with the sidecar, as its pod template cannot be
        changed. A Job that has begun, that a controller has made, or whose manifest holds a value shaped or named like
        a secret is never touched.
      - The API server is asked first, by a dry run, whether it takes the new one. A run that is killed in the instant
        between deletion and creation loses the Job; where only the creation fails, the manifest is returned.
    type: bool
    default: false
    version_added: 0.2.0
  threads:
    description: How many requests are under way at once.
    type: int
    default: 8
notes:
  - A namespace that itself may not be read is answered with the code V(forbidden), since whether it opts out and which
    Pod Security it enforces stand there. docs/injection.md of the collection lists all rights.
"""

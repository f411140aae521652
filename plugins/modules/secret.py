#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module secret: many Secrets in one task, from texts, files, variables or commands, and no value in any output."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret
short_description: Write or remove many Secrets in one task, without a value in any output
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Brings any number of Secrets into the wanted state. Each key has one source, a text, a file, an environment variable
    or a command; a pair of SSH keys can be generated.
  - What is wanted is compared with what the API server holds, in the memory of this task. No digest of a value is kept
    in an annotation or returned, since one that can be read can be tried against guesses.
  - All problems of all Secrets are told in one message, and nothing is written while there is one. That includes what
    the API server says to a dry run of every change.
  - Each change is one server-side apply by the field manager C(orchestrator.platform), never by force. A Secret without
    our labels is somebody else's and is left alone (V(not_ours)), unless it holds what is wanted already.
  - Values are in no result, diff, warning or error. What you write after C(-e) on the command line is printed by
    Ansible itself at C(-vvv); use a file, an environment variable or a command.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  state:
    description:
      - V(present) makes the Secrets hold what O(secrets) say.
      - V(absent) removes those of them that are ours. Only names count then.
    type: str
    choices: [present, absent]
    default: present
  namespace:
    description: Namespace of the Secrets that name none themselves. It has to exist.
    type: str
  secrets:
    description: The Secrets, at least one.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the Secret.
        type: str
        required: true
      namespace:
        description: Its namespace, if it is not O(namespace).
        type: str
      data:
        description: Its keys, each with exactly one source.
        type: list
        elements: dict
        suboptions:
          key:
            description: Name of the key.
            type: str
            required: true
          value:
            description: The value as a text. An empty one is refused, since most often a variable was empty.
            type: str
          file:
            description: File that holds the value and nothing else, on the host where the module runs. Taken as it is.
            type: path
          env:
            description: Environment variable that holds the value, where the module runs.
            type: str
          command:
            description:
              - Program and arguments whose standard output is the value, less one line break at its end. No shell, and
                nothing to read from; it has 60 seconds.
              - It is run in check mode too. Its arguments are no secrets; a program reads those from elsewhere.
            type: list
            elements: str
          generate:
            description:
              - Make the value up when the key is not there or O(secrets[].rotate) is another than before.
              - V(ssh_ed25519) is a private SSH key in OpenSSH's form, without passphrase, made in memory.
            type: str
            choices: [ssh_ed25519]
          public_key_of:
            description: The public half of the private SSH key in that key of the same Secret.
            type: str
          form:
            description:
              - What the value has to be. V(any) takes everything.
              - V(line) is one word without blanks and line breaks.
              - V(github_token) is a V(line); one that does not look like GitHub's is only warned of.
              - V(ssh_private_key) is a private key without passphrase. Its line ends are put right.
              - V(ssh_public_key) is a public key, and that of the private key in the same Secret where there is one.
            type: str
            choices: [any, line, github_token, ssh_private_key, ssh_public_key]
            default: any
          keep:
            description: >-
              Leave a value that the cluster holds as it is until O(secrets[].rotate) is another than before. Else the
              source counts at each run.
            type: bool
            default: false
      type:
        description: Type of the Secret. If not given, that of the one that is there, or C(Opaque).
        type: str
      labels:
        description: Labels besides ours.
        type: dict
        default: {}
      annotations:
        description: Annotations.
        type: dict
        default: {}
      immutable:
        description: Whether the API server shall refuse every later change. If not given, as it is.
        type: bool
      prune:
        description: Remove keys of ours that O(secrets[].data) does not name. A key that others have put in stays.
        type: bool
        default: true
      rotate:
        description:
          - Rotation marker, any text such as a date. When it is another than at the last run, kept and generated values
            are fetched or made anew, once. It is kept as the annotation C(orchestrator.platform/rotation).
          - If not given, nothing is rotated.
        type: str
  recreate:
    description:
      - Delete and make anew a Secret that is immutable or of another type and would change. Else that is an error.
      - Pods that mount it keep what they have; those that start in between wait.
    type: bool
    default: false
  problems:
    description:
      - Sentences of the caller's own that stop the task before it writes, told together with what the module finds.
        For roles that judge their inputs first.
    type: list
    elements: str
    default: []
  threads:
    description: Requests in flight at once, at least 1.
    type: int
    default: 8
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details:
      - Sends the same requests as dry runs of the API server. In a namespace that is not there yet the outcome is
        V(created), since an earlier task of the real run may make it.
      - Files are read and commands run, as their values are what is compared.
  diff_mode:
    description: Returns details on what has changed, or what would change.
    support: full
    details:
      - Shows names of keys and whether their values differ, nothing of the values.
  idempotent:
    description: Run again without a change in between, it changes nothing.
    support: full
    details:
      - A Secret that is as wanted gets no request but the read.
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML >= 3.11
  - cryptography, which ansible-core brings, where there are SSH keys
notes:
  - Several Secrets of a namespace are read by one list, so the user needs list and get on Secrets there; where listing
    is forbidden each is read by its name.
  - Ansible blots out the text of every O(secrets[].data[].value) in the module's result, so a value that is an ordinary
    word takes that word out of the sentences too.
  - The task fails when any Secret has the outcome V(failed) or V(conflict).
seealso:
  - module: kubernetes.core.k8s
"""

EXAMPLES = r"""
- name: Two Secrets from files and from the environment
  orchestrator.platform.secret:
    namespace: agents
    secrets:
      - name: discord-secrets
        data:
          - key: DISCORD_WEBHOOK_URL
            file: ~/secrets/webhook-url
            form: line
      - name: api-keys
        data:
          - key: ANTHROPIC_API_KEY
            env: ANTHROPIC_API_KEY
            form: line
          - key: OTHER_KEY
            command: [pass, show, other-key]

- name: A pair of SSH keys that stays until the marker changes
  orchestrator.platform.secret:
    namespace: orchestrator
    secrets:
      - name: github-ssh-coder
        rotate: "2026-11"
        data:
          - key: ssh-privatekey
            generate: ssh_ed25519
          - key: ssh-publickey
            public_key_of: ssh-privatekey
  register: pair

- name: Show what to add to the account
  ansible.builtin.debug:
    msg: "{{ pair.secrets[0].public_keys['ssh-publickey'] }}"

- name: Take both away
  orchestrator.platform.secret:
    state: absent
    namespace: orchestrator
    secrets:
      - name: github-ssh-coder
      - name: github-token-coder
"""

RETURN = r"""
secrets:
  description: One row for each Secret, in the order given. Empty where something was wrong with what was given.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: Its namespace.
      type: str
      sample: orchestrator
    name:
      description: Its name.
      type: str
      sample: github-token-coder
    outcome:
      description:
        - What happened, or in check mode would happen.
        - One of V(created), V(updated), V(recreated), V(unchanged), V(removed), V(skipped), V(conflict), V(failed).
      type: str
      sample: updated
    code:
      description: The reason as a stable code, for example V(not_ours); docs/agent-secrets.md lists them.
      type: str
      sample: updated
    message:
      description: The reason as a sentence.
      type: str
      sample: "The Secret was brought up to date: key changed token."
    key_names:
      description: Names of the keys that were asked for.
      type: list
      elements: str
      sample: [token]
    changed_keys:
      description: Names of the keys that were added, changed or removed.
      type: list
      elements: str
      sample: [token]
    public_keys:
      description:
        - Keys of the form V(ssh_public_key) with their values, which are no secrets. Left out are those that were only
          made up for a dry run.
      type: dict
      sample: {}
summary:
  description: Number of Secrets by outcome.
  returned: when the cluster was asked
  type: dict
  sample: {created: 0, updated: 1, recreated: 0, unchanged: 1, removed: 0, skipped: 0, conflict: 0, failed: 0}
problems:
  description: One sentence for each thing wrong.
  returned: failure
  type: list
  elements: str
  sample: ["Namespace agent does not exist: make it first (kubectl create namespace agent)."]
api_calls:
  description: Number of requests sent, and how many of them were to write (dry runs are none).
  returned: when the cluster was asked
  type: dict
  sample: {total: 3, writes: 1}
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_forms import FORMS
from ansible_collections.orchestrator.platform.plugins.module_utils._secret_writing import SecretRun

KEY_SPEC: dict[str, t.Any] = {
    "key": {"type": "str", "required": True, "no_log": False},
    "value": {"type": "str", "no_log": True},
    "file": {"type": "path"},
    "env": {"type": "str"},
    "command": {"type": "list", "elements": "str"},
    "generate": {"type": "str", "choices": ["ssh_ed25519"]},
    "public_key_of": {"type": "str", "no_log": False},
    "form": {"type": "str", "choices": list(FORMS), "default": "any"},
    "keep": {"type": "bool", "default": False},
}
SECRET_SPEC: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str"},
    "data": {"type": "list", "elements": "dict", "options": KEY_SPEC},
    "type": {"type": "str"},
    "labels": {"type": "dict", "default": {}},
    "annotations": {"type": "dict", "default": {}},
    "immutable": {"type": "bool"},
    "prune": {"type": "bool", "default": True},
    "rotate": {"type": "str"},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "namespace": {"type": "str"},
    # The values alone are marked: marking the whole list would blot out every name of the result.
    "secrets": {"type": "list", "elements": "dict", "required": True, "options": SECRET_SPEC, "no_log": False},
    "recreate": {"type": "bool", "default": False},
    "problems": {"type": "list", "elements": "str", "default": []},
    "threads": {"type": "int", "default": 8},
}


class QuietModule(AnsibleModule):  # type: ignore[misc]  # Ansible is untyped here
    """A module whose arguments do not go into the system's log.

    Ansible writes them there as the text of a Python list, in which the line breaks of a private key are escaped: its
    own search for what must not be logged does not find the key in that form.
    """

    def _log_invocation(self) -> None:
        pass


def main() -> None:
    """Entry point."""
    module = k8s_module(module_class=QuietModule, argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = SecretRun(module, lambda: Cluster(module, threads=module.params["threads"])).result()
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

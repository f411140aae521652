#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module discord_webhook: a channel's webhook at Discord, and its URL in a Secret that nobody sees on the way."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: discord_webhook
short_description: Make, find, rotate or delete a channel's webhook, and keep its URL in a Secret
version_added: 0.2.0
author:
  - The orchestrator.platform authors (@orchestrator)
description:
  - Finds the webhook of a name in a Discord channel or makes it, by Discord's REST API with the bot's token. In check
    mode it only finds.
  - A webhook's URL is a credential. It goes into the Secret O(secret) and nowhere else, unless O(return_url) asks for
    it.
  - Of several webhooks of the name the one counts whose URL the Secret holds already, else the oldest one. Webhooks
    that another application or a person made are never used, since Discord gives their tokens to nobody else.
  - The Secret is tried as a dry run before anything is made at Discord, and a webhook whose URL then cannot be written
    is deleted again.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  state:
    description:
      - V(present) makes the webhook unless it is there, and has the Secret hold its URL.
      - V(absent) deletes every webhook of this name that the bot made in the channel, and the Secret if it is ours.
    type: str
    choices: [present, absent]
    default: present
  bot_token:
    description: Token of the bot, without the word Bot. It needs the permission Manage Webhooks in the channel.
    type: str
    required: true
  channel_id:
    description: Id of the channel, a number in quotes.
    type: str
    required: true
  name:
    description: Name of the webhook, which its messages show. Discord refuses names with "discord" or "clyde" in them.
    type: str
    default: Agent monitor
  secret:
    description:
      - Where the URL is written, by the rules of the module M(orchestrator.platform.secret). Other keys of it stay. A
        Secret of that name that is not ours is left alone, and the task fails.
    type: dict
    suboptions:
      namespace:
        description: Namespace of the Secret, that of the agent. It has to exist.
        type: str
        required: true
      name:
        description: Name of the Secret.
        type: str
        default: discord-secrets
      key:
        description: Key of the URL.
        type: str
        default: DISCORD_WEBHOOK_URL
  rotate:
    description:
      - Rotation marker, any text such as a date. When it is another than at the last run, a new webhook is made, the
        Secret is written, and the old webhook is deleted. Needs O(secret), which remembers it.
      - Pods read the Secret when their container starts, so restart the workloads with this in mind.
    type: str
  return_url:
    description: Return the URL as RV(url), for those who keep it themselves. The task has to have C(no_log=true) then.
    type: bool
    default: false
  api_url:
    description: Root of Discord's REST API, for a server of your own.
    type: str
    default: https://discord.com/api/v10
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
    support: full
    details:
      - Asks Discord for the channel's webhooks and the API server for a dry run of the Secret.
  diff_mode:
    description: Returns details on what has changed, or what would change.
    support: full
    details:
      - Shows what happens to the webhook and names of keys, nothing of the URL.
  idempotent:
    description: Run again without a change in between, it changes nothing.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0, where there is a O(secret)
notes:
  - Answers with status 429 are waited for as Discord asks, up to a minute a call.
  - An old webhook that cannot be deleted after a rotation makes the task fail with the new one in use; O(state=absent)
    or Discord's own settings remove it.
seealso:
  - module: orchestrator.platform.secret
"""

EXAMPLES = r"""
- name: The agents' webhook, straight into their Secret
  orchestrator.platform.discord_webhook:
    bot_token: "{{ vault_bot_token }}"
    channel_id: "81384788765712384"
    secret: {namespace: agents}

- name: A new one each quarter
  orchestrator.platform.discord_webhook:
    bot_token: "{{ vault_bot_token }}"
    channel_id: "81384788765712384"
    secret: {namespace: agents}
    rotate: "2026-Q4"

- name: For a vault of your own
  orchestrator.platform.discord_webhook:
    bot_token: "{{ vault_bot_token }}"
    channel_id: "81384788765712384"
    return_url: true
  register: made
  no_log: true
"""

RETURN = r"""
webhook:
  description: The webhook.
  returned: success
  type: dict
  contains:
    outcome:
      description: One of V(created), V(unchanged), V(rotated), V(removed), V(absent); in check mode what would happen.
      type: str
      sample: created
    id:
      description: Its id; empty where there is none, or none yet.
      type: str
      sample: "998877665544332211"
    name:
      description: Its name.
      type: str
      sample: Agent monitor
    deleted:
      description: Ids of the webhooks that O(state=absent) deleted, or would delete.
      type: list
      elements: str
      sample: []
secret:
  description: The Secret's row as the module M(orchestrator.platform.secret) returns it; empty without O(secret).
  returned: success
  type: dict
  sample: {namespace: agents, name: discord-secrets, outcome: created, changed_keys: [DISCORD_WEBHOOK_URL]}
url:
  description: The URL, a credential; empty where there is no webhook.
  returned: when O(return_url) is true
  type: str
problems:
  description: One sentence for each thing wrong with the arguments or the Secret.
  returned: failure
  type: list
  elements: str
"""

import http.client
import typing as t
import urllib.error

from ansible.module_utils.urls import ConnectionError as UrlsConnectionError
from ansible.module_utils.urls import open_url
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.orchestrator.platform.plugins.module_utils._api_client import k8s_module
from ansible_collections.orchestrator.platform.plugins.module_utils._cluster import Cluster
from ansible_collections.orchestrator.platform.plugins.module_utils._discord import Discord
from ansible_collections.orchestrator.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.orchestrator.platform.plugins.module_utils._webhook_run import WebhookRun

ANSWER_S = 15.0
MAX_ANSWER_BYTES = 1_048_576
AGENT = "DiscordBot (orchestrator.platform, 0.2)"  # Discord wants a name and a version here
SECRET: dict[str, t.Any] = {
    "namespace": {"type": "str", "required": True},
    "name": {"type": "str", "default": "discord-secrets"},
    "key": {"type": "str", "default": "DISCORD_WEBHOOK_URL", "no_log": False},
}
ARGUMENT_SPEC: dict[str, t.Any] = {
    **AUTH_ARG_SPEC,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "bot_token": {"type": "str", "required": True, "no_log": True},
    "channel_id": {"type": "str", "required": True},
    "name": {"type": "str", "default": "Agent monitor"},
    # A place, no value.
    "secret": {"type": "dict", "options": SECRET, "no_log": False},
    "rotate": {"type": "str"},
    "return_url": {"type": "bool", "default": False},
    "api_url": {"type": "str", "default": "https://discord.com/api/v10"},
}


def send(method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, dict[str, str], bytes]:
    """One request by Ansible's own client, which knows proxies and authorities; OSError where no answer comes."""
    try:
        # use_netrc would put other credentials into the place of ours.
        answer = open_url(
            url, data=body, headers=headers, method=method, timeout=ANSWER_S, http_agent=AGENT, use_netrc=False,
            follow_redirects="none",
        )  # fmt: skip
    except urllib.error.HTTPError as exc:
        answer = exc
    except (ValueError, http.client.HTTPException, UrlsConnectionError) as exc:
        raise OSError(str(exc)) from exc
    with answer:
        try:
            content = answer.read(MAX_ANSWER_BYTES)
        except http.client.HTTPException as exc:
            raise OSError(str(exc)) from exc
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, content


def main() -> None:
    """Entry point."""
    module = k8s_module(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    module.params["api_url"] = module.params["api_url"].rstrip("/")
    discord = Discord(module.params["api_url"], module.params["bot_token"], send)
    try:
        # kubernetes.core's wrapper hides whether the task has no_log.
        hidden = bool(getattr(getattr(module, "_module", module), "no_log", False))
        result = WebhookRun(module, lambda: Cluster(module), discord, hidden=hidden).result()
    except PlatformError as exc:  # the only place where an error becomes a failed task
        module.fail_json(msg=str(exc), **exc.details)
    else:
        module.exit_json(**result)


if __name__ == "__main__":
    main()

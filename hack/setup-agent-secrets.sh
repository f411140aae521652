#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# The credentials of one agent, by the playbook orchestrator.platform.agent_secrets. `setup-agent-secrets.sh --help` says
# how. What the user has given reaches the playbook in the environment alone: no argument of a child holds it, and what
# stands there is never taken for a template or a piece of shell.
set +o xtrace # the token would be in the trace
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: setup-agent-secrets.sh --user USER --ssh-key FILE (--token-file FILE | --token - | --token TOKEN)
                              [--namespace NAMESPACE] [--dry-run] [--verbose]

Writes the Secrets github-ssh-USER (ssh-privatekey, ssh-publickey) and github-token-USER (token), from which the runs of
that GitHub user take their credentials. A second run replaces what has changed and leaves the rest.

  --user USER            GitHub user, in small letters, as spec.githubUser of the runs names it
  --ssh-key FILE         private SSH key without passphrase; its public key is FILE.pub
  --token-file FILE      file with the personal access token (it needs the right `repo`)
  --token -              the same from standard input: gh auth token | setup-agent-secrets.sh … --token -
  --token TOKEN          the token itself, which everybody on this machine can then read in the list of processes
  --namespace NAMESPACE  namespace of the runs (default: orchestrator)
  --dry-run              say what would be written, and write nothing
  --verbose              more of what Ansible does, still without a value
  --help                 this text

The cluster is that of KUBECONFIG, or of ~/.kube/config, in its current context. Line breaks at the end of the token are
taken off. Status 1: the options are not right; any other: the playbook says why.
TEXT
}

refuse() {
  printf 'error: %s See --help.\n' "$1" >&2
  exit 1
}

user="" ssh_key="" token="" token_source="" namespace=orchestrator
flags=()

# one_token OPTION : a second source for the token is a mistake, not the last word.
one_token() {
  [[ -z $token_source ]] || refuse "$token_source and $1 are both given: one token is enough."
  token_source=$1
}

while (($#)); do
  option=$1
  shift
  case $option in
  --user | --ssh-key | --token | --token-file | --namespace)
    [[ $# -gt 0 && -n $1 && $1 != --* ]] || refuse "$option needs a value."
    value=$1
    shift
    case $option in
    --user) user=$value ;;
    --ssh-key) ssh_key=$value ;;
    --namespace) namespace=$value ;;
    --token)
      one_token --token
      token=$value
      ;;
    --token-file)
      one_token --token-file
      [[ -f $value && -r $value ]] || refuse "--token-file $value is no file that can be read."
      token=$(<"$value")
      ;;
    esac
    ;;
  --dry-run) flags+=(--check --diff) ;;
  --verbose) flags+=(-vv) ;;
  --help)
    usage
    exit 0
    ;;
  --*=*) refuse "${option%%=*} takes its value as the next argument, without an equals sign." ;;
  # What is not known may be a token in the wrong place: only options are repeated.
  -*) refuse "${option%%=*} is no option of this script." ;;
  *) refuse "there is an argument too many, which belongs to no option." ;;
  esac
done

[[ -n $user ]] || refuse "--user is missing: the GitHub user."
[[ -n $ssh_key ]] || refuse "--ssh-key is missing: the file of the private key."
[[ -n $token_source ]] || refuse "the token is missing: --token-file FILE, or --token - for standard input."

if [[ $token_source == --token && $token == - ]]; then
  if [[ -t 0 ]]; then
    IFS= read -r -s -p "GitHub token of $user (not shown): " token
    echo >&2
  else
    token=$(cat)
  fi
elif [[ $token_source == --token ]]; then
  echo "warning: a token among the arguments can be read by everybody on this machine, and your shell may keep it:" \
    "--token-file FILE or --token - is better." >&2
fi
[[ -n $token ]] || refuse "the token is empty."

# In a checkout the collection is found by its link, in an installation where it stands.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
collections=$root/.ansible/collections
[[ $root == */ansible_collections/orchestrator/platform ]] && collections=${root%/ansible_collections/*}
if [[ -x $root/.venv/bin/ansible-playbook ]]; then
  PATH=$root/.venv/bin:$PATH
fi
command -v ansible-playbook >/dev/null || refuse "ansible-playbook is not in PATH: install ansible-core."

[[ $ssh_key == /* ]] || ssh_key=$PWD/$ssh_key
export AGENT_USER=$user AGENT_SSH_KEY=$ssh_key AGENT_NAMESPACE=$namespace AGENT_TOKEN=$token
export ANSIBLE_COLLECTIONS_PATH=$collections:${ANSIBLE_COLLECTIONS_PATH:-$HOME/.ansible/collections:/usr/share/ansible/collections}
export ANSIBLE_LOCALHOST_WARNING=false

exec ansible-playbook --inventory localhost, orchestrator.platform.agent_secrets "${flags[@]}" --extra-vars '{
  "platform_hosts": "localhost",
  "secrets_agents_namespace": "{{ lookup(\"ansible.builtin.env\", \"AGENT_NAMESPACE\") }}",
  "secrets_agents": [{
    "user": "{{ lookup(\"ansible.builtin.env\", \"AGENT_USER\") }}",
    "ssh_private_key_file": "{{ lookup(\"ansible.builtin.env\", \"AGENT_SSH_KEY\") }}",
    "token_env": "AGENT_TOKEN"
  }]
}'

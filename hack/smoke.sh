#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# The chart's smoke test, the same on a laptop and in .github/workflows/helm-ci.yml. `smoke.sh --help` says how.
# Secrets travel in files that only their owner can read, never in an argument; nothing that is kept holds them.
set -euo pipefail
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

steps=(render cluster images install sample ready health resources scope)
chart=$checkout/charts/discord-monitor
sample_chart=$checkout/tests/charts/fixtures/smoke
demo_chart=$checkout/charts/demo
prd_values=$chart/ci/prd-values.yaml
state=$checkout/.ansible/smoke # what one step leaves for the next
release="discord-monitor"      # contains the chart's name, so it is the name of all objects
wait_s=180                     # longest wait for a rollout; a warm one takes 20 s
kubernetes=1.36.0              # helm built from its module takes itself for one of Kubernetes 1.20

usage() {
  cat <<TEXT
Usage: hack/smoke.sh [--kubeconfig FILE] [--artifacts DIR] [--keep] [STEP...]

Renders and validates the chart, then installs it on a kind cluster with a sample Deployment that includes the sidecar,
and checks health, resources and the scope of the Secrets. A fake Discord stands in for the real one. Ends with "N passed, N failed".

  --kubeconfig FILE  use this cluster, in three namespaces of our own, instead of making one; it is kept
  --artifacts DIR    where to put manifests, validation report and, after a failure, pods, events and logs
                     (default: .ansible/smoke/artifacts)
  --keep             leave everything as it is at the end; \`hack/smoke.sh clean\` removes it
  --help             this text

Without STEP all steps run and everything is removed again, after a failure too. With steps only these run, and nothing
is removed: ${steps[*]}, collect (write the artifacts now), clean.
TEXT
}

refuse() {
  echo "error: $1" >&2
  exit 2
}

# --- counting -------------------------------------------------------------------------------------------------------

passed=0
failed=0

# check SENTENCE COMMAND... : counts; what the command printed is shown when it fails. Its status is that of the command.
check() {
  local sentence=$1 out status=0
  shift
  out=$("$@" 2>&1) || status=$?
  if [[ $status == 0 ]]; then
    passed=$((passed + 1))
    printf 'pass  %s\n' "$sentence"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$sentence"
    redact <<<"${out:-(no output)}" | tail -n 20 | sed 's/^/      /'
  fi
  return "$status"
}

# must: a check without which the later ones mean nothing.
must() {
  check "$@" || exit 1
}

# Replaces the credentials of this run, plain and in base64, in what is shown or kept.
redact() {
  local line file value
  local -a values=()
  for file in "$state"/secrets/*; do
    [[ -f $file ]] && values+=("$(<"$file")" "$(base64 --wrap=0 "$file")")
  done
  while IFS= read -r line || [[ -n $line ]]; do
    for value in "${values[@]}"; do
      line=${line//"$value"/<redacted>}
    done
    printf '%s\n' "$line"
  done
}

# --- steps ----------------------------------------------------------------------------------------------------------

step_render() {
  mkdir -p "$artifacts"
  must "DM-172 the chart passes helm lint" helm lint --strict "$chart" --values "$prd_values"
  must "DM-173 the chart renders with the PRD's values" render "$artifacts/manifests.yaml"
  must "DM-174 the manifests pass kubeconform, strictly" validate "$artifacts/manifests.yaml" "$artifacts/validation.txt"
}

render() {
  helm template "$release" "$chart" --kube-version "$kubernetes" --namespace "$release" --values "$prd_values" > "$1"
}

validate() {
  python3 "$checkout/hack/validate_manifests.py" "$1" > "$2" 2>&1 || {
    cat "$2"
    return 1
  }
}

step_cluster() {
  if [[ $own_cluster == true ]]; then
    must "DM-175 a kind cluster is made" kind_cluster present
  fi
  must "the cluster answers" kubectl get --raw /readyz
}

# The role, as everybody calls it; its own output is long and only shown when it fails.
kind_cluster() {
  ansible localhost --connection local --module-name ansible.builtin.include_role \
    --args name=orchestrator.platform.kind_cluster \
    --extra-vars "{\"kind_cluster_state\": \"$1\", \"kind_cluster_name\": \"$cluster\", \"kind_cluster_kubeconfig\": \"$KUBECONFIG\"}"
}

# Builds the images and loads them where the cluster is one of kind; elsewhere the chart's own names have to do.
step_images() {
  if [[ -z $cluster ]]; then
    echo "note  not a cluster of kind: it has to know the images that the chart names"
    return
  fi
  must "DM-185 the images are built and loaded" build_images
}

build_images() {
  local spec
  spec=$(python3 - "$cluster" "$checkout/runtime" <<'PYTHON'
import json
import sys

cluster, context = sys.argv[1:]
names = ("discord-monitor", "platform-demo")
print(json.dumps({"cluster": cluster, "images": [{"name": n, "target": n, "context": context} for n in names]}))
PYTHON
  )
  "$checkout/tools/toolbox" images "$spec" > "$state/images.json"
}

# The tag of one of our images as it was loaded; the chart's own version where nothing was.
tag_of() {
  python3 - "$1" "$state/images.json" <<'PYTHON'
import json
import pathlib
import sys

name, file = sys.argv[1], pathlib.Path(sys.argv[2])
images = json.loads(file.read_text())["images"] if file.exists() else []
print(*[image["reference"].rpartition(":")[2] for image in images if image["name"] == name])
PYTHON
}

step_install() {
  must "the namespaces are there" make_namespaces
  must "a fake Discord is there" install_discord
  new_secrets
  must "the Secrets are there before the chart" make_secrets
  must "DM-176 helm installs the chart" install_chart
}

# Credentials of this run: of the real form, for the fake Discord only.
new_secrets() {
  mkdir -p "$state/secrets"
  [[ -f $state/secrets/token ]] || printf 'smoke.%s' "$(random 24)" > "$state/secrets/token"
  [[ -f $state/secrets/url ]] || printf '%s/webhooks/1/%s' "$(discord_api)" "$(random 48)" > "$state/secrets/url"
}

random() {
  head --bytes="$1" /dev/urandom | base64 --wrap=0 | tr '+/' '-_'
}

discord_api() {
  printf 'http://%s.%s:8081/api/v10' "$(discord_service)" "$discord"
}

discord_service() {
  kubectl get services --namespace "$discord" --selector=app.kubernetes.io/component=fake-discord \
    --output=jsonpath='{.items[0].metadata.name}'
}

make_namespaces() {
  local name
  for name in "$monitor" "$agents" "$discord"; do
    printf '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "%s", "labels": {"%s": "smoke"}}}\n' \
      "$name" app.kubernetes.io/managed-by | kubectl apply --server-side --field-manager=smoke --filename=- || return
  done
}

make_secrets() {
  make_secret "$monitor" discord-monitor-bot BOT_TOKEN token && make_secret "$agents" discord-secrets DISCORD_WEBHOOK_URL url
}

# make_secret NAMESPACE NAME KEY FILE
make_secret() {
  kubectl create secret generic "$2" --namespace "$1" --from-file="$3=$state/secrets/$4" --dry-run=client --output=json |
    kubectl apply --server-side --field-manager=smoke --filename=-
}

install_discord() {
  helm upgrade --install demo "$demo_chart" --namespace "$discord" --set deployment.enabled=false,job.enabled=false \
    --set-string "image.tag=$(tag_of platform-demo)"
}

install_chart() {
  local tag
  tag=$(tag_of discord-monitor)
  helm upgrade --install "$release" "$chart" --namespace "$monitor" --values "$prd_values" \
    --set-string "bot.discordApiUrl=$(discord_api)" \
    --set-string "images.watcher.tag=$tag,images.bot.tag=$tag,images.inputBridge.tag=$tag"
}

step_sample() {
  must "DM-177 a Deployment that includes the sidecar is there" install_sample
}

install_sample() {
  local tag agent_tag
  tag=$(tag_of discord-monitor)
  agent_tag=$(tag_of platform-demo)
  helm upgrade --install sample "$sample_chart" --namespace "$agents" --values /dev/stdin <<YAML
image: platform-demo:${agent_tag:-0.1.0}
discord-monitor: {images: {watcher: {tag: "$tag"}}}
YAML
}

step_ready() {
  must "the fake Discord becomes ready" rollout "$discord"
  must "DM-178 the bot becomes ready" rollout "$monitor"
  must "DM-178 the sample becomes ready, sidecar included" rollout "$agents"
}

rollout() {
  kubectl rollout status deployment --namespace "$1" --timeout="${wait_s}s"
}

step_health() {
  check "DM-179 the bot answers on /healthz" healthz "$monitor" "service/$release" || true
  check "DM-179 the sidecar answers on /healthz" healthz "$agents" "pod/$(sample_pod)" || true
  check "DM-164 what the sample writes arrives in the fake Discord" arrived || true
}

# Asks until a message is there, for 30 s: the watcher polls ten times a second and sends at once.
arrived() {
  local path deadline=$((SECONDS + 30)) answer=""
  path=/api/v1/namespaces/$discord/services/$(discord_service):8081/proxy/messages
  until [[ $answer == *'"embeds"'* ]]; do
    if ((SECONDS > deadline)); then
      echo "nothing within 30 s: ${answer:0:500}"
      return 1
    fi
    answer=$(kubectl get --raw "$path") || return
  done
}

sample_pod() {
  kubectl get pods --namespace "$agents" --selector=app=sample --field-selector=status.phase=Running \
    --output=jsonpath='{.items[0].metadata.name}'
}

# healthz NAMESPACE TARGET : asks port 8080 through a port-forward on a free local port.
healthz() {
  local forward pid line port="" status=0
  exec {forward}< <(exec kubectl port-forward --namespace "$1" --address 127.0.0.1 "$2" :8080 2>&1)
  pid=$!
  while IFS= read -r -t 30 -u "$forward" line; do
    [[ $line =~ 127\.0\.0\.1:([0-9]+) ]] && port=${BASH_REMATCH[1]} && break
    echo "$line"
  done
  curl --noproxy '*' --silent --show-error --fail-with-body --max-time 5 "http://127.0.0.1:${port:-0}/healthz" || status=$?
  kill "$pid" 2>/dev/null || true
  exec {forward}<&-
  return "$status"
}

step_resources() {
  check "DM-180 the bot has the specified resources" has_resources "$monitor" bot 20m 64Mi 200m 128Mi || true
  check "DM-180 the watcher has the specified resources" has_resources "$agents" discord-watcher 10m 32Mi 100m 64Mi || true
}

# has_resources NAMESPACE CONTAINER REQUEST_CPU REQUEST_MEMORY LIMIT_CPU LIMIT_MEMORY : in every running pod that has it.
has_resources() {
  local found list
  for list in containers initContainers; do
    found+=$(kubectl get pods --namespace "$1" --field-selector=status.phase=Running --output=jsonpath="{range .items[*].spec.${list}[?(@.name==\"$2\")].resources}{.requests.cpu} {.requests.memory} {.limits.cpu} {.limits.memory}{\"\\n\"}{end}")
  done
  [[ $(sort --unique <<<"$found") == "$3 $4 $5 $6" ]] || {
    echo "expected $3 $4 $5 $6, found: ${found:-no such container}"
    return 1
  }
}

step_scope() {
  check "DM-181 only the bot reads the bot token, only the watcher the webhook" only_known_readers || true
  check "DM-181 each Secret is Opaque and in its own namespace only" placed_apart || true
  check "DM-188 neither the agents' account nor anybody without one can read Secrets" closed_to_others || true
  check "DM-166 the watcher's environment has no name of a bot token" no_token_in_watcher || true
  check "DM-149 no log, release, ConfigMap or pod holds a credential" no_credential_in_sight || true
}

only_known_readers() {
  local found expected
  found=$(for ns in "$monitor" "$agents"; do kubectl get pods --namespace "$ns" --output=json | python3 "$checkout/hack/secret_refs.py" || exit; done)
  expected=$(printf '%s\n' "$monitor bot discord-monitor-bot" "$agents discord-watcher discord-secrets")
  [[ $found == "$expected" ]] || {
    printf 'expected:\n%s\nfound:\n%s\n' "$expected" "$found"
    return 1
  }
}

placed_apart() {
  local found
  found=$(for ns in "$monitor" "$agents"; do
    kubectl get secrets --namespace "$ns" --field-selector=type!=helm.sh/release.v1 \
      --output=jsonpath='{range .items[*]}{.metadata.namespace} {.metadata.name} {.type}{"\n"}{end}' || exit
  done)
  [[ $found == "$monitor discord-monitor-bot Opaque"$'\n'"$agents discord-secrets Opaque" ]] || {
    printf 'found:\n%s\n' "$found"
    return 1
  }
}

closed_to_others() {
  local ns who
  for ns in "$monitor" "$agents"; do
    for who in "system:serviceaccount:$agents:default" system:anonymous; do
      if [[ $(may_read_secrets "$ns" "$who") != false ]]; then
        echo "$who can read Secrets in $ns, or the API server did not say"
        return 1
      fi
    done
  done
}

# may_read_secrets NAMESPACE USER : true or false, as the API server decides it; asks, writes nothing.
may_read_secrets() {
  local group=system:authenticated
  [[ $2 == system:anonymous ]] && group=system:unauthenticated
  kubectl create --filename=- --output=jsonpath='{.status.allowed}' <<JSON
{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "$2", "groups": ["$group"],
 "resourceAttributes": {"namespace": "$1", "verb": "get", "resource": "secrets"}}}
JSON
}

no_token_in_watcher() {
  local names
  names=$(kubectl exec --namespace "$agents" "$(sample_pod)" --container discord-watcher -- cat /proc/1/environ |
    tr '\0' '\n' | cut --delimiter== --fields=1) || return
  [[ $names == *DISCORD_WEBHOOK_URL* && ! $names =~ BOT_ ]] || {
    printf 'found:\n%s\n' "$names"
    return 1
  }
}

# Names the place only. The search would pass for want of anything to find if the credentials were not there.
no_credential_in_sight() {
  local file bad=0 folder=$state/sight
  [[ -s $state/secrets/token && -s $state/secrets/url ]] || return
  for file in token url; do
    cat "$state/secrets/$file"
    echo
    base64 --wrap=0 "$state/secrets/$file"
    echo
  done > "$state/patterns"
  sed --quiet 's#^http.*/##p' "$state/secrets/url" >> "$state/patterns" # the part that is the credential
  rm -rf "$folder"
  gather "$folder" cat || return
  for file in "$folder"/*; do
    grep --quiet --fixed-strings --file="$state/patterns" "$file" && echo "found in ${file##*/}" && bad=1
  done
  return "$bad"
}

# --- artifacts and removal ------------------------------------------------------------------------------------------

# gather FOLDER FILTER : pods, events, logs, releases, ConfigMaps of the namespaces of bot and sample; never a Secret.
gather() {
  local ns pod folder=$1 filter=$2
  mkdir -p "$folder"
  for ns in "$monitor" "$agents"; do
    kubectl get pods,deployments,replicasets,services --namespace "$ns" --output=wide 2>&1 | "$filter" > "$folder/$ns-objects.txt"
    kubectl get configmaps --namespace "$ns" --output=yaml 2>&1 | "$filter" > "$folder/$ns-configmaps.yaml"
    kubectl describe pods --namespace "$ns" 2>&1 | "$filter" > "$folder/$ns-pods.txt"
    kubectl get events --namespace "$ns" --sort-by=.lastTimestamp 2>&1 | "$filter" > "$folder/$ns-events.txt"
    for pod in $(kubectl get pods --namespace "$ns" --output=name); do
      kubectl logs --namespace "$ns" "$pod" --all-containers --prefix --tail=-1 2>&1 | "$filter" > "$folder/$ns-${pod#pod/}.log"
    done
  done
  helm get all "$release" --namespace "$monitor" 2>&1 | "$filter" > "$folder/release-$release.txt" || true
  helm get all sample --namespace "$agents" 2>&1 | "$filter" > "$folder/release-sample.txt" || true
}

step_collect() {
  [[ -f $KUBECONFIG ]] || return 0
  kubectl get --raw /readyz > /dev/null 2>&1 || return 0
  gather "$artifacts" redact || true
  echo "note  pods, events and logs: $artifacts"
}

step_clean() {
  if [[ $own_cluster == true ]]; then
    kind_cluster absent > "$state/clean.log" 2>&1 || {
      redact < "$state/clean.log" | tail -n 20 >&2
      echo "error: the cluster $cluster could not be removed; run hack/smoke.sh clean again." >&2
      return 1
    }
  else
    kubectl delete namespace "$monitor" "$agents" "$discord" --ignore-not-found --timeout="${wait_s}s" > /dev/null || return
  fi
  # The artifacts stay: they are what one wants to read afterwards.
  rm -rf "$state/secrets" "$state/patterns" "$state/sight" "$state/images.json" "$state/run" "$state/clean.log"
}

# At the end, however it comes.
finish() {
  local status=$?
  trap - EXIT INT TERM
  [[ $status != 0 && $failed == 0 ]] && failed=1
  [[ $failed != 0 ]] && step_collect
  if [[ $whole == true && $keep == false ]]; then
    step_clean || failed=$((failed + 1))
  fi
  printf '%s passed, %s failed\n' "$passed" "$failed"
  [[ $failed == 0 ]] || exit $((status ? status : 1))
  exit 0
}

# --- command line ---------------------------------------------------------------------------------------------------

kubeconfig=""
artifacts=$state/artifacts
keep=false
wanted=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --help) usage && exit 0 ;;
    --keep) keep=true ;;
    --kubeconfig | --artifacts)
      [[ $# -gt 1 && -n $2 ]] || refuse "$1 needs a value: see hack/smoke.sh --help."
      if [[ $1 == --kubeconfig ]]; then kubeconfig=$2; else artifacts=$(realpath --canonicalize-missing "$2"); fi
      shift
      ;;
    -*) refuse "there is no option $1: see hack/smoke.sh --help." ;;
    *)
      [[ " ${steps[*]} collect clean " == *" $1 "* ]] || refuse "there is no step $1: see hack/smoke.sh --help."
      wanted+=("$1")
      ;;
  esac
  shift
done
[[ -z $kubeconfig || -f $kubeconfig ]] || refuse "--kubeconfig names $kubeconfig, which is not a file."

cd "$checkout"
mkdir -p "$state"
chmod 700 "$state" # the credentials of the run lie in it; a umask would reach into what the tools build
for program in python3 curl base64; do
  command -v "$program" > /dev/null || refuse "$program is missing: install it and run again."
done
[[ -x $checkout/.venv/bin/ansible ]] || "$checkout/hack/venv" >&2
PATH=$checkout/.venv/bin:$PATH
export ANSIBLE_COLLECTIONS_PATH=$checkout/.ansible/collections
tools=$("$checkout/tools/toolbox" path)
PATH=$tools:$PATH

# Two runs on one machine must not meet: the name of the cluster comes from the checkout, that of the namespaces from the run.
[[ -s $state/run ]] || head --bytes=3 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$state/run"
run=$(<"$state/run")
monitor=smoke-$run-monitor
agents=smoke-$run-agents
discord=smoke-$run-discord
if [[ -n $kubeconfig ]]; then
  own_cluster=false
  KUBECONFIG=$(realpath "$kubeconfig")
  context=$(kubectl --kubeconfig "$KUBECONFIG" config current-context 2>/dev/null || true)
  cluster=""
  [[ $context == kind-* ]] && cluster=${context#kind-}
else
  own_cluster=true
  KUBECONFIG=$state/kubeconfig
  cluster=orch-smoke-$(printf '%s' "$checkout" | sha1sum | cut --characters=1-8)
fi
export KUBECONFIG
# A host with credentials in the caller's environment would win over the kubeconfig.
for name in ${!K8S_AUTH_@} ${!HELM_KUBE@}; do unset "$name"; done

whole=false
if [[ ${#wanted[@]} == 0 ]]; then
  whole=true
  wanted=("${steps[@]}")
fi
if [[ ${wanted[*]} == clean ]]; then
  step_clean
  exit
fi
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
for step in "${wanted[@]}"; do
  printf -- '----  %s\n' "$step"
  "step_$step"
done

# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
"""The GitHub workflows hold the steps the requirements name (DM-171…DM-185), pinned and with the least rights."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ["ci.yml", "helm-ci.yml"]

# Requirement -> what a command or a used action of helm-ci.yml has to match, on one line.
STEPS = {
    "DM-172": r"helm lint .*charts/discord-monitor\b",
    "DM-173": r"helm template .*charts/discord-monitor .*--values \S+/ci/prd-values\.yaml > artifacts/manifests\.yaml",
    "DM-174": r"hack/validate_manifests\.py artifacts/manifests\.yaml",
    "DM-175": r"hack/smoke\.sh .*\bcluster$",
    "DM-176": r"hack/smoke\.sh .*\binstall$",
    "DM-177": r"hack/smoke\.sh .*\bsample$",
    "DM-178": r"hack/smoke\.sh .*\bready$",
    "DM-179": r"hack/smoke\.sh .*\bhealth$",
    "DM-180": r"hack/smoke\.sh .*\bresources$",
    "DM-181": r"hack/smoke\.sh .*\bscope$",
    "DM-183": r"actions/upload-artifact@",
    "DM-184": r"actions/cache@",
    "DM-185": r"hack/smoke\.sh .*\bimages$",
}


def load(name: str) -> dict:
    """A workflow; its key `on` is read as text, which YAML 1.1 would turn into true."""
    return yaml.load((FOLDER / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def steps(name: str) -> list[dict]:
    return [step for job in load(name)["jobs"].values() for step in job["steps"]]


def lines(step: dict) -> list[str]:
    return [*step.get("run", "").splitlines(), step.get("uses", "")]


def tagged(name: str, requirement: str) -> list[dict]:
    """Steps whose name bears the requirement."""
    return [step for step in steps(name) if requirement in step.get("name", "")]


def test_the_chart_has_a_workflow_of_that_name():
    """DM-171."""
    assert (FOLDER / "helm-ci.yml").is_file()


@pytest.mark.parametrize(("requirement", "pattern"), STEPS.items())
def test_step_is_there(requirement, pattern):
    """DM-172…DM-185: a step does it, not only a step that is called so."""
    doing = [step for step in steps("helm-ci.yml") if any(re.search(pattern, line) for line in lines(step))]
    assert doing, f"no step matches {pattern}"


@pytest.mark.parametrize("requirement", [each for each in STEPS if each not in {"DM-184"}])
def test_step_bears_its_requirement(requirement):
    """Who reads a red run sees which requirement broke."""
    found = tagged("helm-ci.yml", requirement)
    assert found
    assert any(re.search(STEPS[requirement], line) for step in found for line in lines(step))


def test_cluster_steps_come_in_the_order_of_the_script():
    """DM-175…DM-182: the workflow runs every step of hack/smoke.sh but the rendering, which has a job of its own."""
    script = (ROOT / "hack" / "smoke.sh").read_text(encoding="utf-8")
    known = re.search(r"^steps=\((.+)\)$", script, re.MULTILINE)[1].split()
    runs = [
        step["run"].split()[-1]
        for step in load("helm-ci.yml")["jobs"]["smoke"]["steps"]
        if "smoke.sh" in step.get("run", "")
    ]
    assert runs == [*(each for each in known if each != "render"), "clean"]


def test_cluster_is_removed_whatever_happens():
    """A failed run leaves nothing; the artifacts are taken before that."""
    job = load("helm-ci.yml")["jobs"]["smoke"]["steps"]
    assert job[-1]["if"] == "${{ always() }}"
    assert job[-1]["run"] == "hack/smoke.sh clean"
    assert job[-2]["if"] == "${{ failure() }}"
    assert "upload-artifact" in job[-2]["uses"]


def test_chart_tests_are_those_of_make():
    """DM-168…DM-170 run in CI by the command a laptop has."""
    assert any(step.get("run") == "make charts" for step in steps("helm-ci.yml"))


def test_ci_runs_the_readme_command_on_the_derived_matrix():
    """D15: the rows come from the metadata, no workflow names an ansible-core."""
    jobs = load("ci.yml")["jobs"]
    assert "hack/ci_matrix.py" in jobs["matrix"]["steps"][-1]["run"]
    assert jobs["test"]["strategy"]["matrix"] == "${{ fromJSON(needs.matrix.outputs.rows) }}"
    assert "bash .ci/run" in [step.get("run") for step in jobs["test"]["steps"]]
    assert not re.search(r"ansible-core[=~<> ]*2\.\d", (FOLDER / "ci.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_with_their_version(name):
    """DM-185: a tag can be moved, a commit cannot."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    uses = re.findall(r"^\s*uses: (.+)$", text, re.MULTILINE)
    assert uses
    assert [each for each in uses if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_both_workflows_use_the_same_commits():
    """One place would be better; until then both are held equal."""
    pins = {}
    for name in NAMES:
        for action, commit in re.findall(r"uses: (\S+)@([0-9a-f]{40})", (FOLDER / name).read_text(encoding="utf-8")):
            pins.setdefault(action, set()).add(commit)
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_rights_are_the_least(name):
    """Reads the repository and nothing else; the checkout leaves no credential behind."""
    workflow = load(name)
    assert workflow["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in workflow["jobs"].values())
    checkouts = [step for step in steps(name) if "actions/checkout@" in step.get("uses", "")]
    assert {step["with"]["persist-credentials"] for step in checkouts} == {"false"}
    assert "secrets." not in (FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_runs_are_bounded(name):
    """A hanging run ends, and a newer push to a pull request ends the older run."""
    workflow = load(name)
    assert workflow["concurrency"]["group"]
    assert [key for key, job in workflow["jobs"].items() if not 0 < int(job.get("timeout-minutes", 0)) <= 90] == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_hold_no_expression(name):
    """An expression inside a command is a way in for whoever names a branch; values travel by env."""
    assert [step["name"] for step in steps(name) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("name", NAMES)
def test_named_files_exist(name):
    """What a command calls is in the repository."""
    text = " ".join(line for step in steps(name) for line in lines(step))
    called = set(re.findall(r"(?<![\w./])((?:hack|tools|charts|\.ci)/[\w./-]+)", text))
    assert called
    assert [path for path in called if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("argument", "sentence"), [
    ("--cluster", "there is no option --cluster"),
    ("everything", "there is no step everything"),
    ("--kubeconfig", "--kubeconfig needs a value"),
])  # fmt: skip
def test_smoke_refuses_what_it_does_not_know(argument, sentence):
    """DM-182: one sentence, and nothing has been started."""
    done = subprocess.run([ROOT / "hack" / "smoke.sh", argument], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_smoke_refuses_a_kubeconfig_that_is_none(tmp_path):
    """An own cluster is never made in place of the one that was named."""
    argv = [ROOT / "hack" / "smoke.sh", "--kubeconfig", tmp_path / "none"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "which is not a file" in done.stderr


def test_smoke_explains_itself():
    """DM-182."""
    done = subprocess.run([ROOT / "hack" / "smoke.sh", "--help"], capture_output=True, text=True, check=True)
    assert all(word in done.stdout for word in ("--kubeconfig", "--artifacts", "--keep", "clean"))

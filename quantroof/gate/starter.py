"""The files that `quantroof gate init` writes: a suite, a policy, and a workflow for CI."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from quantroof.bench.suite import SCHEMA as SUITE_SCHEMA
from quantroof.gate.policy import SCHEMA
from quantroof.kernels.calls.call import Call
from quantroof.kernels.calls.toml import tables

Ci = Literal["github", "gitlab"]

SUITE_FILE, POLICY_FILE = "benchmarks.toml", "gate.toml"
CI_FILES: dict[Ci, str] = {
    "github": ".github/workflows/quantroof-gate.yml",
    "gitlab": ".gitlab/quantroof-gate.yml",
}

_SUITE = """# What the gate measures. Functions are relative to the folder where quantroof is started.
schema = "{schema}"
name = "gate"

[limits]
precision = 0.01
seconds_per_case = 0.5
"""
_POLICY = """# The policy of the gate: `quantroof gate` reads it.
schema = "{schema}"
relative = 0.01      # a confirmed slowdown below this does not fail
absolute_ns = 20     # nor one below this, however large a share it is

[run]
suite = "{suite}"
{base}processes = 3        # fresh processes per run; 5 have the error rates that docs/gate.md states
pairs = 10           # processes per side of a second measurement
baselines = "baselines"   # one file per kind of device, to be committed
"""
_GITHUB = """# A gate on a self-hosted runner with a GPU of its own, written by `quantroof gate init`.
name: quantroof gate
on: pull_request
permissions:
  contents: read
concurrency:
  group: quantroof-gate-${{ github.ref }}
  cancel-in-progress: true
jobs:
  gate:
    # A fork's code must not run on a machine of your own.
    if: github.event.pull_request.head.repo.full_name == github.repository
    runs-on: [self-hosted, gpu]
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0  # the base revision becomes a worktree
      - run: pip install -e . 'quantroof @ git+https://github.com/quantroof/quantroof'
      - env:
          BASE: origin/${{ github.base_ref }}  # a variable, so that a branch's name is never shell code
        run: quantroof gate --base "$BASE" --junit gate.xml --github
        # 0 pass, 1 slower, 3 environment invalid (run the job again elsewhere), 4 undecided
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: gate
          path: |
            runs/
            gate.xml
"""
_GITLAB = """# A gate on a GitLab runner with a GPU of its own, written by `quantroof gate init`.
# Add to .gitlab-ci.yml:   include: [{local: .gitlab/quantroof-gate.yml}]
quantroof-gate:
  stage: test
  tags: [gpu]
  resource_group: quantroof-gate  # one timed job at a time
  timeout: 60 minutes
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"  # the base revision becomes a worktree
  script:
    - pip install -e . 'quantroof @ git+https://github.com/quantroof/quantroof'
    - git fetch origin "$CI_MERGE_REQUEST_TARGET_BRANCH_NAME"
    - quantroof gate --base FETCH_HEAD --junit gate.xml --markdown gate.md
  retry:
    max: 1
    exit_codes: [3]  # environment invalid
  allow_failure:
    exit_codes: [4]  # undecided: shown as a warning
  artifacts:
    when: always
    paths: [runs/, gate.md]
    reports:
      junit: gate.xml
"""


def starter_files(calls: Sequence[Call], base: str | None, ci: Ci | None) -> dict[str, str]:
    """The text of every file by its path."""
    line = (
        f"base = {json.dumps(base)}    # a change is compared with where it left this branch\n"
        if base
        else ""
    )
    policy = _POLICY.format(schema=SCHEMA, suite=SUITE_FILE, base=line)
    suite = "\n".join([_SUITE.format(schema=SUITE_SCHEMA).rstrip("\n"), *tables(calls), ""])
    files = {SUITE_FILE: suite, POLICY_FILE: policy}
    if ci is not None:
        files[CI_FILES[ci]] = _GITHUB if ci == "github" else _GITLAB
    return files

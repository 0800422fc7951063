#!/usr/bin/env bash
# Slurm's Epilog: what did the job leave behind? Name this file as Epilog= in slurm.conf, on every GPU node, beside
# prolog.sh. It is the same check at the end of a job: Slurm drains the node for any exit code but 0. GPUs that
# another job still uses are not measured, and do not drain the node.
set -u
QUANTROOF_PROLOG_OPTIONS=${QUANTROOF_EPILOG_OPTIONS:-} exec bash "$(dirname "${BASH_SOURCE[0]}")/prolog.sh"

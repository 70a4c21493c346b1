# The same one-word commands for people and for CI. Each sets up what it needs in .venv,
# with the versions of constraints.txt, and does nothing when that is there already.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check faults faults-long faults-of-checkpoints tape gallery \
	bench bench-all bench-tape accuracy format clean

PYTHON ?= python3
BACKEND ?= jax
VENV := .venv
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# The extra `ownloop[tensorflow]` names `tensorflow`, which is right for users: with it
# come GPU and TPU support. Here the smaller build of the same release is enough. Both
# put their files in one place, so only one of them may ever be in .venv.
package_jax := jax
package_tensorflow := tensorflow-cpu
package_torch := torch
BACKENDS := jax tensorflow torch
WORKLOADS := digits digits-512 cnn gru transformer autoencoder

# Tests that know no framework, or to which it is all the same: they run once, in the
# first backend's process. `make faults` kills runs on each backend, and `tests/guards`
# replay bad steps on each.
ONCE := tests/cli/test_arguments.py tests/cli/test_doctor.py tests/cli/test_main.py \
	tests/cli/test_replay.py \
	tests/cli/test_runs.py tests/cli/test_show.py tests/cli/test_verify.py tests/data \
	tests/checkpoints tests/examples/test_page.py tests/folder tests/history \
	tests/observers tests/test_clock.py tests/test_datasets.py tests/test_door.py \
	tests/faults/test_ends.py tests/test_events.py tests/test_whole.py \
	tests/test_machine.py tests/test_atomic_write.py tests/test_shown.py \
	tests/laws/test_nothing_goes_stale.py tests/loop/test_changes.py \
	tests/loop/test_bisection.py tests/loop/test_continuation.py \
	tests/loop/test_continuation_of_flags.py tests/loop/test_interrupts.py \
	tests/loop/test_expected.py tests/loop/test_keeping.py tests/loop/test_nonfinite.py \
	tests/loop/test_kept_here.py \
	tests/loop/test_resume_check.py tests/loop/test_run_files.py \
	tests/loop/test_run_folder.py tests/loop/test_saving.py tests/loop/test_shelf.py \
	tests/loop/test_signals.py tests/loop/test_streams.py \
	tests/loops/test_14_notebook.py \
	tests/resume/test_by_reference.py tests/resume/test_plain.py \
	tests/resume/test_return.py tests/resume/test_rounds.py \
	tests/resume/test_rounds_that_were_left.py tests/resume/test_shared_data.py \
	tests/resume/test_signals.py tests/resume/test_ways_through_a_loop.py \
	tests/resume/test_what_the_code_sees.py \
	tests/step/test_configs.py tests/step/test_flags.py tests/step/test_settings.py

# One Keras backend per process. No framework may chatter between the results, and the
# user's own GPU must not be filled by a suite that needs none of its memory.
# Three tests run at once on two cores, since many wait for a child; on PyTorch
# with a thread for each: threads that wait for each other are slower than none.
# The package is compiled once, since children that write nothing would each do it anew.
WORKERS ?= 3
COMPILED = $(BIN)/python -m compileall -q src
TEST_ENV = OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=2 TF_FORCE_GPU_ALLOW_GROWTH=true \
	XLA_PYTHON_CLIENT_PREALLOCATE=false MPLBACKEND=agg PYTHONDONTWRITEBYTECODE=1

help:
	@echo "make demo     train the handwritten digits (BACKEND=jax|tensorflow|torch)"
	@echo "make test     the tests; what hangs little on the backend takes turns on them"
	@echo "make test-all    every case of every test on every backend, in an hour or two"
	@echo "make check    format, lint, types, import contract"
	@echo "make faults   runs killed, asked to leave, and on disks that fail, in minutes"
	@echo "make faults-long  300 kills and more on each backend, and much else, in hours"
	@echo "make tape     the tape against TensorFlow's own, case by case"
	@echo "make gallery  the loops of examples/: what they learn, and that backends agree"
	@echo "make bench    seconds per epoch of the digits, next to hand-written loops"
	@echo "make bench-all   six workloads, start-up, memory, and cost as the work grows"
	@echo "make bench-tape  the tape next to jax.value_and_grad"
	@echo "make accuracy the job, three seeds, against a published run"
	@echo "make format   put the code into the form that make check wants"
	@echo "make clean    remove .venv, caches and runs"

demo: $(VENV)/.demo-$(BACKEND)
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/ownloop mnist --backend $(BACKEND) \
		--out runs/mnist-$(BACKEND) --resume $(ARGS)

# Every backend runs, also after a failure, and the closing lines stand together at the
# end. `make test BACKENDS=jax ARGS="-k every"` runs a part; with JOBS=2 two backends run
# at once, and each is heard of when it is done.
JOBS ?= 1
test: $(VENV)/.test
	@$(COMPILED)
	@failed=0; mkdir -p $(VENV)/log; \
	$(MAKE) --no-print-directory --keep-going --jobs $(JOBS) \
		$(if $(filter 1,$(JOBS)),,--output-sync) $(BACKENDS:%=test-on-%) || failed=1; \
	printf '\n'; \
	for backend in $(BACKENDS); do \
		printf '%-11s %s\n' "$$backend" "$$(tail -n 1 "$(VENV)/log/$$backend")"; \
	done; \
	exit $$failed

# Before a release: no test takes turns, and each case of the tape is compiled, too.
test-all:
	@TURNS=all CONFORMANCE=all $(MAKE) --no-print-directory test

# What pytest has rewritten is kept beside the tests, as everywhere.
test-on-%:
	@printf '\n===== tests on %s =====\n' "$*"
	@KERAS_BACKEND=$* $(TEST_ENV) PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest tests \
		-n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations 5 \
		$(if $(filter $(firstword $(BACKENDS)),$*),,$(ONCE:%=--ignore=%)) \
		$(ARGS) 2>&1 | tee "$(VENV)/log/$*"

# The cases run in `make test` as well. Here every one is compiled on TensorFlow and
# PyTorch, too, and a table says what passed, failed and was left out, and why.
tape: $(VENV)/.test
	@failed=0; mkdir -p $(VENV)/log; \
	for backend in $(BACKENDS); do \
		KERAS_BACKEND=$$backend CONFORMANCE=all $(TEST_ENV) $(BIN)/python -m pytest \
			-q --no-header --no-summary --junitxml=$(VENV)/log/tape-$$backend.xml \
			tests/tape/conformance $(ARGS) || failed=1; \
	done; \
	$(BIN)/python tests/tape/conformance/report.py \
		$(BACKENDS:%=$(VENV)/log/tape-%.xml) || failed=1; \
	exit $$failed

# Whole runs in child processes that are killed, and checkpoints on disks that fail. The
# tables are printed, and all counts written to faults-*.json in .venv/log, or in its
# `short`.
FAULTS = $(TEST_ENV) KERAS_BACKEND=$(firstword $(BACKENDS)) PYTHONPATH=src:tests \
	$(BIN)/python -m faults --workers 2
EVERYTHING = runs calls disk asked changed items overhead
# The short one is part of CI, as are the tests of all faults of checkpoints. In it
# PyTorch compiles nothing, since that alone would take a minute; what belongs to no
# framework is tried on one of them. All backends run at once, since a run that is
# killed waits as long as it works, and each prints when it is done.
faults: $(VENV)/.test
	@$(COMPILED)
	@$(MAKE) --no-print-directory --keep-going --output-sync \
		--jobs $(words $(BACKENDS)) $(BACKENDS:%=faults-on-%) \
		HOW='--kills 6 --stride 90 --rounds 1 --out $(VENV)/log/short' \
		parts_jax='runs calls' parts_tensorflow='runs calls' \
		parts_torch='runs asked items disk --eager'

# One after the other, since this one measures, too.
faults-long: $(VENV)/.test
	@$(MAKE) --no-print-directory --keep-going --jobs 1 \
		faults-of-checkpoints $(BACKENDS:%=faults-on-%) \
		HOW='--kills 320 --stride 1 --rounds 25' $(BACKENDS:%=parts_%='$(EVERYTHING)')

faults-of-checkpoints:
	@$(FAULTS)

faults-on-%:
	@$(FAULTS) --backend $* --parts $(parts_$*) $(HOW) $(ARGS)

gallery: $(VENV)/.test
	$(TEST_ENV) $(BIN)/python benchmarks/gallery.py --backends $(BACKENDS) $(ARGS)

bench-tape: $(VENV)/.test
	KERAS_BACKEND=jax $(BIN)/python benchmarks/tape.py $(ARGS)

check: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test
	$(BIN)/python benchmarks/field.py digits $(ARGS)

# All workloads and contenders, and what it costs to start, to remember and to grow.
bench-all: $(VENV)/.bench
	$(BIN)/python benchmarks/field.py --all $(WORKLOADS) $(ARGS)
	$(BIN)/python benchmarks/startup.py --backends $(BACKENDS)
	$(BIN)/python benchmarks/memory.py --backends $(BACKENDS)
	$(BIN)/python benchmarks/growth.py --backends $(BACKENDS)

accuracy: $(VENV)/.test
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/accuracy.py --backends $(BACKENDS) $(ARGS)

format: $(VENV)/.check
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# ------------------------------------------------------------------- what is installed

INPUTS := pyproject.toml constraints.txt

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "ownloop needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)."; \
		echo "Install a newer one, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-%: $(BIN)/python $(INPUTS)
	@[ -n "$(package_$*)" ] || { \
		echo "BACKEND=$* is unknown; expected one of: $(BACKENDS)."; \
		echo "Write, for example: make demo BACKEND=jax"; \
		exit 1; }
	$(PIP) $(package_$*) -e '.[plots,cli]'
	@touch $@

$(VENV)/.test: $(BIN)/python $(INPUTS)
	$(PIP) $(foreach backend,$(BACKENDS),$(package_$(backend))) -e '.[plots,cli,dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) lightning pytorch-ignite
	@touch $@

$(VENV)/.check: $(BIN)/python $(INPUTS)
	$(PIP) -e '.[dev]'
	@touch $@

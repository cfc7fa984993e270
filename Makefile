# make demo   the main job on real traffic, in network namespaces of its own (root)
# make quarantine  recognise devices by their first packets, and keep them in their share (root)
# make test   the whole test suite (root for all of it)
# make bench  the figures of docs/performance.md (root)
# make evaluate  how well models name what they have not seen: docs/classify-methods.md
# make models  the models that come with meshlens, from DATA=the folder of wifi_taxonomy
# make lint   style, types, layers
# make docs   docs/api.md from the docstrings, docs/wifi-statistics.md from the survey
# make recipes  what the commands in docs/recipes print, made anew (root)
# make clean  remove what the others made
#
# Each installs what it needs first; see tools/setup.

PYTHON = .venv/bin/python
PYTEST_ARGS = -n 2

# What is installed for which purpose: run, test or dev. A stamp says that it is done.
ready = .venv/.ready-$(1)

.PHONY: demo quarantine test bench evaluate models lint docs recipes clean

demo: $(call ready,run)
	$(PYTHON) examples/mesh-demo/run.py

quarantine: $(call ready,test)
	$(PYTHON) examples/iot-quarantine/run.py $(QUARANTINE_ARGS)

test: $(call ready,test)
	$(PYTHON) -m pytest $(PYTEST_ARGS)

bench: $(call ready,test)
	$(PYTHON) -m bench

evaluate: $(call ready,test)
	$(PYTHON) -m bench.evaluate

models: $(call ready,test)
	$(PYTHON) tools/models.py $(DATA)

lint: $(call ready,dev)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTHON) tools/layers.py

docs: $(call ready,run)
	$(PYTHON) tools/api_docs.py
	$(PYTHON) tools/wifi_docs.py

recipes: $(call ready,run)
	$(PYTHON) -m tools.recipes

.venv/.ready-%: pyproject.toml tools/setup
	@tools/setup $*
	@touch $@

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

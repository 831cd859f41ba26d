# Every target sets up what it needs first; see tools/setup.
.PHONY: run test check lint types tests test-core test-rest bench soak days blind chaos chaos-library cuts damage faults torn fuzz cards picture clean
PYTHON = .venv/bin/python

run:            ## a bus and a park turnstile, working; ARGS="--seconds 20 --json"
	@tools/setup base
	@$(PYTHON) -m terminal demo $(ARGS)

test:           ## the tests, in random order
	@tools/setup dev
	$(PYTHON) -m pytest $(ARGS)

check: lint types tests   ## everything a change must pass

lint:
	@tools/setup dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

types:
	@tools/setup dev
	$(PYTHON) -m mypy

# What judges the core runs with its coverage counted; counting costs too much where whole days are lived.
CORE = tests/core tests/stories
tests: test-core test-rest   ## in random order, with branch coverage of terminal/core at 100 %

test-core:
	@tools/setup dev
	$(PYTHON) -m pytest $(CORE) --cov --cov-report=term-missing:skip-covered $(ARGS)

test-rest:
	@tools/setup dev
	$(PYTHON) -m pytest $(CORE:%=--ignore=%) $(ARGS)

bench:          ## every benchmark; the last line is one JSON object
	@tools/setup dev
	@$(PYTHON) -m benchmarks all --json

soak:           ## does anything grow? MINUTES=30 at thirty taps a second, with trouble; one JSON object
	@tools/setup dev
	@$(PYTHON) -m benchmarks soak --json --minutes $(or $(MINUTES),30)

days:           ## simulated days: SEEDS=1-200, or PLANT=name (PLANT=list names them)
	@tools/setup dev
	@$(PYTHON) -m tests.days $(if $(SEEDS),--seeds $(SEEDS)) $(if $(PLANT),--plant "$(PLANT)")

blind:          ## what sees for a lane is killed, stopped and bombed: ROUNDS=100
	@tools/setup dev
	@$(PYTHON) -m tests.blinded --rounds $(or $(ROUNDS),100)

cuts:           ## power cuts and kill -9 under the running terminal: N=150, or PLANT=name; needs root
	@tools/setup dev
	@$(PYTHON) -m tests.rigs.cuts $(if $(N),--cuts $(N)) $(if $(PLANT),--plant "$(PLANT)")

damage:         ## flipped bits, cut, stale and swapped journal files: FLIPS=200, or PLANT=name
	@tools/setup dev
	@$(PYTHON) -m tests.rigs.damage $(if $(FLIPS),--flips $(FLIPS)) $(if $(PLANT),--plant "$(PLANT)")

faults:         ## system calls that fail, at every index of a tap, a receipt and a start; needs strace; PLANT=name
	@tools/setup dev
	@$(PYTHON) -m tests.rigs.faults $(if $(PLANT),--plant "$(PLANT)")

chaos:          ## records through a link that breaks in every way, both ends killed: RECORDS=20000, SEED, PLANT
	@tools/setup dev
	@$(PYTHON) -m tests.chaos $(if $(RECORDS),--records $(RECORDS)) $(if $(SEED),--seed $(SEED)) $(if $(PLANT),--plant "$(PLANT)")

chaos-library:  ## questions to library systems, ours and others', through a line that breaks: REQUESTS=1000, SEED, PLANT
	@tools/setup dev
	@$(PYTHON) -m tests.library_chaos $(if $(REQUESTS),--requests $(REQUESTS)) $(if $(SEED),--seed $(SEED)) $(if $(PLANT),--plant "$(PLANT)")

torn:           ## every way a card's purchase can be torn, and how many there are; or PLANT=name
	@tools/setup dev
	@$(PYTHON) -m tests.rigs.torn $(if $(PLANT),--plant "$(PLANT)")

fuzz:           ## every parser, SECONDS a target; by coverage where atheris has a wheel
	@tools/setup dev
	@$(PYTHON) -c "import atheris" 2>/dev/null || $(PYTHON) -m pip install -q --disable-pip-version-check --no-deps \
		--require-hashes -r requirements/fuzz.txt || echo "fuzz: atheris could not be installed" >&2
	@$(PYTHON) -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(TARGET),--target $(TARGET))

cards:          ## cards held out thousands of times, plugs pulled a hundred: what grew, as JSON; about ten minutes
	@tools/setup dev
	@$(PYTHON) -m tests.presentations $(ARGS)

.PHONY: voices screens
voices:         ## every phrase spoken by espeak-ng, in both languages, into voices/; `make run` plays them then
	@tools/setup dev
	@$(PYTHON) -m terminal voices voices

screens:        ## docs/screens/, every outcome in both languages, drawn by Chromium
	@tools/setup dev
	@$(PYTHON) -m tests.console.shots

picture:        ## docs/demo.svg, from a real run
	@tools/setup base
	@$(PYTHON) -m terminal demo --seconds 25 --json --svg docs/demo.svg

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build dist *.egg-info

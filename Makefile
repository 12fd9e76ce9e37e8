# aion: durable workflows inside PostgreSQL
#
# make, make install    build and install with PGXS (PG_CONFIG names the server)
# make installcheck     the suites that need no root, against what is installed
# make bench, demo, test
#                       set up everything on a fresh Debian machine, then do what they say
# make test-fresh       does so in minimal systems of two releases of Debian
# make test-long        runs the tests of processes with a hundred faults instead of a dozen, and all random code
# make test-majors      runs all suites with each major version of PostgreSQL that Debian carries
# make test-package     builds packages and images in minimal systems, installs and tests them
# make docs, dist       build the site of the documentation, and the archive of a release, in output/
# test/README.md tells how to run a single test.

EXTENSION = aion
MODULE_big = aion
EXTENSION_VERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" aion.control)

# State comes first, in this order; then whatever can be replaced at any time.
SCHEMA_PARTS = schema owner adoption deploy run count search event timer inbox signal activity task query schedule inspect
API_PARTS = $(sort $(wildcard sql/api/*.sql)) sql/privileges.sql
SQL_PARTS = $(SCHEMA_PARTS:%=sql/schema/%.sql) $(API_PARTS)
UPGRADES = $(sort $(wildcard sql/upgrade/*--$(EXTENSION_VERSION).sql))
ASSEMBLED_SQL = sql/aion--$(EXTENSION_VERSION).sql $(UPGRADES:sql/upgrade/%=sql/aion--%)
# As they were released: they are never changed, and every upgrade is tested from them.
RELEASED_SQL = sql/aion--0.1.0.sql

OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c)))
DATA = $(ASSEMBLED_SQL) $(RELEASED_SQL)
PG_CPPFLAGS = -Isrc -DAION_VERSION='"$(EXTENSION_VERSION)"'
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter $(AION_CFLAGS)
EXTRA_CLEAN = $(ASSEMBLED_SQL) output

REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_PREP = output/regress/expected output/isolation/expected
REGRESS_OPTS = --inputdir=test --outputdir=output/regress --load-extension=aion \
	--temp-instance=output/regress/instance --temp-config=test/aion.conf
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=output/isolation --load-extension=aion \
	--temp-instance=output/isolation/instance --temp-config=test/aion.conf
TAP_TESTS = 1
PROVE_TESTS = $(sort $(wildcard test/tap/*.pl))
PROVE_FLAGS = -I test/tap/lib

PG_CONFIG ?= pg_config

ifneq ($(shell command -v $(PG_CONFIG)),)
override autodepend = yes
PGXS := $(shell $(PG_CONFIG) --pgxs)
endif
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
all: $(ASSEMBLED_SQL)
else ifeq ($(filter bench demo dist docs test test-% check-style,$(MAKECMDGOALS)),)
$(error aion is built with PGXS: install the development package of PostgreSQL, or use "make test")
endif

sql/aion--$(EXTENSION_VERSION).sql: $(SQL_PARTS) aion.control Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION aion" to load this file. \quit' \
		'SET LOCAL check_function_bodies = off;' && cat $(SQL_PARTS); } \
		| sed 's/^CREATE OR REPLACE /CREATE /' > $@.new
	mv $@.new $@

# State is carried forward by what has changed; the rest is replaced.
sql/aion--%--$(EXTENSION_VERSION).sql: sql/lock.sql sql/upgrade/%--$(EXTENSION_VERSION).sql $(SQL_PARTS) aion.control Makefile
	{ printf '%s\n' '\echo Use "ALTER EXTENSION aion UPDATE" to load this file. \quit' \
		'SET LOCAL check_function_bodies = off;' && cat $< $(word 2,$^) $(API_PARTS); } > $@.new
	mv $@.new $@

# pg_regress looks for expected/ below its output directory; ours is at the top.
output/%/expected:
	mkdir -p $(@D)
	ln -sfn $(CURDIR)/expected $@

.PHONY: accept bench check-style demo dist docs docs/reference.md test test-fresh test-long test-majors test-package

# Takes over the output of the last run; look at "git diff expected" before committing it.
accept:
	for out in output/*/results/*.out; do cp "$$out" expected/; done

check-style:
	test/check_style

bench:
	bench/run

demo:
	examples/demo

test:
	test/run $(SUITES)

test-fresh:
	test/fresh

test-long:
	AION_CYCLES=$${AION_CYCLES:-100} test/run style pgtap tap

test-majors:
	test/majors

test-package:
	test/package

docs/reference.md:
	PG_CONFIG=$(PG_CONFIG) packaging/docs/write_reference

docs:
	packaging/docs/build

dist:
	mkdir -p output
	git archive --format zip --prefix aion-$(EXTENSION_VERSION)/ -o output/aion-$(EXTENSION_VERSION).zip HEAD
	git archive --format tar.gz --prefix aion-$(EXTENSION_VERSION)/ -o output/aion-$(EXTENSION_VERSION).tar.gz HEAD

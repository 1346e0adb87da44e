# SPDX-License-Identifier: GPL-2.0-or-later
#
#   make demo                 build, and watch a model learn and forecast (DATA=file.csv, ONCE=1)
#   make test                 every test that fits four minutes; test-long: those that do not
#   make bench                figures of speed, also as build/bench.json
#   make install              DESTDIR= PREFIX=
#   make deb                  a Debian package, in build/deb/
#
# SAN=address,undefined builds under sanitizers into a folder of its own, WERROR=1 turns
# warnings into errors, V=1 shows commands.  CC, CFLAGS, LDFLAGS, DESTDIR, PREFIX are yours.

CFLAGS  ?= -O3 -g
PREFIX  ?= /usr/local
comma   := ,
BUILD   := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
VERSION := 0.1.0
JOBS    := $(shell nproc)
Q       := $(if $(V),,@)

# -ffp-contract=off: fused products change bits between builds (model/product.c chooses its
# instructions itself).  Left out on purpose:
# -march=native (packages run elsewhere), -ffast-math (NaN means missing).
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wpointer-arith -Wundef -Wvla -Wformat=2 -Wdouble-promotion -Wfloat-conversion \
	-Wcast-qual $(if $(WERROR),-Werror)
BASE_FLAGS := -std=gnu17 -D_GNU_SOURCE -I. -pthread -ffp-contract=off -fopenmp-simd \
	-fno-math-errno $(WARN) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ALL_LDFLAGS = $(LDFLAGS) -pthread $(if $(SAN),-fsanitize=$(SAN))
COMPILE = $(CC) $(BASE_FLAGS) $(CFLAGS) -MMD -MP

# ---- the folders: what each may use of ours (in link order) and from outside ------------

FOLDERS := base fft model storage api daemon
USES_fft     := base
USES_model   := fft base
USES_storage := base
USES_api     := model fft storage base
USES_daemon  := api model fft storage base
PKG_fft      := fftw3f
PKG_model    := openblas jansson
PKG_storage  := sqlite3 libzstd nettle libpcre2-8 zlib
PKG_api      := libmicrohttpd jansson nettle snappy zlib
PKG_daemon   := inih libsystemd libcurl jansson

# libcsv, which base uses, has no .pc file.  Expanded in recipes only, so that make can
# start on a machine where nothing is installed yet.
libs_of = $(foreach f,$(1) $(USES_$(1)),$(BUILD)/lib$(f).a)
ext_of  = $(shell pkg-config --libs $(sort zlib $(foreach f,$(1) $(USES_$(1)),$(PKG_$(f))))) -lcsv -lm

.PHONY: all demo test test-long bench fuzz install deb clean format lint
.DELETE_ON_ERROR:
.SECONDARY:
all: $(BUILD)/frwkvd

define folder
SRC_$(1) := $$(wildcard $(1)/*.c)
$(BUILD)/lib$(1).a: $$(SRC_$(1):%.c=$(BUILD)/%.o)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))

$(BUILD)/%.o: %.c | $(BUILD)/packages-build
	@mkdir -p $(@D) && echo "  cc    $<"
	$(Q)$(COMPILE) -c $< -o $@
%/model/product.o: BASE_FLAGS += -ffp-contract=fast
$(BUILD)/api/openapi.o: api/openapi.yaml # built in
$(BUILD)/daemon/%.o: BASE_FLAGS += -DFRWKVD_VERSION='"$(VERSION)"'

$(BUILD)/frwkvd: $(call libs_of,daemon)
	@echo "  link  $@"
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(BUILD)/daemon/main.o $^ $(call ext_of,daemon)

# The stamp says that this script found every package, or installed what was missing.
$(BUILD)/packages-%: etc/install-deps.sh
	@mkdir -p $(@D) && etc/install-deps.sh $* && touch $@

# ---- the same sources in double: build/double/libmodel.a and so on, for tests -----------

DOUBLE := $(BUILD)/double
define folder_double
$(DOUBLE)/lib$(1).a: $$(SRC_$(1):%.c=$(DOUBLE)/%.o)
	$$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,base fft model,$(eval $(call folder_double,$(f))))
$(DOUBLE)/%.o: %.c | $(BUILD)/packages-build
	@mkdir -p $(@D) && echo "  cc    $< (double)"
	$(Q)$(COMPILE) -DREAL_DOUBLE -c $< -o $@
libs_double = $(patsubst $(BUILD)/%,$(DOUBLE)/%,$(call libs_of,$(1)))
ext_double  = $(subst fftw3f,fftw3,$(call ext_of,$(1)))

# ---- tests: tests/<folder>/ links only what <folder> may use; fft and model in double,
#      but for tests/model/float_*.c -------------------------------------------------------

# What a test itself does takes no time; compiling and linking it does.
quick            = $(if $(filter tests/bench/%,$<),,-O1 -g1 -fuse-ld=gold)
link_test        = $(COMPILE) $(quick) $(ALL_LDFLAGS) -o $@ $< $(2) $(filter %.a,$^) -lcmocka $(call ext_of,$(1))
link_test_double = $(COMPILE) $(quick) -DREAL_DOUBLE $(ALL_LDFLAGS) -o $@ $< $(2) $(filter %.a,$^) -lcmocka $(call ext_double,$(1))
begin_test       = @mkdir -p $(@D) && echo "  test  $@"

define unit
$(BUILD)/tests/$(1)/%: tests/$(1)/%.c $(call libs_of,$(1)) | $(BUILD)/packages-test
	$$(begin_test)
	$$(Q)$$(call link_test,$(1))
endef
define unit_double
$(BUILD)/tests/$(1)/test_%: tests/$(1)/test_%.c $(call libs_double,$(1)) | $(BUILD)/packages-test
	$$(begin_test)
	$$(Q)$$(call link_test_double,$(1))
endef
$(foreach f,fft model,$(eval $(call unit_double,$(f))))
$(foreach f,base model storage api daemon,$(eval $(call unit,$(f))))
$(BUILD)/tests/model/float_mixers: | $(BUILD)/tests/model/test_mixers # compares with it

$(BUILD)/tests/golden: tests/golden/golden.c $(call libs_double,model)
	$(begin_test)
	$(Q)$(call link_test_double,model)
$(BUILD)/tests/golden-float: tests/golden/golden.c $(call libs_of,model)
	$(begin_test)
	$(Q)$(call link_test,model)

# Each fuzz target replays its corpus here; `make fuzz` drives the same file with an engine.
$(BUILD)/tests/fuzz/replay_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(call libs_of,api)
	$(begin_test)
	$(Q)$(call link_test,api,tests/fuzz/replay.c)

UNIT := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard $(FOLDERS:%=tests/%/test_*.c) tests/model/float_*.c))
FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAY := $(FUZZ:%=$(BUILD)/tests/fuzz/replay_%)
GOLDEN := $(BUILD)/tests/golden $(BUILD)/tests/golden-float
FROM_MAKE := BUILD=$(BUILD) FRWKVD=$(BUILD)/frwkvd $(if $(SAN),TEST_TIMEOUT=900 PATIENCE=5)

test: $(BUILD)/packages-test
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(BUILD)/frwkvd $(BUILD)/fleet $(UNIT) $(REPLAY) $(GOLDEN) $(UNDER)
	@$(FROM_MAKE) tests/run tests/layers.sh tests/banned.sh tests/ids.sh tests/peers.sh tests/statuses.sh \
	    tests/golden/golden.sh $(filter-out %/float_crossing,$(UNIT)) $(REPLAY) $(sort $(wildcard tests/e2e/test_*.sh))

# The demo has two minutes of the machine to itself.
test-long: $(BUILD)/packages-long
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(BUILD)/frwkvd $(BUILD)/fleet $(UNIT) $(UNDER)
	@$(FROM_MAKE) TEST_TIMEOUT=1200 tests/run tests/long/test_demo.sh
	@$(FROM_MAKE) TEST_TIMEOUT=1200 tests/run $(sort $(filter-out %/test_demo.sh,$(wildcard tests/long/test_*.sh)))

# Programs that run the daemon as a service manager would, and a disk that is full.
UNDER := $(addprefix $(BUILD)/tests/tools/,under_filter under_notify full_disk.so)
$(BUILD)/tests/tools/full_disk.so: tests/tools/full_disk.c
	$(begin_test)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(CFLAGS) $(WARN) $(LDFLAGS) -shared -fPIC -o $@ $<
$(BUILD)/tests/tools/under_%: tests/tools/under_%.c | $(BUILD)/packages-test
	$(begin_test)
	$(Q)$(COMPILE) $(LDFLAGS) -o $@ $< -lseccomp
$(BUILD)/tests/tools/wide: tests/tools/wide.c $(BUILD)/libbase.a
	$(begin_test)
	$(Q)$(COMPILE) $(ALL_LDFLAGS) -o $@ $^ -lm

# ---- the rest ---------------------------------------------------------------------------

$(BUILD)/fleet: etc/demo/fleet.c $(BUILD)/libbase.a
	@echo "  link  $@"
	$(Q)$(COMPILE) $(ALL_LDFLAGS) -o $@ $^ -lm

demo: $(BUILD)/packages-build
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(BUILD)/frwkvd $(BUILD)/fleet
	@$(FROM_MAKE) etc/demo/demo.sh

BENCH := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))
$(BUILD)/tests/bench/%: tests/bench/%.c $(call libs_of,api) | $(BUILD)/packages-test
	$(begin_test)
	$(Q)$(call link_test,api)
bench: $(BUILD)/packages-long
	@$(MAKE) -s --no-print-directory -j$(JOBS) $(BUILD)/frwkvd $(BENCH)
	@rm -f $(BUILD)/bench.rows
	@for b in $(BENCH) tests/bench/queries.sh; do \
	    echo "$$(basename $$b)" && $(FROM_MAKE) BENCH_JSON=$(BUILD)/bench.rows $$b || exit 1; done
	@jq -s . $(BUILD)/bench.rows >$(BUILD)/bench.json

# clang's engine; FUZZ_SECONDS for each target, new findings land in the corpus folder.
FUZZ_SECONDS ?= 60
FUZZ_LIBS := $(patsubst $(BUILD)/%,build-fuzz/%,$(call libs_of,api))
fuzz: $(BUILD)/packages-clang
	@$(MAKE) -s --no-print-directory -j$(JOBS) CC=clang CFLAGS="-g -O1" WARN= BUILD=build-fuzz \
	    SAN=fuzzer-no-link,address,undefined $(FUZZ_LIBS)
	@for t in $(FUZZ); do \
	    mkdir -p tests/fuzz/corpus/$$t && \
	    clang -g -O1 -std=gnu17 -D_GNU_SOURCE -I. -pthread -fsanitize=fuzzer,address,undefined \
	        -o build-fuzz/$$t tests/fuzz/fuzz_$$t.c $(FUZZ_LIBS) $(call ext_of,api) && \
	    build-fuzz/$$t -max_total_time=$(FUZZ_SECONDS) tests/fuzz/corpus/$$t || exit 1; done

# The configuration that is there stays as it is.
UNITS = $(PREFIX)/lib/systemd/system
EXAMPLES = $(PREFIX)/share/doc/frwkvd/examples
install: all
	install -D -m 755 $(BUILD)/frwkvd $(DESTDIR)$(PREFIX)/bin/frwkvd
	test -e $(DESTDIR)/etc/frwkvd.conf || install -D -m 644 etc/frwkvd.conf $(DESTDIR)/etc/frwkvd.conf
	install -d -m 755 $(DESTDIR)/etc/frwkvd.d $(DESTDIR)$(UNITS)
	install -m 644 etc/systemd/frwkvd.service etc/systemd/frwkvd.socket $(DESTDIR)$(UNITS)
	sed -i 's|/usr/local/bin/|$(PREFIX)/bin/|' $(DESTDIR)$(UNITS)/frwkvd.service
	install -D -m 644 etc/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/frwkvd.conf
	install -D -m 644 etc/man/frwkvd.8 $(DESTDIR)$(PREFIX)/share/man/man8/frwkvd.8
	install -D -m 644 etc/man/frwkvd.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/frwkvd.conf.5
	install -d -m 755 $(addprefix $(DESTDIR)$(EXAMPLES)/,grafana prometheus)
	install -m 644 etc/grafana/* $(DESTDIR)$(EXAMPLES)/grafana
	install -m 644 etc/prometheus/* $(DESTDIR)$(EXAMPLES)/prometheus

# From a copy, so that nothing of it lands in the tree.
DEB := build/deb/frwkvd-$(VERSION)
deb: build/packages-long
	rm -rf build/deb && mkdir -p $(DEB)
	tar -c --exclude=./build --exclude='./build-*' --exclude=./.git . | tar -x -C $(DEB)
	cd $(DEB) && env -u MAKEFLAGS -u MAKELEVEL dpkg-buildpackage -b -us -uc -j$(JOBS)
	rm -rf $(DEB)

clean:
	rm -rf build build-*

format: $(BUILD)/packages-clang
	clang-format -i $(wildcard $(FOLDERS:%=%/*.[ch]) tests/*/*.[ch] tests/*.h etc/demo/*.c)

lint: $(BUILD)/packages-clang
	clang-tidy --quiet $(foreach f,$(FOLDERS),$(SRC_$(f))) -- -std=gnu17 -D_GNU_SOURCE -I.

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -name '*.d' -print 2>/dev/null)

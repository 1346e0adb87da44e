# SPDX-License-Identifier: GPL-2.0-or-later
#
# make demo    build, and watch a model learn and forecast    (DATA=file.csv, ONCE=1)
# make test    every test that fits four minutes
# make install DESTDIR= PREFIX=
#
# SAN=address,undefined builds under sanitizers into a folder of its own; WERROR=1
# turns warnings into errors.  CC, CFLAGS, LDFLAGS, DESTDIR and PREFIX are the user's.

CFLAGS  ?= -O3 -g
PREFIX  ?= /usr/local
SAN     ?=
comma   := ,
BUILD   := build$(if $(SAN),-$(subst $(comma),-,$(SAN)))
VERSION := 0.1.0

# -ffp-contract=off: fused products change bits between builds.  Not in the list:
# -march=native (packages run elsewhere), -ffast-math (NaN means missing).
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
	-Wpointer-arith -Wundef -Wvla -Wformat=2 -Wdouble-promotion -Wfloat-conversion \
	-Wcast-qual $(if $(WERROR),-Werror)
BASE_FLAGS := -std=gnu17 -D_GNU_SOURCE -I. -pthread -ffp-contract=off -fopenmp-simd \
	-fno-math-errno $(WARN) $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ALL_LDFLAGS = $(LDFLAGS) -pthread $(if $(SAN),-fsanitize=$(SAN))

# folder: what it may use of ours (left of it in the link), and libraries from outside.
FOLDERS := base fft model storage api daemon
USES_base    :=
USES_fft     := base
USES_model   := fft base
USES_storage := base
USES_api     := model fft storage base
USES_daemon  := api model fft storage base
PKG_base    := libcsv
PKG_fft     := fftw3f
PKG_model   := openblas jansson
PKG_storage := sqlite3 libzstd nettle libpcre2-8 zlib
PKG_api     := libmicrohttpd jansson nettle zlib
PKG_daemon  := inih libsystemd libcurl jansson

# libcsv ships no .pc file.
pkg = $(if $(filter libcsv,$(1)),-lcsv) \
	$(if $(filter-out libcsv,$(1)),$(shell pkg-config --libs $(filter-out libcsv,$(1))))
cflags_of = $(if $(filter-out libcsv,$(1)),$(shell pkg-config --cflags $(filter-out libcsv,$(1))))
libs_of = $(foreach f,$(1) $(USES_$(1)),$(BUILD)/lib$(f).a)
ext_of  = $(call pkg,$(sort $(foreach f,$(1) $(USES_$(1)),$(PKG_$(f))))) -lm

.PHONY: all demo test test-long bench fuzz install clean format lint deps
all: $(BUILD)/frwkvd
.DELETE_ON_ERROR:
.SECONDARY:

# ---- the libraries and the program ------------------------------------------------

define folder
SRC_$(1) := $$(wildcard $(1)/*.c)
$(BUILD)/lib$(1).a: $$(SRC_$(1):%.c=$(BUILD)/%.o)
	rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_FLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(BUILD)/daemon/%.o: BASE_FLAGS += -DFRWKVD_VERSION='"$(VERSION)"'

$(BUILD)/frwkvd: $(call libs_of,daemon)
	$(CC) $(ALL_LDFLAGS) -o $@ $(BUILD)/daemon/main.o $(call libs_of,daemon) $(call ext_of,daemon)

# The same sources in double, for tests: build/double/libmodel.a and so on.
DOUBLE := $(BUILD)/double
define folder_double
$(DOUBLE)/lib$(1).a: $$(SRC_$(1):%.c=$(DOUBLE)/%.o)
	rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,base fft model,$(eval $(call folder_double,$(f))))
$(DOUBLE)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE_FLAGS) -DREAL_DOUBLE $(CFLAGS) -MMD -MP -c $< -o $@
libs_double = $(patsubst $(BUILD)/%,$(DOUBLE)/%,$(call libs_of,$(1)))
ext_double  = $(subst fftw3f,fftw3,$(call ext_of,$(1)))

# ---- tests --------------------------------------------------------------------------
# tests/<folder>/test_x.c links only what <folder> may use.  Those of fft and model
# are built in double; tests/model/float_x.c in float.

TESTS_double := $(foreach f,fft model,$(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/$(f)/test_*.c)))
TESTS_float  := $(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/model/float_*.c)) \
	$(foreach f,base storage api daemon,$(patsubst tests/%.c,$(BUILD)/tests/%,$(wildcard tests/$(f)/test_*.c)))

define unit_float
$(BUILD)/tests/$(1)/%: tests/$(1)/%.c tests/check.h $(call libs_of,$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(BASE_FLAGS) $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$< $(call libs_of,$(1)) -lcmocka $$(call ext_of,$(1))
endef
define unit_double
$(BUILD)/tests/$(1)/test_%: tests/$(1)/test_%.c tests/check.h $(call libs_double,$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(BASE_FLAGS) -DREAL_DOUBLE $$(CFLAGS) $$(ALL_LDFLAGS) -o $$@ $$< $(call libs_double,$(1)) -lcmocka $$(call ext_double,$(1))
endef
$(foreach f,fft model,$(eval $(call unit_double,$(f))))
$(foreach f,base model storage api daemon,$(eval $(call unit_float,$(f))))

$(BUILD)/tests/golden: tests/golden/golden.c $(call libs_double,model)
	@mkdir -p $(@D)
	$(CC) $(BASE_FLAGS) -DREAL_DOUBLE $(CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(call libs_double,model) $(call ext_double,model)
$(BUILD)/tests/golden-float: tests/golden/golden.c $(call libs_of,model)
	@mkdir -p $(@D)
	$(CC) $(BASE_FLAGS) $(CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(call libs_of,model) $(call ext_of,model)

TEST_BINARIES := $(TESTS_double) $(TESTS_float) $(BUILD)/tests/golden $(BUILD)/tests/golden-float
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

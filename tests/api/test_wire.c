/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protocol Buffers: known encodings both ways, and what is none. */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>

#include "api/wire.h"

/* The examples of the format's own description, and the edges of varints. */
static void known_encodings(void **state)
{
    (void)state;
    struct page page = {0};
    wire_put_varint(&page, 1, 150);
    wire_put_bytes(&page, 2, "testing", 7);
    const size_t begun = wire_begin(&page, 3);
    wire_put_varint(&page, 1, 150);
    wire_end(&page, begun);
    wire_put_double(&page, 4, 1.0);
    wire_put_varint(&page, 16, UINT64_MAX);
    static const unsigned char want[] = {
        0x08, 0x96, 0x01,                                     /* 1: 150 */
        0x12, 0x07, 't',  'e',  's',  't',  'i',  'n',  'g',  /* 2: text */
        0x1a, 0x03, 0x08, 0x96, 0x01,                         /* 3: {1: 150} */
        0x21, 0,    0,    0,    0,    0,    0,    0xf0, 0x3f, /* 4: 1.0 */
        0x80, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
    assert_int_equal(page.len, sizeof want);
    assert_memory_equal(page.bytes, want, sizeof want);

    struct wire wire = wire_of(page.bytes, page.len), inner;
    struct wire_field field;
    assert_int_equal(wire_next(&wire, &field), 1);
    assert_true(wire_is(&field, 1, WIRE_VARINT) && field.value == 150);
    assert_int_equal(wire_next(&wire, &field), 1);
    assert_true(wire_is(&field, 2, WIRE_BYTES) && wire_len(field.bytes) == 7);
    assert_memory_equal(field.bytes.at, "testing", 7);
    assert_int_equal(wire_next(&wire, &field), 1);
    inner = field.bytes;
    assert_int_equal(wire_next(&inner, &field), 1);
    assert_int_equal(field.value, 150);
    assert_int_equal(wire_next(&inner, &field), 0);
    assert_int_equal(wire_next(&wire, &field), 1);
    assert_true(wire_double(&field) == 1.0);
    assert_int_equal(wire_next(&wire, &field), 1);
    assert_true(wire_is(&field, 16, WIRE_VARINT) && field.value == UINT64_MAX);
    assert_int_equal(wire_next(&wire, &field), 0);
    free(page.bytes);
}

/* A message longer than one length byte can say. */
static void long_message(void **state)
{
    (void)state;
    char text[300];
    struct page page = {0};
    memset(text, 'x', sizeof text);
    const size_t begun = wire_begin(&page, 1);
    wire_put_bytes(&page, 2, text, sizeof text);
    wire_end(&page, begun);
    struct wire wire = wire_of(page.bytes, page.len);
    struct wire_field field;
    assert_int_equal(wire_next(&wire, &field), 1);
    struct wire inner = field.bytes;
    assert_int_equal(wire_next(&inner, &field), 1);
    assert_int_equal(wire_len(field.bytes), sizeof text);
    assert_memory_equal(field.bytes.at, text, sizeof text);
    free(page.bytes);
}

static void not_protobuf(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t len;
        unsigned char bytes[12];
    } cases[] = {
        {"key cut off", 1, {0x88}},
        {"value cut off", 2, {0x08, 0x96}},
        {"value missing", 1, {0x08}},
        {"eleven varint bytes",
         12,
         {0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}},
        {"field 0", 2, {0x00, 0x01}},
        {"longer than what is left", 3, {0x0a, 0x02, 'x'}},
        {"longer than anything",
         11,
         {0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}},
        {"double cut off", 8, {0x09, 1, 2, 3, 4, 5, 6, 7}},
        {"float cut off", 4, {0x0d, 1, 2, 3}},
        {"group", 2, {0x0b, 0x0c}},
        {"type 7", 2, {0x0f, 0x00}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire wire = wire_of(cases[i].bytes, cases[i].len);
        struct wire_field field;
        if (wire_next(&wire, &field) != -1)
            fail_msg("%s: taken", cases[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_encodings),
        cmocka_unit_test(long_message),
        cmocka_unit_test(not_protobuf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

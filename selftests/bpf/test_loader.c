// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>

#include "policy_helpers.h"
#include "progs/test_tags.h"
#include "test_loader.h"

#define MAX_MESSAGES 4

struct expectation {
	bool success, failure;
	const char *messages[MAX_MESSAGES];
	int n;
};

/* what libbpf said, then the verifier's log */
static char said[1 << 16], verifier_log[1 << 20];

static int listen_to_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	size_t len = strlen(said);

	/* the verifier's log comes with a warning as well, and would push others out */
	if (level == LIBBPF_WARN)
		vsnprintf(said + len, sizeof(said) - len, fmt, args);
	return 0;
}

/* The declaration tags of the function @name. */
static void read_tags(const struct btf *btf, const char *name, struct expectation *expected)
{
	__s32 func = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	__u32 i;

	memset(expected, 0, sizeof(*expected));
	for (i = 1; i < btf__type_cnt(btf); i++) {
		const struct btf_type *type = btf__type_by_id(btf, i);
		const char *tag;

		if (!btf_is_decl_tag(type) || (__s32)type->type != func ||
		    btf_decl_tag(type)->component_idx != -1)
			continue;
		tag = btf__name_by_offset(btf, type->name_off);
		if (!strcmp(tag, TAG_SUCCESS))
			expected->success = true;
		else if (!strcmp(tag, TAG_FAILURE))
			expected->failure = true;
		else if (!strncmp(tag, TAG_MSG, strlen(TAG_MSG)) && expected->n < MAX_MESSAGES)
			expected->messages[expected->n++] = tag + strlen(TAG_MSG);
		else
			ASSERT_STREQ(tag, "", "a tag nobody knows, or one too many");
	}
}

static void show_end(const char *what, char *text)
{
	size_t len = strlen(text);
	char *line;

	if (len > 1500)
		text += len - 1500;
	while ((line = strsep(&text, "\n")))
		if (*line)
			test__log("%s: %s", what, line);
}

static int load_one(struct bpf_object *object, const char *name)
{
	struct bpf_program *program;
	struct bpf_map *map;
	char map_name[80];

	bpf_object__for_each_program(program, object) {
		bool it_is = !strcmp(bpf_program__name(program), name);

		bpf_program__set_autoload(program, it_is);
		if (it_is)
			bpf_program__set_log_buf(program, verifier_log, sizeof(verifier_log));
	}
	snprintf(map_name, sizeof(map_name), "ops_%s", name);
	bpf_object__for_each_map(map, object) {
		if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS)
			bpf_map__set_autocreate(map, !strcmp(bpf_map__name(map), map_name));
	}
	memset(verifier_log, 0, sizeof(verifier_log));
	said[0] = 0;
	return bpf_object__load(object);
}

static void run_one(const void *elf, size_t size, const char *name)
{
	struct bpf_object *object = bpf_object__open_mem(elf, size, NULL);
	struct expectation expected;
	int i, rc;

	if (!ASSERT_OK_PTR(object, "open"))
		return;
	read_tags(bpf_object__btf(object), name, &expected);
	ASSERT_TRUE(expected.success != expected.failure, "one expectation");
	rc = load_one(object, name);
	if (expected.success)
		ASSERT_OK(rc, "load");
	else
		ASSERT_LT(rc, 0, "load");
	ASSERT_TRUE(expected.success || expected.n, "what is said when it fails");
	for (i = 0; i < expected.n; i++) {
		if (strstr(verifier_log, expected.messages[i]) ||
		    strstr(said, expected.messages[i]))
			continue;
		ASSERT_TRUE(false, "what is said");
		test__log("wanted '%s'", expected.messages[i]);
	}
	if (test__failed()) {
		show_end("libbpf", said);
		show_end("verifier", verifier_log);
	}
	bpf_object__close(object);
}

void run_programs(const char *name, const void *(*elf_bytes)(size_t *size))
{
	struct bpf_program *program;
	struct bpf_object *object;
	const void *elf;
	size_t size;

	elf = elf_bytes(&size);
	libbpf_set_print(listen_to_libbpf);
	object = bpf_object__open_mem(elf, size, NULL);
	if (ASSERT_OK_PTR(object, name)) {
		bpf_object__for_each_program(program, object) {
			if (test__start_subtestf("%s/%s", name, bpf_program__name(program)))
				run_one(elf, size, bpf_program__name(program));
		}
	}
	bpf_object__close(object);
	libbpf_quiet();
}

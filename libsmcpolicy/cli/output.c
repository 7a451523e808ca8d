// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "cli.h"

#include <stdarg.h>

void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

void add_number(struct json_object *object, const char *key, int64_t value)
{
	json_object_object_add(object, key, json_object_new_int64(value));
}

void add_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

void add_chars(struct json_object *object, const char *key, const void *chars, size_t size)
{
	const char *text = chars;

	size = strnlen(text, size);
	while (size && text[size - 1] == ' ')
		size--;
	json_object_object_add(object, key, json_object_new_string_len(text, size));
}

void print_json(struct json_object *object)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (cli.pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	puts(json_object_to_json_string_ext(object, flags));
	json_object_put(object);
}

static const char *text(struct json_object *value)
{
	if (json_object_is_type(value, json_type_boolean))
		return json_object_get_boolean(value) ? "yes" : "no";
	return json_object_get_string(value);
}

/* An option, whose value is what matters, or anything: the name, and "key value ..." */
static void print_member(struct json_object *member)
{
	struct json_object *key, *value;

	if (!json_object_is_type(member, json_type_object)) {
		printf("%s\n", text(member));
	} else if (json_object_object_get_ex(member, "key", &key) &&
		   json_object_object_get_ex(member, "value", &value)) {
		struct json_object *choices, *help;
		int width;

		width = printf("%s=%s", text(key), text(value));
		json_object_object_get_ex(member, "choices", &choices);
		json_object_object_get_ex(member, "help", &help);
		printf("%*s%s%s%s\n", width < 24 ? 24 - width : 1, "", text(choices),
		       *text(choices) ? ": " : "", text(help));
	} else {
		json_object_object_foreach(member, name, part) {
			if (strcmp(name, "name"))
				printf(" %s ", name);
			printf("%s", text(part));
		}
		printf("\n");
	}
}

void print(struct json_object *object)
{
	if (cli.json) {
		print_json(object);
		return;
	}
	json_object_object_foreach(object, key, value) {
		size_t i, count = 1;

		if (json_object_is_type(value, json_type_array))
			count = json_object_array_length(value);
		else if (!*text(value))
			continue;
		for (i = 0; i < count; i++) {
			char label[32], *c;

			snprintf(label, sizeof(label), "%s", i ? "" : key);
			for (c = label; *c; c++)
				if (*c == '_')
					*c = ' ';
			printf("%-16s", label);
			print_member(json_object_is_type(value, json_type_array) ?
				     json_object_array_get_idx(value, i) : value);
		}
	}
	json_object_put(object);
}

static void message(FILE *to, const char *kind, const char *cause, const char *cure)
{
	fprintf(to, "smcpolicy: %s%s\n", kind, cause);
	if (*cure)
		fprintf(to, "  %s\n", cure);
}

static void error_message(const char *cause, const char *cure)
{
	struct json_object *object;

	if (!cli.json) {
		message(stderr, "", cause, cure);
		return;
	}
	object = json_object_new_object();
	add_string(object, "error", cause);
	add_string(object, "cure", cure);
	print_json(object);
}

int fail(const char *cure, const char *cause, ...)
{
	char line[1024];
	va_list args;

	va_start(args, cause);
	vsnprintf(line, sizeof(line), cause, args);
	va_end(args);
	error_message(line, cure);
	return cli.failed;
}

int fail_library(void)
{
	error_message(smcpolicy_error_cause(), smcpolicy_error_cure());
	return cli.failed;
}

int usage(const char *cause, ...)
{
	char line[1024], cure[64];
	va_list args;

	va_start(args, cause);
	vsnprintf(line, sizeof(line), cause, args);
	va_end(args);
	snprintf(cure, sizeof(cure), "try: smcpolicy %s%s--help",
		 cli.command ? cli.command->name : "", cli.command ? " " : "");
	error_message(line, cure);
	return cli.misused;
}

/* Warnings are no result: they go to stderr with -j too. */
void warn(const char *cure, const char *cause, ...)
{
	char line[1024];
	va_list args;

	va_start(args, cause);
	vsnprintf(line, sizeof(line), cause, args);
	va_end(args);
	message(stderr, "warning: ", line, cure);
}

/* Not a result either. */
void note(const char *text, ...)
{
	char line[1024];
	va_list args;

	va_start(args, text);
	vsnprintf(line, sizeof(line), text, args);
	va_end(args);
	message(stderr, "", line, "");
}

void warn_library(void)
{
	message(stderr, "warning: ", smcpolicy_error_cause(), smcpolicy_error_cure());
}

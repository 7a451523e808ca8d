// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Options: declared by BTF tags in the object, see smc_policy/policy.bpf.h
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "internal.h"

static const char * const type_names[] = {
	[OPTION_ENUM] = "enum",
	[OPTION_U32] = "u32",
	[LIST_PORT] = "port",
	[LIST_ADDR] = "addr",
	[LIST_U32] = "u32",
	[LIST_COMM] = "comm",
	[OPTION_RULES] = "rules",
};

const char *smcpolicy_option__key(const struct smcpolicy_option *option)
{
	return option->key;
}

const char *smcpolicy_option__type(const struct smcpolicy_option *option)
{
	return type_names[option->type];
}

bool smcpolicy_option__is_list(const struct smcpolicy_option *option)
{
	return option->type >= LIST_PORT && option->type <= LIST_COMM;
}

const char *smcpolicy_option__choices(const struct smcpolicy_option *option)
{
	return option->choices;
}

const char *smcpolicy_option__value(const struct smcpolicy_option *option)
{
	return option->value;
}

const char *smcpolicy_option__help(const struct smcpolicy_option *option)
{
	return option->help;
}

size_t smcp_key_size(const struct smcpolicy_option *option)
{
	switch (option->type) {
	case LIST_PORT:	return sizeof(uint16_t);
	case LIST_ADDR:	return 20;
	case LIST_U32:	return sizeof(uint32_t);
	case LIST_COMM:	return 16;
	default:	return 0;
	}
}

struct smcpolicy_option *smcp_option_find(const struct smcp_description *desc, const char *key)
{
	struct smcpolicy_option *option;

	for (option = desc->options; option; option = option->next)
		if (!strcmp(option->key, key))
			return option;
	return NULL;
}

/* ---- numbers ---- */

/* A decimal number up to the end, or to @stop; returns what follows, or NULL. */
static const char *parse_u32(const char *text, char stop, uint32_t *number)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || n > UINT32_MAX || (*end && *end != stop))
		return NULL;
	*number = n;
	return *end ? end + 1 : end;
}

bool smcp_parse_range(const char *text, uint32_t *min, uint32_t *max)
{
	text = parse_u32(text, '-', min);
	if (text && !*text && text[-1] != '-')
		*max = *min;
	else if (!text || !parse_u32(text, 0, max))
		return false;
	return *min <= *max;
}

bool smcp_parse_number(const char *text, uint32_t *number)
{
	return parse_u32(text, 0, number);
}

/* The number of @word in "word=number|...", or the word of @number when @word is NULL. */
static bool enum_lookup(const struct smcpolicy_option *option, const char *word, uint32_t *number,
			char *found, size_t size)
{
	char copy[512], *rest = copy, *item;

	snprintf(copy, sizeof(copy), "%s", option->enum_spec);
	while ((item = strsep(&rest, "|"))) {
		char *value = strchr(item, '=');
		uint32_t n;

		if (!value || !parse_u32(value + 1, 0, &n))
			continue;
		*value = 0;
		if (word ? strcmp(word, item) : n != *number)
			continue;
		*number = n;
		if (found)
			snprintf(found, size, "%s", item);
		return true;
	}
	return false;
}

/* ---- the value as text ---- */

static int compare(const struct smcpolicy_option *option, const struct element *a,
		   const struct element *b)
{
	if (option->type == LIST_PORT)
		return a->key.port - b->key.port;
	if (option->type == LIST_U32)
		return a->key.u32 < b->key.u32 ? -1 : a->key.u32 > b->key.u32;
	return memcmp(a->key.bytes, b->key.bytes, smcp_key_size(option));
}

static const unsigned char v4_mapped[12] = { [10] = 0xff, [11] = 0xff };

static void element_text(const struct smcpolicy_option *option, const struct element *element,
			 char *text, size_t size)
{
	uint32_t prefixlen = element->key.addr.prefixlen;
	const unsigned char *addr = element->key.addr.addr;
	char ip[INET6_ADDRSTRLEN];

	switch (option->type) {
	case LIST_PORT:
		snprintf(text, size, "%u", element->key.port);
		break;
	case LIST_U32:
		snprintf(text, size, "%u", element->key.u32);
		break;
	case LIST_COMM:
		snprintf(text, size, "%.16s", element->key.comm);
		break;
	default:
		if (prefixlen >= 96 && !memcmp(addr, v4_mapped, sizeof(v4_mapped))) {
			inet_ntop(AF_INET, addr + 12, ip, sizeof(ip));
			snprintf(text, size, prefixlen == 128 ? "%s" : "%s/%u", ip, prefixlen - 96);
		} else {
			inet_ntop(AF_INET6, addr, ip, sizeof(ip));
			snprintf(text, size, prefixlen == 128 ? "%s" : "%s/%u", ip, prefixlen);
		}
	}
}

static int update_value(struct smcpolicy_option *option)
{
	char text[128] = "", *value = NULL;
	const struct element *element;
	size_t size, i, last;
	FILE *out = open_memstream(&value, &size);

	if (!out)
		goto no_memory;
	if (option->type == OPTION_U32) {
		fprintf(out, "%u", option->number);
	} else if (option->type == OPTION_ENUM) {
		if (!enum_lookup(option, NULL, &option->number, text, sizeof(text)))
			snprintf(text, sizeof(text), "%u", option->number);
		fputs(text, out);
	} else if (option->type == OPTION_RULES) {
		fputs(option->file, out);
	}
	for (i = 0; i < option->count; i = last + 1) {
		element = &option->elements[i];
		element_text(option, element, text, sizeof(text));
		fprintf(out, "%s%s", i ? "," : "", text);
		last = i;
		if (option->type != LIST_PORT)
			continue;
		while (last + 1 < option->count &&
		       element[last - i + 1].key.port == element[last - i].key.port + 1)
			last++;
		if (last != i)
			fprintf(out, "-%u", option->elements[last].key.port);
	}
	if (fclose(out) || !value)
		goto no_memory;
	free(option->value);
	option->value = value;
	return 0;
no_memory:
	free(value);
	smcp_no_memory();
	return -ENOMEM;
}

/* ---- the tags ---- */

static void option_free(struct smcpolicy_option *option)
{
	smcpolicy_rules__free(option->rules);
	free(option->elements);
	free(option->key);
	free(option->choices);
	free(option->help);
	free(option->value);
	free(option->variable);
	free(option->enum_spec);
	free(option);
}

void smcp_description_free(struct smcp_description *desc)
{
	struct smcpolicy_option *option;

	while ((option = desc->options)) {
		desc->options = option->next;
		option_free(option);
	}
	free(desc->text);
	desc->text = NULL;
}

/* Offset of variable @id in .rodata, or -1. */
static int64_t rodata_offset(const struct btf *btf, uint32_t id)
{
	const struct btf_var_secinfo *var;
	const struct btf_type *sec;
	int sec_id, i;

	sec_id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	if (sec_id < 0)
		return -1;
	sec = btf__type_by_id(btf, sec_id);
	var = btf_var_secinfos(sec);
	for (i = 0; i < btf_vlen(sec); i++, var++)
		if (var->type == id)
			return var->offset;
	return -1;
}

/* "pass=0|allow=1" as "pass|allow" */
static char *enum_words(const char *spec)
{
	char *words = strdup(spec), *out = words;
	bool number = false;

	for (; words && *spec; spec++) {
		if (*spec == '=')
			number = true;
		else if (*spec == '|')
			number = false;
		if (!number)
			*out++ = *spec;
	}
	if (words)
		*out = 0;
	return words;
}

/* key:type:choices:help; of a list, key:type:number:help */
static int add_option(struct smcp_description *desc, const struct btf *btf, uint32_t id,
		      const char *tag, const char *what)
{
	const char *variable = btf__name_by_offset(btf, btf__type_by_id(btf, id)->name_off);
	char *copy = strdup(tag), *rest = copy, *key, *type, *spec;
	struct smcpolicy_option *option = calloc(1, sizeof(*option)), **end;
	int64_t offset = rodata_offset(btf, id);
	int err = -ENOMEM;

	if (!copy || !option)
		goto no_memory;
	key = strsep(&rest, ":");
	type = strsep(&rest, ":");
	spec = strsep(&rest, ":");
	if (!rest || !*key)
		goto bad;
	if (!strcmp(type, "enum"))
		option->type = OPTION_ENUM;
	else if (!strcmp(type, "u32") && offset >= 0)
		option->type = OPTION_U32;
	else if (!strcmp(type, "port"))
		option->type = LIST_PORT;
	else if (!strcmp(type, "addr"))
		option->type = LIST_ADDR;
	else if (!strcmp(type, "u32"))
		option->type = LIST_U32;
	else if (!strcmp(type, "comm"))
		option->type = LIST_COMM;
	else if (!strcmp(type, "rules"))
		option->type = OPTION_RULES;
	else
		goto bad;
	if (!smcpolicy_option__is_list(option) && offset < 0)
		goto bad;
	option->offset = offset;
	option->key = strdup(key);
	option->help = strdup(rest);
	option->variable = strdup(variable);
	if (option->type == OPTION_ENUM) {
		option->enum_spec = strdup(spec);
		option->choices = enum_words(spec);
		if (!option->enum_spec)
			goto no_memory;
	} else if (option->type == OPTION_U32) {
		option->choices = strdup(spec);
		if (!smcp_parse_range(spec, &option->min, &option->max))
			goto bad;
	} else {
		option->choices = strdup("");
		if (option->type != OPTION_RULES && !parse_u32(spec, 0, &option->number))
			goto bad;
	}
	if (!option->key || !option->help || !option->variable || !option->choices ||
	    update_value(option))
		goto no_memory;
	if (smcp_option_find(desc, key))
		goto bad;
	for (end = &desc->options; *end; )
		end = &(*end)->next;
	*end = option;
	free(copy);
	return 0;
bad:
	err = smcp_error(EINVAL, "correct the policy, see smc_policy/policy.bpf.h",
			 "%s: bad declaration of an option, \"%s\"", what, tag);
	goto out;
no_memory:
	smcp_no_memory();
out:
	free(copy);
	if (option)
		option_free(option);
	return err;
}

#define TAG_POLICY	"smc_policy:"
#define TAG_OPTION	"smc_option:"
#define TAG_COUNT	"smc_count:"

int smcp_describe(struct smcp_description *desc, const struct btf *btf, const char *what)
{
	uint32_t id, n = btf__type_cnt(btf);
	struct smcpolicy_option *option;
	int pass, err = 0;

	/* Counts name options, so these come first. */
	for (pass = 0; pass < 2 && !err; pass++) {
		for (id = 1; id < n && !err; id++) {
			const struct btf_type *type = btf__type_by_id(btf, id);
			const char *tag;

			if (!btf_is_decl_tag(type))
				continue;
			tag = btf__name_by_offset(btf, type->name_off);
			if (!btf_is_var(btf__type_by_id(btf, type->type)))
				continue;
			if (!pass && !strncmp(tag, TAG_POLICY, strlen(TAG_POLICY)) && !desc->text) {
				desc->text = strdup(tag + strlen(TAG_POLICY));
			} else if (!pass && !strncmp(tag, TAG_OPTION, strlen(TAG_OPTION))) {
				err = add_option(desc, btf, type->type, tag + strlen(TAG_OPTION),
						 what);
			} else if (pass && !strncmp(tag, TAG_COUNT, strlen(TAG_COUNT))) {
				int64_t offset = rodata_offset(btf, type->type);

				option = smcp_option_find(desc, tag + strlen(TAG_COUNT));
				if (!option || offset < 0)
					continue;
				option->has_count_variable = true;
				option->count_offset = offset;
			}
		}
	}
	if (!err && !desc->text) {
		desc->text = strdup("");
		if (!desc->text) {
			smcp_no_memory();
			err = -ENOMEM;
		}
	}
	if (err)
		smcp_description_free(desc);
	return err;
}

/* ---- setting ---- */

/* Elements that are to be added to an option */
struct elements {
	struct element *list;
	size_t count, room;
};

static int append(struct elements *elements, const struct element *element)
{
	struct element *list;

	if (elements->count == elements->room) {
		elements->room = elements->room ? 2 * elements->room : 16;
		list = reallocarray(elements->list, elements->room, sizeof(*list));
		if (!list) {
			smcp_no_memory();
			return -ENOMEM;
		}
		elements->list = list;
	}
	elements->list[elements->count++] = *element;
	return 0;
}

static int by_order(const void *a, const void *b, void *option)
{
	return compare(option, a, b);
}

/* What several lists of one map have in common is an error. */
static int check_other_lists(const struct smcp_description *desc,
			     const struct smcpolicy_option *option,
			     const struct elements *elements, const char *policy)
{
	const struct smcpolicy_option *other;
	char text[128];
	size_t i;

	for (other = desc->options; other; other = other->next) {
		if (other == option || !smcpolicy_option__is_list(other) ||
		    strcmp(other->variable, option->variable))
			continue;
		for (i = 0; i < elements->count && other->count; i++) {
			size_t low = 0, high = other->count, middle;

			while (low < high) {
				middle = (low + high) / 2;
				if (compare(option, &other->elements[middle], &elements->list[i]) < 0)
					low = middle + 1;
				else
					high = middle;
			}
			if (low == other->count ||
			    compare(option, &other->elements[low], &elements->list[i]))
				continue;
			element_text(option, &elements->list[i], text, sizeof(text));
			return smcp_error(EEXIST, "name it in one of the two",
					  "%s: %s is in %s already", policy, text, other->key);
		}
	}
	return 0;
}

/* Sorted, for a value that reads well, and each once. */
static int insert(struct smcpolicy_option *option, const struct elements *elements)
{
	size_t i, n = option->count + elements->count;
	struct element *list;

	if (!elements->count)
		return 0;
	list = reallocarray(option->elements, n, sizeof(*list));
	if (!list) {
		smcp_no_memory();
		return -ENOMEM;
	}
	memcpy(list + option->count, elements->list, elements->count * sizeof(*list));
	qsort_r(list, n, sizeof(*list), by_order, option);
	option->elements = list;
	option->count = 1;
	for (i = 1; i < n; i++)
		if (compare(option, &list[option->count - 1], &list[i]))
			list[option->count++] = list[i];
	return 0;
}

bool smcp_parse_addr(char *text, unsigned char *addr, uint32_t *length)
{
	char *slash = strchr(text, '/');
	uint32_t prefixlen, bits, base = 0, i;
	bool known = true;

	if (slash)
		*slash = 0;
	if (inet_pton(AF_INET, text, addr + 12) == 1) {
		memcpy(addr, v4_mapped, sizeof(v4_mapped));
		base = 96;
	} else {
		known = inet_pton(AF_INET6, text, addr) == 1;
	}
	if (slash)
		*slash = '/';
	if (!known)
		return false;
	bits = 128 - base;
	prefixlen = bits;
	if (slash && (!parse_u32(slash + 1, 0, &prefixlen) || prefixlen > bits))
		return false;
	prefixlen += base;
	*length = prefixlen;
	for (i = prefixlen; i < 128; i++)
		addr[i / 8] &= ~(0x80 >> i % 8);
	return true;
}

static int add_item(const struct smcpolicy_option *option, struct elements *elements, char *item,
		    const char *policy)
{
	struct element element = {};
	uint32_t first, last;
	int err = 0;

	switch (option->type) {
	case LIST_PORT:
		if (!smcp_parse_range(item, &first, &last))
			return smcp_error(EINVAL, "an element is a port, 80, or a range, 8000-8010",
					  "%s: %s: '%s' is not a port", policy, option->key, item);
		if (!first || last > 65535)
			return smcp_error(ERANGE, "ports are 1-65535", "%s: %s: %s is out of range",
					  policy, option->key, item);
		for (; !err && first <= last; first++) {
			element.key.port = first;
			err = append(elements, &element);
		}
		return err;
	case LIST_ADDR:
		if (!smcp_parse_addr(item, element.key.addr.addr, &element.key.addr.prefixlen))
			return smcp_error(EINVAL,
					  "an element is an address or a prefix: 10.0.0.0/8, ::1",
					  "%s: %s: '%s' is not an address", policy, option->key,
					  item);
		break;
	case LIST_U32:
		if (!parse_u32(item, 0, &element.key.u32))
			return smcp_error(EINVAL, "an element is a decimal number",
					  "%s: %s: '%s' is not a number", policy, option->key,
					  item);
		break;
	default:
		if (!*item || strlen(item) >= sizeof(element.key.comm))
			return smcp_error(EINVAL, "the kernel keeps 15 characters of a name",
					  "%s: %s: '%s' is not the name of a thread", policy,
					  option->key, item);
		memcpy(element.key.comm, item, strlen(item));
	}
	return append(elements, &element);
}

/* All elements, or none */
static int add_list(struct smcp_description *desc, struct smcpolicy_option *option,
		    const char *value, const char *policy)
{
	char *copy = strdup(value), *rest = copy, *item;
	struct elements elements = {};
	int err = 0;

	if (!copy) {
		smcp_no_memory();
		return -ENOMEM;
	}
	while (!err && (item = strsep(&rest, ",")))
		err = add_item(option, &elements, item, policy);
	err = err ?: check_other_lists(desc, option, &elements, policy) ?:
	      insert(option, &elements);
	free(elements.list);
	free(copy);
	return err;
}

static int set_rules(struct smcpolicy_option *option, const char *file)
{
	struct smcpolicy_rules *rules = smcpolicy_rules__read(file);

	if (!rules)
		return -errno;
	smcpolicy_rules__free(option->rules);
	option->rules = rules;
	snprintf(option->file, sizeof(option->file), "%s", file);
	return 0;
}

int smcp_option_set(struct smcp_description *desc, struct smcpolicy_option *option,
		    const char *value, const char *policy)
{
	uint32_t number;
	int err;

	if (option->type == OPTION_ENUM) {
		if (!enum_lookup(option, value, &option->number, NULL, 0))
			return smcp_error(EINVAL, "use one of its words",
					  "%s: %s is one of %s, not '%s'", policy, option->key,
					  option->choices, value);
	} else if (option->type == OPTION_U32) {
		if (!parse_u32(value, 0, &number))
			return smcp_error(EINVAL, "use a decimal number",
					  "%s: %s: '%s' is not a number", policy, option->key,
					  value);
		if (number < option->min || number > option->max)
			return smcp_error(ERANGE, "use a number in that range",
					  "%s: %s is %s, not %s", policy, option->key,
					  option->choices, value);
		option->number = number;
	} else {
		err = option->type == OPTION_RULES ? set_rules(option, value) :
		      add_list(desc, option, value, policy);
		if (err)
			return err;
	}
	option->set = true;
	return update_value(option);
}

/* ---- reading ---- */

int smcp_option_read_rodata(struct smcp_description *desc, const void *data, size_t size)
{
	struct smcpolicy_option *option;
	int err = 0;

	for (option = desc->options; option && !err; option = option->next) {
		if (smcpolicy_option__is_list(option))
			continue;
		if (option->offset + sizeof(uint32_t) > size)
			return smcp_error(EINVAL, NULL, "read-only data is shorter than declared");
		if (option->type == OPTION_RULES)
			err = smcp_rules_read_config(option, data, size);
		else
			memcpy(&option->number, data + option->offset, sizeof(uint32_t));
		err = err ?: update_value(option);
	}
	return err;
}

int smcp_option_read_map(struct smcp_description *desc, const char *map, int fd)
{
	struct smcpolicy_option *option;
	struct element element;
	void *previous;
	uint32_t number;
	int err = 0;

	for (option = desc->options; option && !err; option = option->next) {
		struct elements elements = {};

		if (!smcpolicy_option__is_list(option) || strcmp(option->variable, map))
			continue;
		memset(&element, 0, sizeof(element));
		previous = NULL;
		while (!err && !bpf_map_get_next_key(fd, previous, element.key.bytes)) {
			previous = element.key.bytes;
			if (!bpf_map_lookup_elem(fd, element.key.bytes, &number) &&
			    number == option->number)
				err = append(&elements, &element);
		}
		err = err ?: insert(option, &elements) ?: update_value(option);
		free(elements.list);
	}
	return err;
}

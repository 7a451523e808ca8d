// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Files of rules: one rule on each line, of words; lists have commas and no blanks.
 *
 *	prefixes NAME from FILE		or a list of prefixes in place of "from FILE"
 *	VERDICT [client|server] [CONDITION LIST]... [name NAME]
 *	default VERDICT
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>

#include "rules.h"

#define PREFIXES_MAX	(4 << 20)	/* of all sets together */
#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

enum { CLIENT = 1, SERVER = 2 };

/* A file that is read line by line */
struct source {
	FILE *file;
	const char *path;
	unsigned int line;
	char *text;
	size_t size;
};

struct parser {
	struct smcpolicy_rules *rules;
	struct source source;
	char *next;			/* rest of the line */
	char *word;			/* the last word; "" at the end of the line */
	struct smc_rule *rule;		/* the one that is read */
	uint32_t number;
	unsigned int sides;
	bool default_seen;
	/* for servers: what a later "require" may contradict */
	uint32_t *tcp_rules, tcp_count;
};

/* ---- errors ---- */

static int error_at(const struct source *source, const char *at, const char *cure,
		    const char *cause, ...) __format(4, 5);
static int error_at(const struct source *source, const char *at, const char *cure,
		    const char *cause, ...)
{
	unsigned int column = at ? at - source->text + 1 : 1;
	char text[512];
	va_list args;

	va_start(args, cause);
	vsnprintf(text, sizeof(text), cause, args);
	va_end(args);
	return smcp_error(EINVAL, cure, "%s:%u:%u: %s", source->path, source->line, column, text);
}

static int cannot_read(const char *path)
{
	return smcp_error(errno, errno == EACCES ? "run it as root" :
			  errno == ENOENT ? "give the path of a file" : NULL,
			  "cannot read %s: %s", path, strerror(errno));
}

/* ---- lines and words ---- */

static int source_open(struct source *source, const char *path)
{
	struct stat status;

	source->path = path;
	source->file = fopen(path, "re");
	if (!source->file)
		return cannot_read(path);
	if (!fstat(fileno(source->file), &status) && S_ISDIR(status.st_mode)) {
		errno = EISDIR;
		return cannot_read(path);
	}
	return 0;
}

static void source_close(struct source *source)
{
	if (source->file)
		fclose(source->file);
	free(source->text);
}

/* 1: there is a line, without comment and newline; 0: the end */
static int source_line(struct source *source)
{
	ssize_t len;

	errno = 0;
	len = getline(&source->text, &source->size, source->file);
	if (len < 0)
		return ferror(source->file) || errno ? cannot_read(source->path) : 0;
	source->line++;
	if (strlen(source->text) != (size_t)len)
		return error_at(source, source->text + strlen(source->text), "give a text file",
				"there is a NUL byte");
	source->text[strcspn(source->text, "#\r\n")] = 0;
	return 1;
}

static char *next_word(struct parser *parser)
{
	char *word = parser->next + strspn(parser->next, " \t");

	parser->next = word + strcspn(word, " \t");
	if (*parser->next)
		*parser->next++ = 0;
	parser->word = word;
	return word;
}

/* ---- facts ---- */

int smcp_facts_add(struct facts *facts, const struct fact *fact)
{
	struct fact *list;

	if (facts->count == facts->room) {
		facts->room = facts->room ? 2 * facts->room : 16;
		list = reallocarray(facts->list, facts->room, sizeof(*list));
		if (!list) {
			smcp_no_memory();
			return -ENOMEM;
		}
		facts->list = list;
	}
	facts->list[facts->count++] = *fact;
	return 0;
}

static int64_t new_group(struct smcpolicy_rules *rules)
{
	struct smc_rule_class *groups;

	groups = reallocarray(rules->groups, rules->group_count + 1, sizeof(*groups));
	if (!groups) {
		smcp_no_memory();
		return -ENOMEM;
	}
	rules->groups = groups;
	memset(&groups[rules->group_count], 0, sizeof(*groups));
	return rules->group_count++;
}

/* ---- elements of lists; each takes one that ends with NUL ---- */

static int parse_prefix(const struct source *source, char *text, struct fact *fact)
{
	if (smcp_parse_addr(text, fact->key.addr.addr, &fact->key.addr.prefixlen))
		return 0;
	return error_at(source, text, "a prefix is an address, or 10.0.0.0/8, 2001:db8::/32",
			"'%s' is not a prefix", text);
}

static int parse_ports(const struct source *source, char *text, struct fact *fact)
{
	if (!smcp_parse_range(text, &fact->key.number, &fact->last))
		return error_at(source, text, "a port is a number, or a range, 8000-8100",
				"'%s' is not a port", text);
	if (!fact->key.number || fact->last > 65535)
		return error_at(source, text, "ports are 1-65535", "port %s is out of range", text);
	return 0;
}

static int parse_uid(const struct source *source, char *text, struct fact *fact)
{
	if (!smcp_parse_number(text, &fact->key.number))
		return error_at(source, text, "a uid is a decimal number", "'%s' is not a uid",
				text);
	return 0;
}

static int parse_comm(const struct source *source, char *text, struct fact *fact)
{
	if (!*text || strlen(text) >= sizeof(fact->key.comm))
		return error_at(source, text, "the kernel keeps 15 characters of a name",
				"'%s' is not the name of a thread", text);
	memcpy(fact->key.comm, text, strlen(text));
	return 0;
}

static int parse_cgroup(const struct source *source, char *text, struct fact *fact)
{
	char root[PATH_MAX], path[2 * PATH_MAX], cure[sizeof(path) + 32];
	struct stat status;

	if (*text != '/')
		return error_at(source, text, "start it with '/', the root of all cgroups",
				"'%s' is not the path of a cgroup", text);
	smcp_cgroup_root(root, sizeof(root));
	/* below the root, or with it */
	if (!strncmp(text, root, strlen(root)) &&
	    (text[strlen(root)] == '/' || !text[strlen(root)]))
		text += strlen(root);
	while (text[0] && text[strlen(text) - 1] == '/')
		text[strlen(text) - 1] = 0;
	snprintf(path, sizeof(path), "%s%s", root, text);
	if (stat(path, &status) || !S_ISDIR(status.st_mode)) {
		snprintf(cure, sizeof(cure), "make it first: mkdir -p %s", path);
		return error_at(source, text, cure, "there is no cgroup %s", path);
	}
	fact->key.id = status.st_ino;
	fact->path = strdup(text);
	if (!fact->path) {
		smcp_no_memory();
		return -ENOMEM;
	}
	return 0;
}

static int parse_netns(const struct source *source, char *text, struct fact *fact)
{
	int err = smcp_netns_cookie(text, &fact->key.id);

	if (err)
		return error_at(source, text, "ip netns shows those with a name",
				"there is no network namespace %s: %s", text, strerror(-err));
	return 0;
}

static const struct condition {
	const char *word;
	int (*parse)(const struct source *source, char *text, struct fact *fact);
} conditions[SMC_RULE_DIMENSIONS] = {
	[SMC_RULE_PEER]		= { "peer", parse_prefix },
	[SMC_RULE_LOCAL]	= { "local", parse_prefix },
	[SMC_RULE_PORT]		= { "port", parse_ports },
	[SMC_RULE_UID]		= { "uid", parse_uid },
	[SMC_RULE_COMM]		= { "comm", parse_comm },
	[SMC_RULE_CGROUP]	= { "cgroup", parse_cgroup },
	[SMC_RULE_NETNS]	= { "netns", parse_netns },
};

#define CONDITIONS	"peer, local, port, uid, comm, cgroup, netns"

/* ---- prefixes NAME ... ---- */

static struct prefix_set *find_set(const struct smcpolicy_rules *rules, const char *name)
{
	struct prefix_set *set;

	for (set = rules->sets; set; set = set->next)
		if (!strcmp(set->name, name))
			return set;
	return NULL;
}

static int add_prefix(struct smcpolicy_rules *rules, struct prefix_set *set,
		      const struct source *source, char *text)
{
	struct fact fact = {};
	int err = parse_prefix(source, text, &fact);

	if (!err && rules->prefixes++ == PREFIXES_MAX)
		err = error_at(source, text, "merge prefixes that are next to each other",
			       "there are more than %d prefixes", PREFIXES_MAX);
	return err ?: smcp_facts_add(&set->facts, &fact);
}

/* One prefix on each line, at the beginning; what comes after a blank is not looked at. */
static int read_prefixes(struct parser *parser, struct prefix_set *set, const char *name)
{
	const char *slash = strrchr(parser->source.path, '/');
	struct source source = {};
	char path[PATH_MAX];
	int err;

	/* Names are as seen from the file of rules. */
	snprintf(path, sizeof(path), "%.*s%s", *name == '/' || !slash ? 0 :
		 (int)(slash - parser->source.path + 1), parser->source.path, name);
	err = source_open(&source, path);
	if (err)
		err = error_at(&parser->source, parser->word, smcpolicy_error_cure(), "%s",
			       smcpolicy_error_cause());
	while (!err) {
		char *text;

		err = source_line(&source);
		if (err <= 0)
			break;
		text = source.text + strspn(source.text, " \t");
		text[strcspn(text, " \t,;")] = 0;
		err = *text ? add_prefix(parser->rules, set, &source, text) : 0;
	}
	source_close(&source);
	return err;
}

static int for_each_element(struct parser *parser, int (*function)(struct parser *parser,
			    char *text, void *context), void *context)
{
	char *rest = parser->word, *text;
	int err = 0;

	while (!err && (text = strsep(&rest, ",")))
		err = function(parser, text, context);
	return err;
}

static int add_to_set(struct parser *parser, char *text, void *set)
{
	return add_prefix(parser->rules, set, &parser->source, text);
}

static int nothing_more(struct parser *parser)
{
	if (!*next_word(parser))
		return 0;
	return error_at(&parser->source, parser->word, "lists have commas, and no blanks",
			"'%s' is too much", parser->word);
}

static int parse_set(struct parser *parser)
{
	struct prefix_set *set;
	char *name = next_word(parser), cure[64];
	int err;

	if (!*name || strspn(name, NAME_CHARS) != strlen(name))
		return error_at(&parser->source, name, "prefixes NAME from FILE, or prefixes NAME LIST",
				"a name is missing, of letters, digits, '_', '-' and '.'");
	set = find_set(parser->rules, name);
	if (set) {
		snprintf(cure, sizeof(cure), "the other is in line %u", set->line);
		return error_at(&parser->source, name, cure, "there are prefixes %s already",
				name);
	}
	set = calloc(1, sizeof(*set));
	if (set)
		set->name = strdup(name);
	if (!set || !set->name) {
		free(set);
		smcp_no_memory();
		return -ENOMEM;
	}
	set->line = parser->source.line;
	set->group[0] = -1;
	set->group[1] = -1;
	set->next = parser->rules->sets;
	parser->rules->sets = set;
	if (strcmp(next_word(parser), "from")) {
		if (!*parser->word)
			return error_at(&parser->source, parser->word,
					"prefixes NAME from FILE, or prefixes NAME LIST",
					"prefixes %s is empty", name);
		return for_each_element(parser, add_to_set, set) ?: nothing_more(parser);
	}
	if (!*next_word(parser))
		return error_at(&parser->source, parser->word, "prefixes NAME from FILE",
				"the name of a file is missing");
	err = read_prefixes(parser, set, parser->word);
	return err ?: nothing_more(parser);
}

/* ---- rules ---- */

struct list {
	enum smc_rule_dimension dimension;
	int64_t group;		/* of those that the rule names itself; -1: none yet */
};

/* The prefixes @NAME belong to the rule, too. */
static int use_set(struct parser *parser, char *text, enum smc_rule_dimension dimension)
{
	struct smcpolicy_rules *rules = parser->rules;
	struct prefix_set *set = find_set(rules, text + 1);
	int64_t *group;

	if (!set)
		return error_at(&parser->source, text, "name them before: prefixes NAME from FILE",
				"there are no prefixes %s", text + 1);
	group = &set->group[dimension];
	if (*group < 0)
		*group = new_group(rules);
	if (*group < 0)
		return -ENOMEM;
	class_set(&rules->groups[*group], parser->number);
	return 0;
}

static int add_value(struct parser *parser, char *text, void *context)
{
	struct smcpolicy_rules *rules = parser->rules;
	struct list *list = context;
	struct fact fact = {};
	int err;

	if (*text == '@' && list->dimension <= SMC_RULE_LOCAL)
		return use_set(parser, text, list->dimension);
	err = conditions[list->dimension].parse(&parser->source, text, &fact);
	if (err)
		return err;
	if (list->dimension <= SMC_RULE_LOCAL)
		rules->prefixes++;
	if (list->group < 0) {
		list->group = new_group(rules);
		if (list->group < 0)
			return -ENOMEM;
		class_set(&rules->groups[list->group], parser->number);
	}
	fact.group = list->group;
	return smcp_facts_add(&rules->facts[list->dimension], &fact);
}

static int parse_condition(struct parser *parser, enum smc_rule_dimension dimension)
{
	struct list list = { .dimension = dimension, .group = -1 };
	const char *word = parser->word;

	if (class_has(&parser->rules->has[dimension], parser->number))
		return error_at(&parser->source, word, "give one list, with commas",
				"there are two conditions '%s'", word);
	if (!*next_word(parser))
		return error_at(&parser->source, parser->word, "give a list, with commas",
				"'%s' has no value", word);
	class_set(&parser->rules->has[dimension], parser->number);
	return for_each_element(parser, add_value, &list);
}

static int parse_name(struct parser *parser)
{
	char *name = next_word(parser);

	if (!*name || strspn(name, NAME_CHARS) != strlen(name) || strlen(name) >= SMC_RULE_NAME_LEN)
		return error_at(&parser->source, name,
				"letters, digits, '_', '-' and '.', 23 at most",
				"'%s' cannot be the name of a rule", name);
	strcpy(parser->rule->name, name);
	return 0;
}

static const char * const verdict_words[] = {
	[SMC_ULP_PASS] = "pass",
	[SMC_ULP_ALLOW] = "allow",
	[SMC_ULP_DENY] = "deny",
	[SMC_ULP_REQUIRE] = "require",
};

static int parse_verdict(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verdict_words); i++)
		if (!strcmp(word, verdict_words[i]))
			return i;
	return -1;
}

/* Do two rules have a port in common? */
static bool ports_overlap(const struct smcpolicy_rules *rules, uint32_t a, uint32_t b)
{
	const struct facts *facts = &rules->facts[SMC_RULE_PORT];
	size_t i, j;

	if (!class_has(&rules->has[SMC_RULE_PORT], a) || !class_has(&rules->has[SMC_RULE_PORT], b))
		return true;
	for (i = 0; i < facts->count; i++) {
		const struct fact *x = &facts->list[i];

		if (!class_has(&rules->groups[x->group], a))
			continue;
		for (j = 0; j < facts->count; j++) {
			const struct fact *y = &facts->list[j];

			if (class_has(&rules->groups[y->group], b) &&
			    x->key.number <= y->last && y->key.number <= x->last)
				return true;
		}
	}
	return false;
}

/*
 * Whether SMC is required is said when a server listens, for all its peers: no rule may ask for
 * that of some peers, nor allow others of them TCP.
 */
static int check_server(struct parser *parser)
{
	const struct smcpolicy_rules *rules = parser->rules;
	uint32_t verdict = parser->rule->verdict, i, *list;
	bool peer = class_has(&rules->has[SMC_RULE_PEER], parser->number);

	if (!(parser->sides & SERVER))
		return 0;
	if (peer && (verdict == SMC_ULP_REQUIRE || verdict == SMC_ULP_PASS))
		return error_at(&parser->source, NULL,
				"make it a rule for clients: '%s client ...', or leave out 'peer'",
				"'%s' with 'peer' has no meaning for servers, whose peers are not known when they listen",
				verdict_words[verdict]) ;
	if (verdict == SMC_ULP_REQUIRE) {
		for (i = 0; i < parser->tcp_count; i++) {
			char cure[160];

			if (!ports_overlap(rules, parser->tcp_rules[i], parser->number))
				continue;
			snprintf(cure, sizeof(cure),
				 "give one of them other ports, or make one a rule for clients: '%s client ...'",
				 verdict_words[verdict]);
			return error_at(&parser->source, NULL, cure,
					"servers cannot require SMC of the peers that line %u keeps on TCP, and would reset them",
					rules->rules[parser->tcp_rules[i]].line);
		}
	} else if (peer && verdict == SMC_ULP_DENY) {
		list = reallocarray(parser->tcp_rules, parser->tcp_count + 1, sizeof(*list));
		if (!list) {
			smcp_no_memory();
			return -ENOMEM;
		}
		parser->tcp_rules = list;
		list[parser->tcp_count++] = parser->number;
	}
	return 0;
}

static int parse_rule(struct parser *parser, int verdict, const char *text)
{
	struct smcpolicy_rules *rules = parser->rules;
	uint32_t number = rules->config.count + 1;
	struct smc_rule *all;
	int i, err = 0;

	if (number == SMC_RULE_MAX)
		return error_at(&parser->source, parser->word,
				"rules that differ in addresses only can be one: prefixes NAME, and peer @NAME",
				"there are more than %d rules", SMC_RULE_MAX - 1);
	all = reallocarray(rules->rules, number + 1, sizeof(*all));
	if (!all) {
		smcp_no_memory();
		return -ENOMEM;
	}
	rules->rules = all;
	rules->config.count = number;
	parser->number = number;
	parser->rule = &all[number];
	memset(parser->rule, 0, sizeof(*parser->rule));
	parser->rule->verdict = verdict;
	parser->rule->line = parser->source.line;
	snprintf(parser->rule->name, sizeof(parser->rule->name), "rule %u", number);
	snprintf(parser->rule->text, sizeof(parser->rule->text), "%s", text);
	parser->sides = CLIENT | SERVER;

	next_word(parser);
	if (!strcmp(parser->word, "client") || !strcmp(parser->word, "server")) {
		parser->sides = *parser->word == 'c' ? CLIENT : SERVER;
		next_word(parser);
	}
	for (; !err && *parser->word; next_word(parser)) {
		for (i = 0; i < SMC_RULE_DIMENSIONS; i++)
			if (!strcmp(parser->word, conditions[i].word))
				break;
		if (i < SMC_RULE_DIMENSIONS)
			err = parse_condition(parser, i);
		else if (!strcmp(parser->word, "name"))
			err = parse_name(parser);
		else if (!strcmp(parser->word, "client") || !strcmp(parser->word, "server"))
			err = error_at(&parser->source, parser->word,
				       "it comes after the verdict; for both, leave it out",
				       "'%s' is in the wrong place", parser->word);
		else
			err = error_at(&parser->source, parser->word,
				       "a condition is one of " CONDITIONS
				       "; lists have commas and no blanks",
				       "'%s' is not a condition", parser->word);
		if (err)
			return err;
	}
	if (parser->sides & CLIENT)
		class_set(&rules->client, number);
	if (parser->sides & SERVER)
		class_set(&rules->server, number);
	if (verdict == SMC_ULP_ALLOW || verdict == SMC_ULP_REQUIRE)
		class_set(&rules->allow, number);
	return check_server(parser);
}

static int parse_default(struct parser *parser)
{
	const char *word = next_word(parser);
	int verdict = parse_verdict(word);

	if (verdict < 0 || verdict == SMC_ULP_REQUIRE)
		return error_at(&parser->source, word, "default allow, default deny or default pass",
				"'%s' cannot be the default", word);
	if (parser->default_seen)
		return error_at(&parser->source, word, "leave one out", "there are two defaults");
	parser->default_seen = true;
	parser->rules->config.default_verdict = verdict;
	parser->rules->rules[0].line = parser->source.line;
	return nothing_more(parser);
}

static int parse_line(struct parser *parser)
{
	char text[SMC_RULE_TEXT_LEN];
	int verdict;
	size_t len;

	parser->next = parser->source.text;
	snprintf(text, sizeof(text), "%s", parser->source.text + strspn(parser->source.text, " \t"));
	for (len = strlen(text); len && isspace((unsigned char)text[len - 1]); )
		text[--len] = 0;
	next_word(parser);
	if (!*parser->word)
		return 0;
	if (!strcmp(parser->word, "prefixes"))
		return parse_set(parser);
	if (!strcmp(parser->word, "default"))
		return parse_default(parser);
	verdict = parse_verdict(parser->word);
	if (verdict < 0)
		return error_at(&parser->source, parser->word,
				"a line begins with allow, deny, require, pass, prefixes or default",
				"'%s' begins no rule", parser->word);
	return parse_rule(parser, verdict, text);
}

/* What the sets have becomes facts where rules use it. */
static int expand_sets(struct smcpolicy_rules *rules)
{
	struct prefix_set *set;
	int dimension, err = 0;
	size_t i;

	for (set = rules->sets; set; set = set->next) {
		for (dimension = SMC_RULE_PEER; dimension <= SMC_RULE_LOCAL; dimension++) {
			for (i = 0; !err && set->group[dimension] >= 0 && i < set->facts.count;
			     i++) {
				set->facts.list[i].group = set->group[dimension];
				err = smcp_facts_add(&rules->facts[dimension],
						     &set->facts.list[i]);
			}
		}
		free(set->facts.list);
		set->facts = (struct facts){};
	}
	return err;
}

static int read_rules(struct smcpolicy_rules *rules, const char *path)
{
	struct parser parser = { .rules = rules };
	int err = source_open(&parser.source, path);

	while (!err) {
		err = source_line(&parser.source);
		if (err <= 0)
			break;
		err = parse_line(&parser);
	}
	source_close(&parser.source);
	free(parser.tcp_rules);
	return err;
}

struct smcpolicy_rules *smcpolicy_rules__read(const char *path)
{
	struct smcpolicy_rules *rules = calloc(1, sizeof(*rules));
	struct smcp_saved_error saved;

	if (rules)
		rules->rules = calloc(1, sizeof(*rules->rules));
	if (!rules || !rules->rules) {
		free(rules);
		return smcp_no_memory();
	}
	rules->config.default_verdict = SMC_ULP_DENY;
	snprintf(rules->config.file, sizeof(rules->config.file), "%s", path);
	strcpy(rules->rules[0].name, "default");
	if (!read_rules(rules, path) && !expand_sets(rules)) {
		rules->rules[0].verdict = rules->config.default_verdict;
		snprintf(rules->rules[0].text, sizeof(rules->rules[0].text), "default %s",
			 verdict_words[rules->config.default_verdict]);
		if (!smcp_rules_compile(rules))
			return rules;
	}
	smcp_save_error(&saved);
	smcpolicy_rules__free(rules);
	smcp_restore_error(&saved);
	return NULL;
}

void smcpolicy_rules__free(struct smcpolicy_rules *rules)
{
	struct prefix_set *set;
	size_t i, j;

	if (!rules)
		return;
	while ((set = rules->sets)) {
		rules->sets = set->next;
		free(set->name);
		free(set->facts.list);
		free(set);
	}
	for (i = 0; i < SMC_RULE_DIMENSIONS; i++) {
		for (j = 0; j < rules->facts[i].count; j++)
			free((char *)rules->facts[i].list[j].path);
		free(rules->facts[i].list);
		free(rules->entries[i].list);
	}
	free(rules->rules);
	free(rules->groups);
	free(rules->classes);
	free(rules->class_hash);
	free(rules->ports);
	free(rules);
}

uint32_t smcpolicy_rules__count(const struct smcpolicy_rules *rules)
{
	return rules->config.count;
}

size_t smcpolicy_rules__prefix_count(const struct smcpolicy_rules *rules)
{
	return rules->prefixes;
}

uint32_t smcpolicy_rules__class_count(const struct smcpolicy_rules *rules)
{
	return rules->class_count;
}

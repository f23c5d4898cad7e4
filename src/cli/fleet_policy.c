/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet policy`: what is published to many machines, before it is. */
#include "cli/fleet_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cells.h"
#include "cli/cmd.h"
#include "cli/table.h"
#include "fleet/parcel.h"
#include "fleet/rollout.h"
#include "fleet/signature.h"

#define MESSAGES_MAX (1U << 20)
#define KEY_FILE_MAX 4096

static const char usage[] =
	"usage: egret fleet policy pack DIR [-o FILE]\n"
	"       egret fleet policy show FILE [--key KEY]\n"
	"       egret fleet policy try FILE --host NAME [--labels A,B] [--key KEY]\n"
	"       egret fleet policy status [--last TIME] [--config FILE] [--json]\n\n"
	"pack makes the file that is signed and published; show prints what one says; try says "
	"what "
	"a host would take\n"
	"from it; status tells what became of each version on the machines that send to "
	"ClickHouse.\n\n"
	"  --key KEY       who must have signed FILE (FILE.minisig): minisign.pub, or its second "
	"line\n"
	"  --host NAME     the host's name, as web-1\n"
	"  --labels A,B    its labels, as in its egret.conf\n\n"
	"Exit status: 0; 1 when the file cannot be read or is not signed by KEY, or no group takes "
	"the "
	"host; 2 a wrong call.\n";

struct args {
	const char *file, *key, *host;
	char *labels;
};

/* A file and what it says. */
struct opened {
	struct buf bytes, signature;
	struct fleet_parcel parcel;
};

static int read_path(const char *path, struct buf *ret)
{
	_cleanup_free_ char *a = strdup(path), *b = strdup(path);
	_cleanup_close_ int folder = a && b ? file_open_folder(dirname(a)) : -ENOMEM;
	int r = folder < 0 ? folder : file_read(folder, basename(b), ret);

	return r < 0 ? log_errno(r, "cannot read %s", path) : 0;
}

/* minisign.pub has a comment in its first line. */
static int read_key(const char *word, struct fleet_key *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT(KEY_FILE_MAX + FILE_READ_MORE);
	struct str rest, line;

	if (fleet_key_parse(str_of(word), ret) == 0)
		return 0;
	if (read_path(word, &text) < 0)
		return -EINVAL;
	rest = buf_str(&text);
	while (str_cut(&rest, '\n', &line))
		if (fleet_key_parse(str_trim(line), ret) == 0)
			return 0;
	log_error("%s: no public key of minisign", word);
	return -EINVAL;
}

static int verify(const struct args *a, struct opened *o)
{
	char path[PATH_MAX], name[FLEET_KEY_NAME_MAX];
	struct fleet_signature s;
	struct fleet_key key;
	const char *why;
	int r = read_key(a->key, &key);

	if (r < 0)
		return r;
	if ((size_t)snprintf(path, sizeof(path), "%s" FLEET_SIGNATURE_SUFFIX, a->file) >=
	    sizeof(path))
		return -ENAMETOOLONG;
	r = read_path(path, &o->signature);
	if (r < 0)
		return r;
	r = fleet_signature_parse(buf_str(&o->signature), &s, &why);
	if (r == 0)
		r = fleet_signature_verify(&s, buf_str(&o->bytes), &key, 1, &why);
	if (r < 0) {
		log_error("%s: %s", path, why);
		return r;
	}
	printf("signed by %s\n", fleet_key_name(key.id, name));
	return 0;
}

static void opened_done(struct opened *o)
{
	fleet_parcel_done(&o->parcel);
	buf_done(&o->bytes);
	buf_done(&o->signature);
}

static int open_bundle(const struct args *a, struct opened *o)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r;

	*o = (struct opened){ BUF_INIT(FLEET_BUNDLE_MAX + FILE_READ_MORE),
			      BUF_INIT(FLEET_SIGNATURE_MAX + FILE_READ_MORE),
			      { .files = NULL } };
	r = read_path(a->file, &o->bytes);
	if (r == 0 && a->key)
		r = verify(a, o);
	if (r == 0)
		r = fleet_parcel_parse(&o->parcel, buf_str(&o->bytes), &messages);
	fwrite(messages.p ? messages.p : "", 1, messages.n, stderr);
	if (r == 0 && !a->key)
		puts("not verified: no --key is given");
	if (r < 0)
		opened_done(o);
	return r;
}

/* ---- show ---- */

static void print_safe(const char *what, struct str s)
{
	_cleanup_buf_ struct buf text = BUF_INIT(4096);

	cell_put_all(&text, s);
	if (s.n)
		printf("%s%.*s\n", what, STR_FMT(buf_str(&text)));
}

static void cell_any(struct table *t, const struct fleet_manifest *m, struct fleet_any any)
{
	_cleanup_buf_ struct buf text = BUF_INIT(1U << 20);

	for (size_t i = 0; i < any.n; i++) {
		buf_puts(&text, i ? ", " : "");
		buf_put_str(&text, m->values[any.from + i]);
	}
	table_cell(t, any.n ? buf_str(&text) : STR("any"));
}

static void print_groups(const struct fleet_manifest *m)
{
	static const struct table_column columns[] = {
		{ "GROUP" },
		{ "HOSTS", .elastic = true },
		{ "LABELS", .elastic = true },
		{ "POLICY", .elastic = true },
		{ "MODE" },
	};
	struct table *t;

	if (table_new(&t, columns, ARRAY_SIZE(columns)) < 0)
		return;
	for (size_t i = 0; i < m->n_groups; i++) {
		const struct fleet_group *g = &m->groups[i];

		table_cell(t, g->name);
		cell_any(t, m, g->hosts);
		cell_any(t, m, g->labels);
		table_cell(t, g->policy);
		table_cell(t, g->watch ? STR("watch") : STR("enforce"));
	}
	table_print(t, stdout, terminal_width(stdout));
	table_free(t);
}

static const char *in_words(int64_t s, char text[TIME_TEXT_MAX])
{
	return duration_format((uint64_t)s * NSEC_PER_SEC, text);
}

static void print_rollout(const struct fleet_rollout *r)
{
	char text[TIME_TEXT_MAX];

	printf("roll-out: ");
	if (r->watch_s)
		printf("watched for %s, ", in_words(r->watch_s, text));
	if (r->label.n)
		printf("%.*s first, ", STR_FMT(r->label));
	else if (r->canary)
		printf("%u%% of hosts first, ", r->canary);
	if (r->canary || r->label.n)
		printf("all after %s, ", in_words(r->for_s, text));
	else
		printf("all at once, ");
	printf("on trial for %s, ", in_words(fleet_trial_s(r), text));
	if (r->times)
		printf("back when refusals are %u times those of before and more than %llu a "
		       "minute\n",
		       r->times, (unsigned long long)r->over);
	else
		puts("back only when egretd itself is refused");
}

static int show(const struct args *a)
{
	const struct fleet_manifest *m;
	char text[TIME_TEXT_MAX];
	struct opened o;

	if (open_bundle(a, &o) < 0)
		return EXIT_FAILURE;
	m = &o.parcel.manifest;
	printf("version %llu\n", (unsigned long long)m->version);
	print_safe("note: ", m->note);
	if (m->expires_s)
		printf("expires %s\n", time_format((uint64_t)m->expires_s * NSEC_PER_SEC, text));
	print_groups(m);
	print_rollout(&m->rollout);
	for (size_t i = 1; i < o.parcel.n_files; i++)
		print_safe("file ", o.parcel.files[i].name);
	opened_done(&o);
	return EXIT_SUCCESS;
}

/* ---- try ---- */

static int take_labels(char *labels, struct fleet_host *h)
{
	struct str rest = str_of(labels), one;

	while (str_cut(&rest, ',', &one)) {
		one = str_trim(one);
		if (!fleet_word_ok(one) || h->n_labels == FLEET_LABELS_MAX) {
			log_error(
				"--labels: labels with ',' between them are expected, as prod,web");
			return -EINVAL;
		}
		h->labels[h->n_labels++] = one;
	}
	return 0;
}

static void say_turn(const struct fleet_manifest *m, const struct fleet_host *h)
{
	int64_t after = fleet_turn_s(m, h, 0);
	char text[TIME_TEXT_MAX];

	printf("enforced %s%s%s\n", fleet_is_canary(m, h) ? "among the first, " : "",
	       after ? "after " : "at once", after ? in_words(after, text) : "");
}

static int try_host(const struct args *a)
{
	struct fleet_host h = { .name = str_of(a->host) };
	const struct fleet_group *g;
	struct opened o;

	if (take_labels(a->labels, &h) < 0)
		return EXIT_USAGE;
	if (open_bundle(a, &o) < 0)
		return EXIT_FAILURE;
	g = fleet_group_of(&o.parcel.manifest, &h);
	if (g) {
		printf("group %.*s: ", STR_FMT(g->name));
		print_safe(g->watch ? "watch " : "enforce ", g->policy);
		if (!g->watch)
			say_turn(&o.parcel.manifest, &h);
	} else {
		puts("no group takes this host: what is in force there stays");
	}
	opened_done(&o);
	return g ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int look(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "host", required_argument, NULL, 'n' },
		{ "labels", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool tries = !strcmp(argv[0], "try");
	struct args a = { 0 };
	int o;

	optind = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (o == 'k')
			a.key = optarg;
		else if (o == 'n' && tries)
			a.host = optarg;
		else if (o == 'l' && tries)
			a.labels = optarg;
		else
			return EXIT_USAGE;
	}
	if (optind + 1 != argc || tries != (a.host != NULL)) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	a.file = argv[optind];
	return tries ? try_host(&a) : show(&a);
}

static const struct {
	const char *word;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "pack", fleet_policy_pack },
	{ "show", look },
	{ "try", look },
};

int cmd_fleet_policy(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(argv[1], verbs[i].word))
			return verbs[i].run(argc - 1, argv + 1);
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	fputs(usage, stderr);
	return EXIT_USAGE;
}

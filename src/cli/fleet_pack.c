/* SPDX-License-Identifier: Apache-2.0 */
/* `egret fleet policy pack`: a folder becomes the one file that is signed and published, when every host could load its policy. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/human.h"
#include "base/log.h"
#include "base/time.h"
#include "cli/cmd.h"
#include "cli/fleet_policy.h"
#include "cli/policy_check.h"
#include "fleet/parcel.h"
#include "guard/bundle.h"

#define MESSAGES_MAX (1U << 20)

DEFINE_CLEANUP(struct policy, policy_free);
#define _cleanup_policy_ _cleanup_(policy_freep)

static const char usage[] =
	"usage: egret fleet policy pack DIR [-o FILE] [--config FILE]\n\n"
	"Makes one file of DIR/manifest, the policies that its groups name and all that they "
	"include. "
	"Every policy is\n"
	"checked as by egret policy check; with a mistake in any of them nothing is written. Sign "
	"the "
	"file with\n"
	"minisign -Sm FILE, and publish both: FILE first, then FILE.minisig.\n\n"
	"  -o FILE         where it is written (" FLEET_BUNDLE_NAME ")\n"
	"  --config FILE   egret.conf of databases and downloaded lists\n\n"
	"Exit status: 0, or 1 when there are mistakes.\n";

struct pack {
	const char *folder, *out, *config;
	struct buf bytes;
	const char *names[BUNDLE_FILES_MAX]; /* what is in it; borrowed from policies */
	struct policy *policies[FLEET_GROUPS_MAX];
	size_t n_names, n_policies;
};

static int read_manifest(struct buf *text, struct fleet_manifest *ret)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	_cleanup_close_ int here = file_open_folder(".");
	int r = here < 0 ? here : file_read(here, FLEET_MANIFEST, text);

	if (r < 0)
		return log_errno(r, "cannot read " FLEET_MANIFEST);
	r = fleet_manifest_parse(ret, FLEET_MANIFEST, buf_str(text), &messages);
	fwrite(messages.p ? messages.p : "", 1, messages.n, stderr);
	return r;
}

static bool has(const struct pack *p, const char *name)
{
	for (size_t i = 0; i < p->n_names; i++)
		if (!strcmp(p->names[i], name))
			return true;
	return false;
}

/* What a file of the folder names must be in the folder, or be on all hosts. */
static bool check_places(const struct policy *p)
{
	bool ok = true;

	for (size_t i = 0; i < p->n_files; i++) {
		if (fleet_path_ok(p->files[i]))
			continue;
		log_error("%.*s: what a policy of the fleet includes lies in its folder",
			  STR_FMT(p->files[i]));
		ok = false;
	}
	for (size_t i = 0; i < p->n_lists; i++) {
		const struct policy_list *l = &p->lists[i];

		if (!l->path.n || l->path.p[0] == '/')
			continue;
		log_error("list %.*s: files of lists are not sent to hosts: name a url, or a path "
			  "that "
			  "begins with '/' and is there on each of them",
			  STR_FMT(l->name));
		ok = false;
	}
	return ok;
}

static int add_policy(struct pack *p, struct str file)
{
	_cleanup_free_ char *name = strndup(file.p, file.n);
	_cleanup_policy_ struct policy *policy = NULL;

	if (!name)
		return -ENOMEM;
	policy = policy_check_for_others(name, p->config);
	if (!policy || !check_places(policy)) {
		log_error("%s: hosts could not load this policy", name);
		return -EINVAL;
	}
	for (size_t i = 0; i < policy->n_files; i++) {
		struct policy_file f = { policy->files[i], policy->sources[i] };

		if (has(p, f.name.p))
			continue;
		if (p->n_names == ARRAY_SIZE(p->names))
			return log_errno(-E2BIG, "too many files");
		p->names[p->n_names++] = f.name.p;
		bundle_put(&p->bytes, &f, 1);
	}
	p->policies[p->n_policies++] = TAKE_PTR(policy);
	return 0;
}

/* Once more as hosts read it. */
static int check_parcel(const struct pack *p, struct fleet_parcel *ret)
{
	_cleanup_buf_ struct buf messages = BUF_INIT(MESSAGES_MAX);
	int r = p->bytes.failed ? -EFBIG : fleet_parcel_parse(ret, buf_str(&p->bytes), &messages);

	for (size_t i = 0; r == 0 && i < ret->manifest.n_groups; i++) {
		_cleanup_policy_ struct policy *policy = NULL;

		r = fleet_parcel_policy(ret, &ret->manifest.groups[i], &policy, &messages);
	}
	fwrite(messages.p ? messages.p : "", 1, messages.n, stderr);
	return r == -EFBIG ? log_errno(r, "more than %u MiB", FLEET_BUNDLE_MAX >> 20) : r;
}

static int fill(struct pack *p)
{
	_cleanup_buf_ struct buf manifest = BUF_INIT(FLEET_MANIFEST_MAX + FILE_READ_MORE);
	struct fleet_manifest m = { 0 };
	int r = read_manifest(&manifest, &m), failed = 0;

	if (r < 0)
		return r;
	bundle_put(&p->bytes, &(struct policy_file){ STR(FLEET_MANIFEST), buf_str(&manifest) }, 1);
	for (size_t i = 0; i < m.n_groups; i++) {
		bool before = false;

		for (size_t k = 0; k < i; k++)
			before |= str_eq(m.groups[k].policy, m.groups[i].policy);
		r = before ? 0 : add_policy(p, m.groups[i].policy);
		failed = r < 0 ? r : failed;
	}
	fleet_manifest_done(&m);
	return failed;
}

static int write_out(const char *path, struct str bytes)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : file_write_all(fd, bytes);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? log_errno(r, "cannot write %s", path) : 0;
}

static int pack(struct pack *p)
{
	_cleanup_close_ int here = file_open_folder(".");
	struct fleet_parcel parcel = { 0 };
	char size[HUMAN_TEXT_MAX];
	int r;

	if (here < 0 || chdir(p->folder) < 0)
		return log_errno(errno, "cannot go to %s", p->folder);
	r = fill(p);
	if (r == 0)
		r = check_parcel(p, &parcel);
	if (r == 0 && fchdir(here) < 0)
		r = log_errno(errno, "cannot go back");
	if (r == 0)
		r = write_out(p->out, buf_str(&p->bytes));
	if (r == 0)
		printf("%s: version %llu, %zu groups, %zu files, %s\nsign it: minisign -Sm %s\n",
		       p->out, (unsigned long long)parcel.manifest.version,
		       parcel.manifest.n_groups, parcel.n_files, human_bytes(p->bytes.n, size),
		       p->out);
	fleet_parcel_done(&parcel);
	return r;
}

int fleet_policy_pack(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	static struct pack p; /* too large for the stack */
	int o, r;

	p = (struct pack){ .out = FLEET_BUNDLE_NAME,
			   .config = "",
			   .bytes = BUF_INIT(FLEET_BUNDLE_MAX) };
	optind = 0;
	while ((o = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (o == 'o')
			p.out = optarg;
		else if (o == 'c')
			p.config = optarg;
		else
			return EXIT_USAGE;
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	p.folder = argv[optind];
	r = pack(&p);
	for (size_t i = 0; i < p.n_policies; i++)
		policy_free(p.policies[i]);
	buf_done(&p.bytes);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

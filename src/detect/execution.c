/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By whom and how a connection was opened, on a host: by a program that lies where anybody may write or nowhere at all, by a tool told
 * to upload a file, by an interpreter given its program on the command line. Command lines are those of /proc, without secrets
 * (flow/redact.h).
 */
#include <stdio.h>

#include "base/cleanup.h"
#include "detect/detectors.h"
#include "detect/say.h"

static void say(struct detect *d, struct sighting *s, const struct flow *f, enum evidence_id id,
		int db, const char *what)
{
	if (was_said(s->pair, id, db ? db : evidence_rows[id].most))
		return;
	detect_evidence(d, s->pair, id,
			&(struct evidence_in){
				.db = db, .n = s->pair->flows, .flow_id = f->id, .what = what });
}

/* --- where the program lies ----------------------------------------------------------------------------------------- */

static bool is_temporary(struct str exe)
{
	static const char *const folders[] = { "/tmp/",      "/var/tmp/",    "/dev/shm/",
					       "/run/user/", "/dev/mqueue/", "/run/lock/" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (str_has_prefix(exe, str_of(folders[i])))
			return true;
	return false;
}

static void place(struct detect *d, struct sighting *s, const struct flow *f, const struct proc *p)
{
	struct str exe = text_str(p->exe);
	char what[128];

	if (p->exe_state == EXE_MEMFD)
		say(d, s, f, E_EXECUTION, 0, "a program that runs from memory opened a connection");
	else if (is_temporary(exe)) {
		snprintf(what, sizeof(what), "%.*s opened a connection",
			 (int)MIN(exe.n, (size_t)90), exe.p);
		say(d, s, f, E_EXECUTION, 0, what);
	} else if (p->exe_state == EXE_DELETED)
		say(d, s, f, E_EXECUTION, 5, "a program whose file is deleted opened a connection");
}

/* --- what it was told ----------------------------------------------------------------------------------------------- */

struct args {
	struct str rest, arg, before, last; /* last: that is no option */
	size_t n;
};

static bool args_next(struct args *a)
{
	a->before = a->arg;
	if (!a->rest.n || !str_cut(&a->rest, 0, &a->arg))
		return false;
	if (a->n++ && a->arg.n && a->arg.p[0] != '-')
		a->last = a->arg;
	return true;
}

static bool is_any(struct str s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(s, str_of(words[i])))
			return true;
	return false;
}

/* "-T", "-sT", "-T/etc/passwd": curl takes letters together. */
static bool has_letter(struct str arg, char letter)
{
	if (arg.n < 2 || arg.p[0] != '-' || arg.p[1] == '-')
		return false;
	for (size_t i = 1; i < arg.n; i++) {
		if (arg.p[i] == letter)
			return true;
		/* The rest is the value of a letter that takes one. */
		if (strchr("AbcCdDeEFhHKmoPQrtTuUwxXyYz", arg.p[i]))
			return false;
	}
	return false;
}

static bool curl_uploads(struct str args)
{
	static const char *const data[] = { "-d",           "--data",           "--data-binary",
					    "--data-ascii", "--data-urlencode", "--json" };
	static const char *const form[] = { "-F", "--form" };
	struct args a = { .rest = args };

	while (args_next(&a)) {
		const char *at = a.arg.n ? memchr(a.arg.p, '@', a.arg.n) : NULL;

		if (str_eq(a.arg, STR("--upload-file")) || has_letter(a.arg, 'T'))
			return true;
		if (is_any(a.before, data, ARRAY_SIZE(data)) && a.arg.n && a.arg.p[0] == '@')
			return true;
		if (is_any(a.before, form, ARRAY_SIZE(form)) && at && at > a.arg.p && at[-1] == '=')
			return true;
		if (str_has_prefix(a.arg, STR("-d@")) ||
		    str_has_prefix(a.arg, STR("--data-binary=@")))
			return true;
	}
	return false;
}

static bool wget_uploads(struct str args)
{
	struct args a = { .rest = args };

	while (args_next(&a))
		if (str_has_prefix(a.arg, STR("--post-file")) ||
		    str_has_prefix(a.arg, STR("--body-file")))
			return true;
	return false;
}

/* The last one is where it goes; "host:path" and "remote:path" are elsewhere. */
static bool copies_out(struct str args)
{
	struct args a = { .rest = args };
	const char *colon, *slash;

	while (args_next(&a))
		;
	colon = a.last.n ? memchr(a.last.p, ':', a.last.n) : NULL;
	slash = a.last.n ? memchr(a.last.p, '/', a.last.n) : NULL;
	return colon && (!slash || colon < slash);
}

/* ssh, started by scp and rsync, bears the connection; its parent has the command line. */
static const struct proc *told(const struct proc *p)
{
	struct str name = proc_name(p), parent = p->parent ? proc_name(p->parent) : STR_NONE;

	if (str_eq(name, STR("ssh")) &&
	    (str_eq(parent, STR("scp")) || str_eq(parent, STR("rsync"))))
		return p->parent;
	return p;
}

static bool uploads(const struct proc *p)
{
	struct str name = proc_name(p), args = text_str(p->args);

	if (str_eq(name, STR("curl")))
		return curl_uploads(args);
	if (str_glob(STR("wget*"), name))
		return wget_uploads(args);
	if (str_eq(name, STR("scp")) || str_eq(name, STR("rsync")) || str_eq(name, STR("rclone")))
		return copies_out(args);
	return false;
}

static bool is_one_liner(const struct entity *e, struct str args)
{
	static const char *const python[] = { "-c" }, *const perl[] = { "-e", "-E", "-ne", "-Mc" },
				 *const php[] = { "-r" }, *const node[] = { "-e", "--eval", "-p" };
	struct args a = { .rest = args };
	struct str exe = text_str(e->exe);
	const char *slash = exe.n ? memrchr(exe.p, '/', exe.n) : NULL;
	struct str base = slash ? str_sub(exe, (size_t)(slash + 1 - exe.p), exe.n) : exe;

	while (args_next(&a)) {
		if (a.n == 1)
			continue;
		if (!a.arg.n || a.arg.p[0] != '-')
			return false; /* a script's name, and what follows is the script's */
		if (str_glob(STR("py*"), base)     ? is_any(a.arg, python, ARRAY_SIZE(python))
		    : str_glob(STR("php*"), base)  ? is_any(a.arg, php, ARRAY_SIZE(php))
		    : str_glob(STR("node*"), base) ? is_any(a.arg, node, ARRAY_SIZE(node))
						   : is_any(a.arg, perl, ARRAY_SIZE(perl)))
			return true;
	}
	return false;
}

static void flow(struct detect *d, struct sighting *s, const struct flow *f)
{
	const struct entity *e = s->pair->entity;
	char what[128];

	if (!f->proc || !is_outside(f))
		return;
	place(d, s, f, f->proc);
	if (uploads(told(f->proc))) {
		snprintf(what, sizeof(what), "%.*s was told to upload",
			 STR_FMT(str_sub(proc_name(told(f->proc)), 0, 60)));
		say(d, s, f, E_TOOL_UPLOAD, 0, what);
	}
	if (e->class == PROGRAM_INTERPRETER && is_one_liner(e, text_str(f->proc->args)))
		say(d, s, f, E_ONE_LINER, 0, "its program was given on the command line");
}

const struct detector detect_execution = {
	.name = "execution",
	.flow = flow,
};

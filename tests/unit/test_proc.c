/* SPDX-License-Identifier: Apache-2.0 */
/* Process images over fork, exec and exit; stand-ins; and what of command lines may be shown. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "flow/proc.h"
#include "flow/proc_read.h"
#include "flow/redact.h"

#define T0 (1700000000 * NSEC_PER_SEC)
#define PID 0x7fff0000u /* above any pid_max: nothing is found in /proc */

static struct intern *texts;
static struct proc_table *procs;

static int start(void **state)
{
	struct proc_table_config cfg = { .max = 8, .boot_unix_ns = T0 };

	assert_ok(intern_new(&texts, 1000));
	cfg.texts = texts;
	assert_ok(proc_table_new(&procs, &cfg));
	return 0;
}

static int stop(void **state)
{
	procs = proc_table_free(procs);
	assert_int_equal(intern_count(texts), 0);
	texts = intern_free(texts);
	return 0;
}

static struct proc *change(struct event_proc p, uint64_t now_ns)
{
	struct event e = { .type = EVENT_PROC, .time_ns = now_ns, .proc = p };

	return proc_table_event(procs, &e);
}

static struct proc *find(uint32_t pid, uint64_t start_ns, uint32_t uid)
{
	struct event_open o = { .pid = pid, .proc_start_ns = start_ns, .uid = uid };

	return proc_table_find(procs, &o, T0);
}

static struct proc *exec(uint32_t pid, uint64_t start_ns, uint32_t ppid, const char *exe)
{
	return change((struct event_proc){ .change = PROC_EXEC,
					   .pid = pid,
					   .start_ns = start_ns,
					   .ppid = ppid,
					   .exe = str_of(exe),
					   .comm = STR("c") },
		      T0);
}

static struct proc *fork_of(uint32_t ppid, uint32_t pid, uint64_t start_ns)
{
	return change((struct event_proc){ .change = PROC_FORK,
					   .pid = pid,
					   .start_ns = start_ns,
					   .ppid = ppid,
					   .comm = STR("c") },
		      T0);
}

static void a_child_is_its_parents_program_until_it_execs(void **state)
{
	struct proc *shell = exec(PID, NSEC_PER_SEC, 0, "/bin/bash"), *child, *before;

	child = fork_of(PID, PID + 1, 2 * NSEC_PER_SEC);
	assert_str(proc_name(child), "bash");
	assert_ptr_equal(child->parent, shell);
	assert_int_equal(child->start_unix_ns, T0 + 2 * NSEC_PER_SEC);
	before = proc_ref(find(PID + 1, 2 * NSEC_PER_SEC, 0));
	exec(PID + 1, 2 * NSEC_PER_SEC, 0, "/usr/bin/curl");
	child = find(PID + 1, 2 * NSEC_PER_SEC, 0);
	assert_str(proc_name(child), "curl");
	assert_str(text_str(child->exe), "/usr/bin/curl");
	assert_ptr_equal(child->parent, shell);
	assert_int_equal(child->ppid, PID);
	/* Who kept the image from before the exec still sees the shell. */
	assert_str(proc_name(before), "bash");
	proc_put(procs, before);
}

static void ancestors_outlive_their_processes(void **state)
{
	struct proc *p;

	exec(1, 0, 0, "/sbin/init");
	exec(PID, NSEC_PER_SEC, 1, "/usr/sbin/cron");
	fork_of(PID, PID + 1, 2 * NSEC_PER_SEC);
	exec(PID + 1, 2 * NSEC_PER_SEC, PID, "/bin/sh");
	fork_of(PID + 1, PID + 2, 3 * NSEC_PER_SEC);
	exec(PID + 2, 3 * NSEC_PER_SEC, PID + 1, "/usr/bin/curl");
	change((struct event_proc){ .change = PROC_EXIT,
				    .pid = PID + 1,
				    .start_ns = 2 * NSEC_PER_SEC },
	       T0);
	proc_table_tick(procs, T0 + 60 * NSEC_PER_SEC);
	p = find(PID + 2, 3 * NSEC_PER_SEC, 0);
	assert_str(proc_name(p->parent), "sh");
	assert_int_equal(p->parent->ended_ns, T0);
	assert_str(proc_name(p->parent->parent), "cron");
	assert_str(proc_name(p->parent->parent->parent), "init");
	assert_null(p->parent->parent->parent->parent);
	assert_int_equal(proc_table_count(procs), 4);
}

static void what_ended_lingers_and_goes(void **state)
{
	exec(PID, NSEC_PER_SEC, 0, "/usr/bin/curl");
	change((struct event_proc){ .change = PROC_EXIT, .pid = PID, .start_ns = NSEC_PER_SEC },
	       T0);
	proc_table_tick(procs, T0 + 5 * NSEC_PER_SEC);
	/* A notice of its last flow comes late. */
	assert_str(proc_name(find(PID, NSEC_PER_SEC, 0)), "curl");
	proc_table_tick(procs, T0 + 20 * NSEC_PER_SEC);
	assert_int_equal(proc_table_count(procs), 0);
}

static void a_pid_used_again_is_another_process(void **state)
{
	struct proc *old = proc_ref(exec(PID, NSEC_PER_SEC, 0, "/usr/bin/curl"));
	struct proc *now;

	exec(PID, 5 * NSEC_PER_SEC, 0, "/usr/bin/wget"); /* the exit was lost */
	now = find(PID, 5 * NSEC_PER_SEC, 0);
	assert_str(proc_name(now), "wget");
	assert_null(now->parent);
	assert_str(proc_name(find(PID, NSEC_PER_SEC, 0)), "curl");
	assert_int_equal(old->ended_ns, T0);
	proc_put(procs, old);
	/* /proc tells the start in ticks of 10 ms. */
	assert_ptr_equal(find(PID, 5 * NSEC_PER_SEC + 9 * NSEC_PER_MSEC, 0), now);
}

static void another_user_is_another_image(void **state)
{
	struct proc *root = exec(PID, NSEC_PER_SEC, 0, "/usr/sbin/nginx");
	struct proc *www = find(PID, NSEC_PER_SEC, 33);

	assert_ptr_not_equal(root, www);
	assert_int_equal(root->uid, 0);
	assert_int_equal(www->uid, 33);
	assert_str(proc_name(www), "nginx");
	assert_ptr_equal(find(PID, NSEC_PER_SEC, 33), www);
	assert_ptr_equal(find(PID, NSEC_PER_SEC, 0), root);
	change((struct event_proc){ .change = PROC_EXIT, .pid = PID, .start_ns = NSEC_PER_SEC },
	       T0);
	proc_table_tick(procs, T0 + 20 * NSEC_PER_SEC);
	assert_int_equal(proc_table_count(procs), 0);
}

static void programs_without_a_file_say_so(void **state)
{
	struct event_proc e = {
		.change = PROC_EXEC, .pid = PID, .start_ns = 1, .exe = STR("/tmp/x")
	};

	assert_null(proc_exe_note(change(e, T0)));
	e.exe_deleted = true;
	assert_string_equal(proc_exe_note(change(e, T0)), "deleted");
	e.exe_memfd = true;
	assert_string_equal(proc_exe_note(change(e, T0)), "memfd");
	e = (struct event_proc){ .change = PROC_SEEN,
				 .pid = PID + 1,
				 .ppid = 2,
				 .start_ns = 1,
				 .comm = STR("kworker/0:1") };
	assert_string_equal(proc_exe_note(change(e, T0)), "kernel");
	assert_str(proc_name(find(PID + 1, 1, 0)), "kworker/0:1");
}

static void the_unannounced_get_a_stand_in(void **state)
{
	struct event_open o = { .pid = PID, .proc_start_ns = 1, .comm = STR("mystery"), .uid = 7 };
	struct proc *p = proc_table_find(procs, &o, T0);

	assert_str(proc_name(p), "mystery");
	assert_int_equal(p->exe_state, EXE_UNKNOWN);
	assert_int_equal(p->uid, 7);
	o.pid++;
	o.comm = STR_NONE;
	assert_str(proc_name(proc_table_find(procs, &o, T0)), "[pid 2147418113]");
	o.pid = 0;
	assert_string_equal(proc_exe_note(proc_table_find(procs, &o, T0)), "kernel");
	/* Announced later, it gets its real image. */
	exec(PID, 1, 0, "/usr/bin/known");
	o = (struct event_open){ .pid = PID, .proc_start_ns = 1 };
	assert_str(proc_name(proc_table_find(procs, &o, T0)), "known");
}

static void a_full_table_says_so(void **state)
{
	struct proc *held = NULL;

	for (uint32_t i = 0; i < 8; i++)
		assert_non_null(exec(PID + i, 1, 0, "/bin/x"));
	assert_null(exec(PID + 8, 1, 0, "/bin/x"));
	assert_null(find(PID + 9, 1, 0));
	assert_int_equal(proc_table_lost(procs), 2);
	/* One that ended makes room at once, unless somebody holds it. */
	held = proc_ref(find(PID, 1, 0));
	change((struct event_proc){ .change = PROC_EXIT, .pid = PID, .start_ns = 1 }, T0);
	change((struct event_proc){ .change = PROC_EXIT, .pid = PID + 1, .start_ns = 1 }, T0);
	assert_non_null(exec(PID + 8, 1, 0, "/bin/y"));
	assert_str(proc_name(held), "x");
	proc_put(procs, held);
}

/* CLOCK_BOOTTIME start of a process as /proc has it. */
static uint64_t start_of(pid_t pid)
{
	char path[64], text[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	p = strrchr(text, ')');
	for (int i = 0; i < 20; i++)
		p = strchr(p + 1, ' ');
	return strtoull(p + 1, NULL, 10) * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void proc_is_read_only_of_the_same_process(void **state)
{
	struct proc_read *r = malloc(sizeof(*r));
	uint64_t began = start_of(getpid());

	assert_ok(proc_read(r, (uint32_t)getpid(), began + 5 * NSEC_PER_MSEC));
	assert_int_equal(r->ppid, getppid());
	assert_int_equal(r->exe_state, EXE_FILE);
	assert_non_null(strstr(r->exe, "test_proc"));
	assert_true(r->n_args > 0);
	assert_err(proc_read(r, (uint32_t)getpid(), began + NSEC_PER_SEC), -ESRCH);
	assert_err(proc_read(r, (uint32_t)getpid(), began - 1), -ESRCH);
	assert_err(proc_read(r, PID, 1), -ESRCH);
	free(r);
}

static void a_memfd_program_is_recognised_in_proc(void **state)
{
	struct proc_read *r = malloc(sizeof(*r));
	int fd = memfd_create("hidden", 0), ready[2];
	char copy[1 << 16];
	FILE *self = fopen("/bin/sleep", "r");
	size_t n;
	pid_t pid;
	char c;

	assert_non_null(self);
	while ((n = fread(copy, 1, sizeof(copy), self)) > 0)
		assert_int_equal(write(fd, copy, n), n);
	fclose(self);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char *argv[] = { "sleep", "60", NULL };

		fexecve(fd, argv, environ);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0); /* closed by the exec */
	close(ready[0]);
	assert_ok(proc_read(r, (uint32_t)pid, start_of(pid)));
	assert_int_equal(r->exe_state, EXE_MEMFD);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	free(r);
}

static void secrets_are_left_out(void **state)
{
	/* '|' stands for the NUL between arguments. */
	static const char *const cases[][2] = {
		{ "curl|-s|https://a.example/x?y=1", NULL },
		{ "prog|--password=hunter2|file", "prog|--password=***|file" },
		{ "prog|--password|hunter2|file", "prog|--password|***|file" },
		{ "prog|--password|--verbose", NULL },
		{ "env|API_KEY=abc def|AWS_SECRET_ACCESS_KEY=x/y+z=|cmd",
		  "env|API_KEY=***|AWS_SECRET_ACCESS_KEY=***|cmd" },
		{ "curl|https://a.example/?token=abc&x=1#t",
		  "curl|https://a.example/?token=***&x=1#t" },
		{ "curl|-H|Authorization: Bearer abc.def|-H|Accept: text/html",
		  "curl|-H|Authorization: ***|-H|Accept: text/html" },
		{ "curl|-HX-Api-Key:abc", "curl|-HX-Api-Key:***" },
		{ "curl|-u|me:secret|https://me:secret@a.example/p",
		  "curl|-u|me:***|https://me:***@a.example/p" },
		{ "git|clone|https://user@a.example:8443/r", NULL },
		{ "git|clone|ssh://a.example:22/r@x", NULL },
		{ "curl|-d|{\"user\":\"me\",\"password\": \"a b\",\"n\":1}",
		  "curl|-d|{\"user\":\"me\",\"password\": ***,\"n\":1}" },
		{ "/usr/bin/mysql|-psecret|db", "/usr/bin/mysql|-p***|db" },
		{ "ssh|-p2222|host", NULL },
		{ "mkdir|-pv|a/b", NULL },
		{ "sshpass|-p|secret|ssh|-p|22|host", "sshpass|-p|***|ssh|-p|***|host" },
		{ "openssl|rsa|-passin|pass:abc", "openssl|rsa|-passin|pass:***" },
		{ "docker|run|my-auth:1.2|bypass=1x", "docker|run|my-auth:1.2|bypass=***" },
		{ "passive=1|author=me|compass", NULL },
		{ "a||b|", NULL },
		{ "x|--token=", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *want = cases[i][1] ? cases[i][1] : cases[i][0];
		struct buf out = BUF_INIT(4096);
		char *args = strdup(cases[i][0]);
		struct str s = str_of(args);

		/* A last NUL is not part of what redaction is given. */
		if (s.n && args[s.n - 1] == '|')
			s.n--;
		for (size_t k = 0; k < s.n; k++)
			if (args[k] == '|')
				args[k] = 0;
		redact_args(s, &out);
		for (size_t k = 0; k < out.n; k++)
			if (!out.p[k])
				out.p[k] = '|';
		if (want[strlen(want) - 1] == '|')
			buf_putc(&out, '|');
		assert_str(buf_str(&out), want);
		buf_done(&out);
		free(args);
	}
}

static void images_keep_their_arguments_redacted(void **state)
{
	struct proc *p = change((struct event_proc){ .change = PROC_EXEC,
						     .pid = PID,
						     .start_ns = 1,
						     .exe = STR("/bin/x"),
						     .args = STR("x\0--token=abc\0") },
				T0);

	assert_int_equal(p->args->n, strlen("x") + 1 + strlen("--token=***"));
	assert_memory_equal(p->args->p, "x\0--token=***", p->args->n);
	assert_false(p->args_cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_child_is_its_parents_program_until_it_execs,
						start, stop),
		cmocka_unit_test_setup_teardown(ancestors_outlive_their_processes, start, stop),
		cmocka_unit_test_setup_teardown(what_ended_lingers_and_goes, start, stop),
		cmocka_unit_test_setup_teardown(a_pid_used_again_is_another_process, start, stop),
		cmocka_unit_test_setup_teardown(another_user_is_another_image, start, stop),
		cmocka_unit_test_setup_teardown(programs_without_a_file_say_so, start, stop),
		cmocka_unit_test_setup_teardown(the_unannounced_get_a_stand_in, start, stop),
		cmocka_unit_test_setup_teardown(a_full_table_says_so, start, stop),
		cmocka_unit_test(proc_is_read_only_of_the_same_process),
		cmocka_unit_test(a_memfd_program_is_recognised_in_proc),
		cmocka_unit_test(secrets_are_left_out),
		cmocka_unit_test_setup_teardown(images_keep_their_arguments_redacted, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

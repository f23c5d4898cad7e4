/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who passes for which program: this program copies itself, lets the copies pass by their paths, and tries to borrow
 * their rights. Each attempt is one datagram of a process in the watched cgroup: 0 passed, 1 refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "bpf/host.skel.h"
#include "bpf/who_abi.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define PORT 4000
#define PASSED 0
#define REFUSED 1
#define BROKEN 90 /* and above: the attempt itself failed */

static char dir[64], self[4096];
static struct policy_image *image;

static const char *at(const char *name)
{
	static char path[8][256];
	static unsigned int n;
	char *p = path[n++ % 8];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* --- what the copies do ----------------------------------------------------------------------------------------- */

static int dial(void)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, PORT, &len);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return BROKEN;
	if (!connect(fd, (struct sockaddr *)&a, len) && send(fd, "x", 1, 0) == 1)
		return PASSED;
	return errno == EPERM ? REFUSED : BROKEN + 1;
}

static int wait_status(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return BROKEN + 2;
	return WEXITSTATUS(status);
}

static int run(const char *path, const char *what, const char *from, const char *to)
{
	pid_t pid = fork();

	if (!pid) {
		execl(path, path, what, from, to, NULL);
		_exit(BROKEN + 3);
	}
	return wait_status(pid);
}

/* Forks, leaves its session, forks: whoever is left has no parent that knows it. Then it becomes another program. */
static int far_child(const char *program)
{
	int ends[2], status = BROKEN + 4;

	if (pipe(ends) || fork())
		return close(ends[1]),
		       read(ends[0], &status, sizeof(status)) < 0 ? BROKEN + 5 : status;
	setsid();
	if (fork())
		_exit(0);
	usleep(20000); /* the one between is gone */
	status = run(program, "dial", NULL, NULL);
	if (write(ends[1], &status, sizeof(status)) < 0)
		_exit(1);
	_exit(0);
}

/* argv: program, what, from, to; or, as an interpreter: program, what, script. */
static int act(char **argv)
{
	const char *what = argv[1];

	if (!strcmp(what, "rename") && rename(argv[2], argv[3]))
		return BROKEN + 6;
	if (!strcmp(what, "unlink") && unlink(argv[2]))
		return BROKEN + 7;
	if (!strcmp(what, "become"))
		execl(argv[2], argv[2], "dial", NULL);
	if (!strcmp(what, "far"))
		return far_child(argv[2]);
	return dial();
}

/* --- attempts --------------------------------------------------------------------------------------------------- */

struct attempt {
	int (*prepare)(void); /* in the child, before it runs the program; 0 */
	const char *program, *what, *from, *to;
};

static int try_it(void *arg)
{
	const struct attempt *t = arg;
	int r = t->prepare ? t->prepare() : 0;

	return r ? r : run(t->program, t->what ? t->what : "dial", t->from, t->to);
}

static int try(struct live *l, struct attempt t)
{
	return live_run(l, try_it, &t);
}

#define TRY(...) try(l, (struct attempt){ __VA_ARGS__ })

static void copy_to(const char *path)
{
	_cleanup_close_ int from = open(self, O_RDONLY | O_CLOEXEC),
			    to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	struct stat st;

	assert_true(from >= 0 && to >= 0 && !fstat(from, &st));
	while (sendfile(to, from, NULL, st.st_size) > 0)
		;
}

static void write_to(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	assert_ok(fclose(f));
}

static void set_policy(struct live *l, const char *rules)
{
	struct compile_config cfg = { .name_key = attach_name_key(l->attach),
				      .enforce = true,
				      .to_s = INT32_MAX };
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 20), text = BUF_INIT(1 << 16);
	struct policy *p = NULL;
	char error[256] = "";
	uint32_t gen;
	size_t n;

	for (; *rules; rules++) {
		if (*rules == '@')
			buf_puts(&text, dir);
		else
			buf_putc(&text, *rules);
	}
	if (policy_parse(&p, "test", buf_str(&text), STR_NONE, &messages) ||
	    policy_compile(&image, p, &cfg, &messages))
		fail_msg("%s", messages.p);
	policy_free(p);
	policy_image_bytes(image, &n);
	if (attach_policy_load(l->attach, policy_image_bytes(image, &n), n, &gen, error))
		fail_msg("%s", error);
}

#define RULES                                                \
	"resolvers none\n"                                   \
	"app good = \"@/good\"\napp script = \"@/run.sh\"\n" \
	"app root = tree of \"@/root\"\n"                    \
	"allow app good, script, root to any\ndefault deny\n"

static int begin(void **state)
{
	struct live *l = *state;
	static const char *const names[] = { "good", "evil", "interp", "root", "other" };

	live_begin(state);
	attach_policy_clear(l->attach);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		unlink(at(names[i]));
		copy_to(at(names[i]));
	}
	image = policy_image_free(image);
	set_policy(l, RULES);
	return 0;
}

static void test_path(void **state)
{
	struct live *l = *state;

	assert_int_equal(TRY(NULL, at("good")), PASSED);
	assert_int_equal(TRY(NULL, at("evil")), REFUSED);
	/* a longer and a shorter path are others */
	copy_to(at("good2"));
	assert_int_equal(TRY(NULL, at("good2")), REFUSED);
	unlink(at("good2"));
	attach_policy_clear(l->attach);
	assert_int_equal(TRY(NULL, at("evil")), PASSED);
}

static void test_links(void **state)
{
	struct live *l = *state;

	assert_ok(link(at("good"), at("hard")));
	assert_ok(symlink(at("good"), at("soft")));
	assert_int_equal(TRY(NULL, at("hard")), REFUSED);
	assert_int_equal(TRY(NULL, at("soft")), PASSED); /* it is the same file at its own path */
	unlink(at("hard"));
	unlink(at("soft"));
	assert_ok(symlink(at("evil"), at("soft")));
	assert_int_equal(TRY(NULL, at("soft")), REFUSED);
	unlink(at("soft"));
}

/* What a process runs was settled when it began to. */
static void test_rename(void **state)
{
	struct live *l = *state;

	assert_int_equal(TRY(NULL, at("evil"), "rename", at("evil"), at("good")), REFUSED);
	/* whoever put that file there may write there: from the next exec on it is the program of this path */
	assert_int_equal(TRY(NULL, at("good")), PASSED);
	assert_int_equal(TRY(NULL, at("good"), "rename", at("good"), at("gone")), PASSED);
	assert_int_equal(TRY(NULL, at("gone")), REFUSED);
	unlink(at("gone"));
	copy_to(at("good"));
	assert_int_equal(TRY(NULL, at("good"), "unlink", at("good")), PASSED);
}

static int private_mounts(void)
{
	return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)
		       ? BROKEN + 8
		       : 0;
}

static int bind_evil_over_good(void)
{
	return private_mounts() || mount(at("evil"), at("good"), NULL, MS_BIND, NULL) ? BROKEN + 9
										      : 0;
}

static int bind_good_over_evil(void)
{
	return private_mounts() || mount(at("good"), at("evil"), NULL, MS_BIND, NULL) ? BROKEN + 9
										      : 0;
}

static int copy_quietly(const char *from, const char *to)
{
	int a = open(from, O_RDONLY | O_CLOEXEC),
	    b = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	struct stat st;

	if (a < 0 || b < 0 || fstat(a, &st))
		return BROKEN + 10;
	while (sendfile(b, a, NULL, st.st_size) > 0)
		;
	close(a);
	close(b);
	return 0;
}

static int tmpfs_over_folder(void)
{
	if (private_mounts() || mount("x", dir, "tmpfs", 0, NULL))
		return BROKEN + 9;
	return copy_quietly(self, at("good"));
}

/* Root of a namespace of its own, as anybody may be. */
static int own_user_namespace(void)
{
	if (unshare(CLONE_NEWUSER))
		return BROKEN + 11;
	write_to("/proc/self/setgroups", "deny");
	write_to("/proc/self/uid_map", "0 0 1");
	write_to("/proc/self/gid_map", "0 0 1");
	return 0;
}

static int tmpfs_of_a_user(void)
{
	if (own_user_namespace())
		return BROKEN + 11;
	return tmpfs_over_folder();
}

static int overlay_of_a_user(void)
{
	char options[512];

	if (own_user_namespace() || private_mounts() || mount("x", "/mnt", "tmpfs", 0, NULL) ||
	    mkdir("/mnt/up", 0755) || mkdir("/mnt/work", 0755))
		return BROKEN + 9;
	snprintf(options, sizeof(options), "lowerdir=%s,upperdir=/mnt/up,workdir=/mnt/work", dir);
	return mount("x", dir, "overlay", 0, options) ? BROKEN + 12 : 0;
}

static int jail(void)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/jail", dir);
	return private_mounts() || (mkdir(path, 0755) && errno != EEXIST) ||
			       mount("/", path, NULL, MS_BIND, NULL) || chroot(path) || chdir("/")
		       ? BROKEN + 13
		       : 0;
}

/* Mounts are not looked at: neither who binds, nor what over, nor where the root is, changes which file it is. */
static void test_mounts(void **state)
{
	struct live *l = *state;

	assert_int_equal(TRY(bind_evil_over_good, at("good")), REFUSED);
	assert_int_equal(TRY(bind_good_over_evil, at("evil")), PASSED);
	assert_int_equal(TRY(private_mounts, at("good")), PASSED);
	assert_int_equal(TRY(tmpfs_over_folder, at("good")), REFUSED);
	assert_int_equal(TRY(tmpfs_of_a_user, at("good")), REFUSED);
	assert_int_equal(TRY(overlay_of_a_user, at("good")), REFUSED);
	assert_int_equal(TRY(jail, at("good")), PASSED);
	assert_int_equal(TRY(jail, at("evil")), REFUSED);
	rmdir(at("jail"));
}

static void unmount_all(void)
{
	umount2(at("again"), MNT_DETACH);
	umount2(at("mnt"), MNT_DETACH);
}

static int tmpfs_where_it_was(void)
{
	if (own_user_namespace() || private_mounts() || mount("x", at("mnt"), "tmpfs", 0, NULL))
		return BROKEN + 9;
	return copy_quietly(self, at("mnt/good"));
}

/* A file system that the host mounts while we watch, is mounted twice, and goes: its number may be another's then. */
static void test_new_mount(void **state)
{
	struct live *l = *state;

	image = policy_image_free(image);
	set_policy(l, "resolvers none\nallow app \"@/mnt/good\" to any\ndefault deny\n");
	assert_ok(mkdir(at("mnt"), 0755));
	assert_ok(mkdir(at("again"), 0755));
	atexit(unmount_all);
	assert_ok(mount("x", at("mnt"), "tmpfs", 0, NULL));
	assert_ok(mount(at("mnt"), at("again"), NULL, MS_BIND, NULL));
	copy_to(at("mnt/good"));
	assert_ok(attach_sweep(l->attach));
	assert_int_equal(TRY(NULL, at("mnt/good")), PASSED);
	assert_int_equal(TRY(NULL, at("again/good")), PASSED); /* the same file */
	unmount_all();
	assert_ok(attach_sweep(l->attach));
	assert_int_equal(TRY(tmpfs_where_it_was, at("mnt/good")), REFUSED);
	rmdir(at("again"));
	rmdir(at("mnt"));
}

static int exec_fd(int fd)
{
	char *const argv[] = { (char *)at("good"), "dial", NULL };
	pid_t pid = fork();

	if (!pid) {
		fexecve(fd, argv, environ);
		_exit(BROKEN + 3);
	}
	return wait_status(pid);
}

static int run_memfd(void *arg)
{
	char name[32];
	int fd = memfd_create("good", 0);

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return fd < 0 || copy_quietly(self, name) ? BROKEN : exec_fd(fd);
}

static int run_deleted(void *arg)
{
	int fd;

	if (copy_quietly(self, at("good.tmp")) || rename(at("good.tmp"), at("good")))
		return BROKEN;
	fd = open(at("good"), O_PATH | O_CLOEXEC);
	return fd < 0 || unlink(at("good")) ? BROKEN : exec_fd(fd);
}

static void test_nameless(void **state)
{
	struct live *l = *state;

	assert_int_equal(live_run(l, run_memfd, NULL), REFUSED);
	assert_int_equal(live_run(l, run_deleted, NULL), REFUSED);
}

static int here(void)
{
	return chdir(dir) ? BROKEN : 0;
}

static void test_scripts(void **state)
{
	struct live *l = *state;
	char text[256], roundabout[512];

	snprintf(text, sizeof(text), "#!%s dial\n", at("interp"));
	write_to(at("run.sh"), text);
	write_to(at("evil.sh"), text);
	assert_ok(chmod(at("run.sh"), 0755));
	assert_ok(chmod(at("evil.sh"), 0755));
	assert_int_equal(TRY(NULL, at("run.sh")), PASSED);
	assert_int_equal(TRY(NULL, at("evil.sh")), REFUSED);
	assert_int_equal(TRY(NULL, at("interp")), REFUSED);
	/* given to the interpreter, it is an argument like any other */
	assert_int_equal(TRY(NULL, at("interp"), at("run.sh")), REFUSED);
	assert_int_equal(TRY(here, "./run.sh"), REFUSED);
	snprintf(roundabout, sizeof(roundabout), "%s/../%s/run.sh", dir, strrchr(dir, '/') + 1);
	assert_int_equal(TRY(NULL, roundabout), REFUSED);
	assert_ok(symlink(at("run.sh"), at("link.sh")));
	assert_int_equal(TRY(NULL, at("link.sh")), REFUSED);
	unlink(at("link.sh"));
	assert_int_equal(TRY(private_mounts, at("run.sh")), REFUSED);
	assert_int_equal(TRY(jail, at("run.sh")), REFUSED);
	rmdir(at("jail"));
	/* what a script becomes is no script any more */
	snprintf(text, sizeof(text), "#!/bin/sh\nexec %s dial\n", at("evil"));
	write_to(at("run.sh"), text);
	assert_int_equal(TRY(NULL, at("run.sh")), REFUSED);
}

/* A tree holds over forks, sessions and other programs, and nobody else gets in. */
static void test_trees(void **state)
{
	struct live *l = *state;

	assert_int_equal(TRY(NULL, at("root")), PASSED);
	assert_int_equal(TRY(NULL, at("other")), REFUSED);
	assert_int_equal(TRY(NULL, at("root"), "become", at("other")), PASSED);
	assert_int_equal(TRY(NULL, at("root"), "far", at("other")), PASSED);
	assert_int_equal(TRY(NULL, at("evil"), "far", at("other")), REFUSED);
}

static uint64_t trees_of(void *ctx, struct str exe)
{
	return policy_trees_of(ctx, exe);
}

/* A tree that a policy names for the first time while its root runs already. */
static void test_trees_of_running(void **state)
{
	struct live *l = *state;
	int in[2], out[2];
	char byte = 1;
	pid_t pid;

	attach_policy_clear(l->attach);
	image = policy_image_free(image);
	assert_ok(pipe(in));
	assert_ok(pipe(out));
	pid = fork();
	if (!pid) {
		live_enter(l, HERE);
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(at("root"), at("root"), "serve", at("other"), NULL);
		_exit(BROKEN);
	}
	assert_int_equal(read(out[0], &byte, 1), 1); /* it runs, and so does its child */
	set_policy(l, RULES);
	assert_ok(attach_trees(l->attach, trees_of, image));
	assert_int_equal(write(in[1], &byte, 1), 1);
	assert_int_equal(wait_status(pid), PASSED);
	assert_int_equal(TRY(NULL, at("other")), REFUSED);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/* "serve": a child waits for a byte, then becomes the other program. */
static int serve(const char *program)
{
	char byte = 1;
	pid_t pid = fork();

	if (!pid) {
		if (write(1, &byte, 1) != 1 || read(0, &byte, 1) != 1)
			_exit(BROKEN);
		execl(program, program, "dial", NULL);
		_exit(BROKEN);
	}
	return wait_status(pid);
}

static int as_nobody(void)
{
	return setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) ? BROKEN + 14 : 0;
}

/* Whoever starts a program is its user, also when the file lends it another's rights. */
static void test_users(void **state)
{
	struct live *l = *state;

	image = policy_image_free(image);
	set_policy(l, "resolvers none\nallow user 65534 to any\ndefault deny\n");
	assert_int_equal(TRY(NULL, at("evil")), REFUSED);
	assert_int_equal(TRY(as_nobody, at("evil")), PASSED);
	assert_ok(chmod(at("good"), 04755));
	assert_int_equal(TRY(as_nobody, at("good")), PASSED);
	image = policy_image_free(image);
	set_policy(l, "resolvers none\nallow user 0 to any\nallow group 65534 app \"@/other\" to "
		      "any\ndefault deny\n");
	assert_int_equal(TRY(as_nobody, at("good")), REFUSED);
	assert_int_equal(TRY(as_nobody, at("other")), PASSED);
	assert_int_equal(TRY(NULL, at("good")), PASSED);
}

/* No room to write down a program: it is unknown, and so is all that it becomes. */
static void test_full(void **state)
{
	struct live *l = *state;
	struct bpf_map *map = l->attach->skel->maps.eg_processes;
	uint32_t first = 0x40000000, n = 0;
	struct eg_process p = { .start_ns = 1 };
	int fd = bpf_map__fd(map), got, tries = 0;

	/* Whoever ends on this machine meanwhile makes room for one. */
	do {
		for (;; n++) {
			uint32_t pid = first + n;

			if (bpf_map_update_elem(fd, &pid, &p, BPF_ANY))
				break;
			assert_true(n < 2 * bpf_map__max_entries(map));
		}
		assert_true(n > 0);
		got = TRY(NULL, at("good"));
	} while (got != REFUSED && ++tries < 50);
	assert_int_equal(got, REFUSED);
	while (n--) {
		uint32_t pid = first + n;

		bpf_map_delete_elem(fd, &pid);
	}
	assert_int_equal(TRY(NULL, at("good")), PASSED);
	assert_ok(attach_sweep(l->attach));
	assert_true(l->lost[LOSS_MAP_WHO] > 0);
}

/* Becomes one program after another and connects as each: a verdict is always that of the program that asks. */
static int race(void *arg)
{
	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();

		if (!pid) {
			execl(at("good"), "x", "become", i & 1 ? at("evil") : at("good"), NULL);
			_exit(BROKEN);
		}
		if (wait_status(pid) != (i & 1 ? REFUSED : PASSED))
			return 2;
	}
	return 0;
}

static void test_exec_race(void **state)
{
	struct live *l = *state;
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			live_enter(l, HERE);
			_exit(race(NULL));
		}
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(wait_status(pid[i]), 0);
}

static int tear_down(void **state)
{
	static const char *const names[] = { "good",  "evil",   "interp", "root",
					     "other", "run.sh", "evil.sh" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(at(names[i]));
	rmdir(dir);
	image = policy_image_free(image);
	return live_teardown(state);
}

int main(int argc, char **argv)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_path),    TEST(test_links),     TEST(test_rename),
		TEST(test_mounts),  TEST(test_new_mount), TEST(test_nameless),
		TEST(test_scripts), TEST(test_trees),     TEST(test_trees_of_running),
		TEST(test_users),   TEST(test_full),      TEST(test_exec_race),
	};
	ssize_t n;

	if (argc > 2 && !strcmp(argv[1], "serve"))
		return serve(argv[2]);
	if (argc > 1)
		return act(argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	snprintf(dir, sizeof(dir), "/tmp/egret-identity-XXXXXX");
	if (n <= 0 || !mkdtemp(dir) || chmod(dir, 0755))
		return 1;
	return cmocka_run_group_tests(tests, live_setup, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where programs come from, in a tree of files that looks like a host's. Files of root are only had by root. */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/origin.h"
#include "flow/proc.h"

static char root[] = "/tmp/egret-origin-XXXXXX";
static struct origin *origin;

static const char *at(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s%s", root, name);
	return path;
}

static void put(const char *name, const char *content, mode_t mode)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s", at(name));
	for (char *p = strchr(path + sizeof(root), '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	assert_ok(chmod(path, mode));
}

static int start(void **state)
{
	assert_ok(origin_new(&origin, root));
	return 0;
}

static int del(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return ftw->level ? remove(path) : 0;
}

static int stop(void **state)
{
	origin = origin_free(origin);
	return nftw(root, del, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect(const char *path, const char *want)
{
	assert_string_equal(exe_origin_name(origin_of_path(origin, str_of(path), NSEC_PER_SEC)),
			    want);
}

static void debian(void)
{
	put("/usr/bin/curl", "", 0755);
	put("/usr/bin/bash", "", 0755);
	put("/usr/bin/dash", "", 0755);
	put("/usr/bin/handmade", "", 0755);
	put("/usr/bin/writable", "", 0775);
	put("/usr/local/bin/tool", "", 0755);
	assert_ok(symlink("usr/bin", at("/bin")));
	put("/var/lib/dpkg/info/curl.list",
	    "/.\n/usr\n/usr/bin\n/usr/bin/curl\n/usr/bin/writable\n", 0644);
	put("/var/lib/dpkg/info/bash.list", "/.\n/bin\n/bin/bash\n", 0644);
	put("/var/lib/dpkg/info/curl.md5sums", "x  /usr/bin/handmade\n/usr/bin/handmade\n", 0644);
	put("/var/lib/dpkg/diversions", "/bin/sh\n/bin/dash\ndash\n", 0644);
}

static void packages_own_what_is_in_their_lists(void **state)
{
	debian();
	assert_int_equal(origin_paths(origin), 0); /* not before it is asked */
	expect("/usr/bin/curl", "package");
	expect("/bin/curl", "package"); /* as seen through the link */
	expect("/usr/bin/bash", "package");
	expect("/usr/bin/dash", "package"); /* diverted */
	expect("/usr/bin/handmade", "local");
	expect("/usr/bin/writable", "local");
	expect("/usr/local/bin/tool", "local");
	expect("/usr/bin/nothing", "unknown");
	expect("/usr/bin", "unknown");
	expect("", "unknown");
	expect("curl", "unknown");
	assert_int_equal(origin_paths(origin), 9);
	assert_int_equal(origin_lost(origin), 0);
}

static void a_file_of_another_user_is_not_the_packages(void **state)
{
	debian();
	assert_ok(chown(at("/usr/bin/curl"), 65534, 65534));
	expect("/usr/bin/curl", "local");
	expect("/usr/bin/bash", "package");
}

static void other_systems_have_system_folders(void **state)
{
	put("/usr/bin/curl", "", 0755);
	put("/usr/bin/open", "", 0777);
	put("/opt/vendor/agent", "", 0755);
	put("/usr/local/bin/tool", "", 0755);
	put("/srv/app/run", "", 0755);
	put("/nix/store/abc/bin/curl", "", 0755);
	expect("/usr/bin/curl", "system");
	expect("/usr/bin/open", "local");
	expect("/opt/vendor/agent", "system");
	expect("/usr/local/bin/tool", "local");
	expect("/srv/app/run", "local");
	expect("/nix/store/abc/bin/curl", "system");
}

static void places_that_are_nobodys(void **state)
{
	static const char *const temp[] = { "/tmp/.x", "/var/tmp/a/b", "/dev/shm/x",
					    "/run/user/1000/x" };

	for (size_t i = 0; i < ARRAY_SIZE(temp); i++)
		expect(temp[i], "temp");
	expect("/tmpfile", "unknown");
	expect("/home"
	       "/user/.cache/x",
	       "home");
	expect("/root"
	       "/x",
	       "home");
	put("/var/spool/drop/x", "", 0755);
	expect("/var/spool/drop/x", "local");
	assert_ok(chmod(at("/var/spool/drop"), 01777));
	expect("/var/spool/drop/x", "temp");
}

static void lists_are_read_again_when_they_changed(void **state)
{
	struct str path = STR("/usr/bin/new");
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	uint64_t later = NSEC_PER_SEC + ORIGIN_REREAD_NS;

	debian();
	put("/usr/bin/new", "", 0755);
	assert_ok(utimensat(AT_FDCWD, at("/var/lib/dpkg/info"), old, 0));
	assert_int_equal(origin_of_path(origin, path, NSEC_PER_SEC), ORIGIN_LOCAL);
	put("/var/lib/dpkg/info/new.list", "/usr/bin/new\n", 0644);
	assert_int_equal(origin_of_path(origin, path, NSEC_PER_SEC + 1), ORIGIN_LOCAL);
	assert_int_equal(origin_of_path(origin, path, later), ORIGIN_PACKAGE);
	/* not changed since: what was read holds */
	put("/var/lib/dpkg/info/new.list", "", 0644);
	assert_ok(unlink(at("/usr/bin/handmade")));
	assert_int_equal(origin_of_path(origin, path, later * 3), ORIGIN_PACKAGE);
}

static enum exe_origin of(const char *path, enum exe_state state, const struct workload *w,
			  uint64_t inode, dev_t dev)
{
	struct proc p = { .exe_state = state,
			  .exe_inode = inode,
			  .exe_dev_major = major(dev),
			  .exe_dev_minor = minor(dev),
			  .workload = w };
	struct intern *texts;
	enum exe_origin v;

	assert_ok(intern_new(&texts, 10));
	p.exe = intern_get(texts, str_of(path));
	v = origin_of_proc(origin, &p, NSEC_PER_SEC);
	intern_put(texts, p.exe);
	intern_free(texts);
	return v;
}

static void a_process_is_more_than_its_path(void **state)
{
	struct text *id = (struct text *)1;
	struct workload boxed = { .container_id = id }, host = { 0 };
	struct stat st;

	debian();
	assert_ok(stat(at("/usr/bin/curl"), &st));
	assert_int_equal(of("/usr/bin/curl", EXE_FILE, &host, st.st_ino, st.st_dev),
			 ORIGIN_PACKAGE);
	assert_int_equal(of("/usr/bin/curl", EXE_FILE, NULL, 0, 0), ORIGIN_PACKAGE);
	/* something else was mounted there */
	assert_int_equal(of("/usr/bin/curl", EXE_FILE, &host, st.st_ino + 1, st.st_dev),
			 ORIGIN_UNKNOWN);
	if (major(st.st_dev))
		assert_int_equal(of("/usr/bin/curl", EXE_FILE, &host, st.st_ino, st.st_dev + 1),
				 ORIGIN_UNKNOWN);
	assert_int_equal(of("memfd:x", EXE_MEMFD, &host, 5, 1), ORIGIN_MEMFD);
	assert_int_equal(of("/tmp/x", EXE_DELETED, &host, 5, 1), ORIGIN_DELETED);
	assert_int_equal(of("/usr/bin/gone", EXE_DELETED, &host, 5, 1), ORIGIN_DELETED);
	assert_int_equal(of("/usr/bin/curl", EXE_DELETED, &host, 5, 1),
			 ORIGIN_PACKAGE); /* updated */
	assert_int_equal(of("/usr/bin/curl", EXE_DELETED, &boxed, 5, 1), ORIGIN_DELETED);
	assert_int_equal(of("/usr/bin/curl", EXE_FILE, &boxed, 5, 1), ORIGIN_CONTAINER);
	assert_int_equal(of("/tmp/x", EXE_FILE, &boxed, 5, 1), ORIGIN_TEMP);
	assert_int_equal(of("kworker", EXE_KERNEL, &host, 0, 0), ORIGIN_UNKNOWN);
}

/* This host's own shell, where there is dpkg: its real lists. */
static void of_this_host(void **state)
{
	struct origin *o;
	char *shell = realpath("/bin/sh", NULL);
	struct stat st;

	assert_non_null(shell);
	assert_ok(origin_new(&o, ""));
	if (stat("/var/lib/dpkg/info/dash.list", &st) &&
	    stat("/var/lib/dpkg/info/bash.list", &st)) {
		origin_free(o);
		free(shell);
		print_message("no dpkg\n");
		skip();
	}
	assert_int_equal(origin_of_path(o, str_of(shell), 1), ORIGIN_PACKAGE);
	assert_int_equal(origin_of_path(o, STR("/bin/no-such-program"), 1), ORIGIN_UNKNOWN);
	origin_free(o);
	free(shell);
}

int main(void)
{
#define IN_TREE(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		IN_TREE(packages_own_what_is_in_their_lists),
		IN_TREE(a_file_of_another_user_is_not_the_packages),
		IN_TREE(other_systems_have_system_folders),
		IN_TREE(places_that_are_nobodys),
		IN_TREE(lists_are_read_again_when_they_changed),
		IN_TREE(a_process_is_more_than_its_path),
		cmocka_unit_test(of_this_host),
	};
	int r;

	if (geteuid()) {
		print_message("not root: no file here would be root's\n");
		return 77;
	}
	if (!mkdtemp(root))
		return 1;
	chmod(root, 0755);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Users, units and containers, from a tree of files that looks like a host's. */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "flow/identity.h"
#include "flow/proc.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static char root[] = "/tmp/egret-identity-XXXXXX";
static struct intern *texts;
static struct identity *identity;

static void put(const char *name, const char *content)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = 0;
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

static int start(void **state)
{
	assert_ok(intern_new(&texts, 1000));
	assert_ok(identity_new(&identity, texts, root, -1));
	return 0;
}

static int stop(void **state)
{
	identity = identity_free(identity);
	assert_int_equal(intern_count(texts), 0);
	texts = intern_free(texts);
	return 0;
}

static const struct workload *of(const char *path)
{
	const struct workload *w = identity_workload(identity, str_of(path), 0, 0);

	assert_non_null(w);
	assert_str(text_str(w->cgroup), path);
	return w;
}

/* "unit runtime id name image", "-" for what is not known. */
static void expect(const char *path, const char *want)
{
	const struct workload *w = of(path);
	const struct text *t[] = { w->unit, w->container_runtime, w->container_id,
				   w->container_name, w->container_image };
	char got[512] = "";

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.12s", i ? " " : "",
			 t[i] ? t[i]->p : "-");
	assert_string_equal(got, want);
}

static void units_are_the_innermost(void **state)
{
	expect("/system.slice/cron.service", "cron.service - - - -");
	expect("/user.slice/user-1000.slice/session-3.scope", "session-3.sc - - - -");
	expect("/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
	       "a.service - - - -");
	expect("/system.slice/a.service/payload", "a.service - - - -");
	expect("/init.scope", "init.scope - - - -");
	expect("/", "- - - - -");
	expect("/system.slice", "- - - - -");
}

static void containers_by_their_path(void **state)
{
	expect("/system.slice/docker-" ID2 ".scope", "- docker fedcba987654 - -");
	expect("/docker/" ID2, "- docker fedcba987654 - -");
	expect("/docker/" ID2 "/system.slice/nginx.service",
	       "nginx.servic docker fedcba987654 - -");
	expect("/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID2 ".scope",
	       "- containerd fedcba987654 - -");
	expect("/kubepods/burstable/pod1/" ID2, "- containerd fedcba987654 - -");
	expect("/machine.slice/libpod-" ID2 ".scope/container", "- podman fedcba987654 - -");
	/* The monitor of a container is none of its processes. */
	expect("/machine.slice/libpod-conmon-" ID2 ".scope", "libpod-conmo - - - -");
	expect("/kubepods.slice/crio-" ID2 ".scope", "- cri-o fedcba987654 - -");
	expect("/lxc.payload.web/system.slice/a.service", "a.service lxc web web -");
	expect("/lxc/web", "- lxc web web -");
	expect("/machine.slice/machine-deb\\x2done.scope", "- nspawn deb\\x2done deb-one -");
	expect("/machine.slice/systemd-nspawn@deb.service/payload",
	       "systemd-nspa nspawn deb deb -");
	expect("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", "machine-qemu - - - -");
	expect("/docker/0123", "- - - - -");
}

static void runtimes_tell_name_and_image(void **state)
{
	put("var/lib/docker/containers/" ID "/config.v2.json",
	    "{\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1.25\"}}");
	expect("/system.slice/docker-" ID ".scope", "- docker 0123456789ab web nginx:1.25");
	put("run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID2 "/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"api\","
	    "\"io.kubernetes.cri.image-name\":\"r/api:2\"}}");
	expect("/kubepods/pod1/" ID2, "- containerd fedcba987654 api r/api:2");
}

static void podman_lists_its_containers(void **state)
{
	put("var/lib/containers/storage/overlay-containers/containers.json",
	    "[{\"id\":\"" ID "\",\"names\":[\"db\"],\"metadata\":"
	    "\"{\\\"image-name\\\":\\\"postgres:16\\\",\\\"name\\\":\\\"db\\\"}\"}]");
	expect("/machine.slice/libpod-" ID ".scope", "- podman 0123456789ab db postgres:16");
}

static void broken_state_is_only_not_known(void **state)
{
	put("var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\": [1, ");
	expect("/docker/" ID, "- docker 0123456789ab - -");
	put("var/lib/docker/containers/" ID "/config.v2.json", "{\"Name\": 7, \"Config\": []}");
	expect("/docker/" ID, "- docker 0123456789ab - -");
	/* Written a moment later: found when the next process of the container comes. */
	put("var/lib/docker/containers/" ID "/config.v2.json",
	    "{\"Name\":\"/late\",\"Config\":{}}");
	expect("/docker/" ID, "- docker 0123456789ab late -");
}

static void units_of_cgroup_v1_beside_v2(void **state)
{
	const struct workload *w;

	put("proc/77/cgroup", "5:memory:/\n1:name=systemd:/system.slice/ssh.service\n0::/\n");
	put("proc/78/cgroup", "1:name=systemd:/docker/" ID2 "\n0::/\n");
	w = identity_workload(identity, STR("/"), 1, 77);
	assert_str(text_str(w->unit), "ssh.service");
	assert_str(text_str(w->cgroup), "/");
	w = identity_workload(identity, STR("/"), 1, 78);
	assert_null(w->unit);
	assert_str(text_str(w->container_id), ID2);
	w = identity_workload(identity, STR("/"), 1, 79);
	assert_null(w->unit);
}

static void users_have_names(void **state)
{
	put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/:/bin/false\n");
	assert_str(text_str(identity_user(identity, 33)), "www");
	assert_str(text_str(identity_user(identity, 0)), "root");
	assert_null(identity_user(identity, 256)); /* shares its place with root */
	assert_str(text_str(identity_user(identity, 0)), "root");
}

static void workloads_stay_while_they_are_used(void **state)
{
	const struct workload *kept = of("/system.slice/kept.service");
	char path[64];

	workload_ref(kept);
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/user.slice/session-%d.scope", i);
		/* The texts of this test's table are bounded, as its workloads are. */
		assert_non_null(identity_workload(identity, str_of(path), 0, 0));
	}
	assert_str(text_str(kept->unit), "kept.service");
	assert_ptr_equal(of("/system.slice/kept.service"), kept);
	workload_put(identity, kept);
}

static void cgroups_are_found_by_their_id(void **state)
{
	struct identity *here;
	const struct workload *w;
	struct stat st;
	int fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY), sub;
	char name[64];

	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK) != 0) {
		close(fd);
		fd = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY);
	}
	snprintf(name, sizeof(name), "egret-test-%d.service", getpid());
	if (fd < 0 || mkdirat(fd, name, 0755) < 0) {
		print_message("no cgroup v2 to write to\n");
		if (fd >= 0)
			close(fd);
		skip();
	}
	sub = openat(fd, name, O_RDONLY | O_DIRECTORY);
	assert_int_equal(fstat(sub, &st), 0);
	close(sub);
	assert_ok(identity_new(&here, texts, "", fd));
	w = identity_workload(here, STR_NONE, st.st_ino, 0);
	assert_str(text_str(w->unit), name);
	assert_int_equal(text_str(w->cgroup).p[0], '/');
	unlinkat(fd, name, AT_REMOVEDIR);
	w = identity_workload(here, STR_NONE, st.st_ino + 1000000, 0);
	assert_null(w->unit);
	identity_free(here);
	close(fd);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	return remove(path);
}

static int remove_tree(void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int make_tree(void **state)
{
	return mkdtemp(root) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(units_are_the_innermost, start, stop),
		cmocka_unit_test_setup_teardown(containers_by_their_path, start, stop),
		cmocka_unit_test_setup_teardown(runtimes_tell_name_and_image, start, stop),
		cmocka_unit_test_setup_teardown(podman_lists_its_containers, start, stop),
		cmocka_unit_test_setup_teardown(broken_state_is_only_not_known, start, stop),
		cmocka_unit_test_setup_teardown(units_of_cgroup_v1_beside_v2, start, stop),
		cmocka_unit_test_setup_teardown(users_have_names, start, stop),
		cmocka_unit_test_setup_teardown(workloads_stay_while_they_are_used, start, stop),
		cmocka_unit_test_setup_teardown(cgroups_are_found_by_their_id, start, stop),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}

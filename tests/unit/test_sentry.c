/* SPDX-License-Identifier: Apache-2.0 */
/* Detection in a live process: what is remembered across restarts, and what becomes of a damaged file, a full disk, a lost child. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/loop.h"
#include "core_rig.h"
#include "sentry/internal.h"

static struct fixture {
	struct rig rig; /* the sentry's detect, with the same tools */
	struct loop *loop;
	struct proc_table *procs;
	struct sentry *sentry;
	char dir[64], file[80], damaged[96];
} fx;

static uint64_t now(void)
{
	return fx.rig.now_ns;
}

static void start(void)
{
	const struct sentry_config cfg = { .state = fx.dir,
					   .learn_ns = DETECT_WARM_UP_NS,
					   .loop = fx.loop,
					   .texts = fx.rig.texts,
					   .procs = fx.procs,
					   .now = now,
					   .out = { rig_told, &fx.rig } };

	assert_ok(sentry_new(&fx.sentry, &cfg));
	fx.rig.d = sentry_detect(fx.sentry);
	detect_tick(fx.rig.d, fx.rig.now_ns);
}

static void stop(void)
{
	fx.sentry = sentry_free(fx.sentry);
}

static int set_up(void **state)
{
	memset(&fx, 0, sizeof(fx));
	fx.rig.now_ns = T0;
	snprintf(fx.dir, sizeof(fx.dir), "/tmp/egret-test-sentry-XXXXXX");
	assert_non_null(mkdtemp(fx.dir));
	snprintf(fx.file, sizeof(fx.file), "%s/detect", fx.dir);
	snprintf(fx.damaged, sizeof(fx.damaged), "%s/detect.damaged", fx.dir);
	assert_ok(intern_new(&fx.rig.texts, 100000));
	assert_ok(loop_new(&fx.loop));
	assert_ok(proc_table_new(&fx.procs,
				 &(struct proc_table_config){ .texts = fx.rig.texts, .max = 100 }));
	start();
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	stop();
	proc_table_free(fx.procs);
	loop_free(fx.loop);
	assert_int_equal(intern_count(fx.rig.texts), 0);
	intern_free(fx.rig.texts);
	snprintf(command, sizeof(command), "rm -rf %s", fx.dir);
	return system(command);
}

static size_t listed(void)
{
	struct detect_request q = { 0 };

	fx.rig.n = 0;
	sentry_findings(fx.sentry, &q, NULL, (struct finding_out){ rig_told, &fx.rig });
	return fx.rig.n;
}

static void test_findings_outlive_a_restart(void **state)
{
	struct detect_request q = { .verb = DETECT_DO_ACK };
	_cleanup_buf_ struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);
	char id[FINDING_ID_MAX];

	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	assert_int_equal(fx.rig.n, 1);
	assert_int_equal(sentry_open(fx.sentry), 1);
	memcpy(id, fx.rig.told[0].id, sizeof(id));
	stop();
	fx.rig.n = 0;
	fx.rig.now_ns += HOUR;
	start();
	assert_int_equal(fx.rig.n, 0); /* it was told before */
	assert_int_equal(sentry_open(fx.sentry), 1);
	assert_int_equal(listed(), 1);
	assert_string_equal(fx.rig.told[0].id, id);

	/* What the user says of it, too: by its id, for this program and this peer. */
	memcpy(q.id, id, sizeof(q.id));
	json_object_begin(&j, NULL);
	sentry_answer(fx.sentry, &q, &j);
	json_object_end(&j);
	assert_non_null(strstr(out.p, "\"done\":true"));
	assert_non_null(strstr(out.p, "\"entity\":\"/opt/agent\""));
	stop();
	start();
	assert_int_equal(listed(), 1);
	assert_true(fx.rig.told[0].acked);
}

static void test_damaged_file_is_set_aside(void **state)
{
	struct stat st;
	int fd;

	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	stop();
	fd = open(fx.file, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\xff\xff", 2, 40), 2);
	close(fd);
	start(); /* says so, and begins anew */
	assert_int_equal(listed(), 0);
	assert_ok(stat(fx.damaged, &st));
	assert_err(stat(fx.file, &st), -1);
	stop();
	assert_ok(stat(fx.file, &st));
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Nothing in it at all. */
	assert_ok(truncate(fx.file, 0));
	start();
	assert_err(stat(fx.file, &st), -1);
}

/* Ticks until the child that writes has ended. */
static void wait_for_child(void)
{
	for (int i = 0; fx.sentry->save.child && i < 5000; i++) {
		sentry_tick(fx.sentry);
		usleep(1000);
	}
	assert_int_equal(fx.sentry->save.child, 0);
}

static void test_written_by_a_child(void **state)
{
	struct stat st;

	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	sentry_tick(fx.sentry);
	assert_int_equal(fx.sentry->save.child, 0); /* five minutes are not over */
	fx.rig.now_ns += 301 * NSEC_PER_SEC;
	sentry_tick(fx.sentry);
	assert_true(fx.sentry->save.child > 0);
	wait_for_child();
	assert_false(fx.sentry->save.failed);
	assert_ok(stat(fx.file, &st));
	assert_true(st.st_size > 100);
}

/* It cannot be written: said once, tried again, and good when it works again. */
static void test_no_room_on_disk(void **state)
{
	struct stat st;
	char gone[80];

	snprintf(gone, sizeof(gone), "%s.gone", fx.dir);
	assert_ok(rename(fx.dir, gone));
	for (int i = 0; i < 3; i++) {
		fx.rig.now_ns += 301 * NSEC_PER_SEC;
		sentry_tick(fx.sentry);
		wait_for_child();
		assert_true(fx.sentry->save.failed);
	}
	assert_ok(rename(gone, fx.dir));
	fx.rig.now_ns += 301 * NSEC_PER_SEC;
	sentry_tick(fx.sentry);
	wait_for_child();
	assert_false(fx.sentry->save.failed);
	assert_ok(stat(fx.file, &st));
}

/* A child that is killed costs five minutes, and what was there before stays whole. */
static void test_child_is_killed(void **state)
{
	stop();
	start();
	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	fx.sentry->save.child = fork();
	if (!fx.sentry->save.child) {
		pause();
		_exit(0);
	}
	kill(fx.sentry->save.child, SIGKILL);
	wait_for_child();
	assert_true(fx.sentry->save.failed);
	fx.rig.now_ns += 301 * NSEC_PER_SEC;
	sentry_tick(fx.sentry);
	wait_for_child();
	assert_false(fx.sentry->save.failed);
}

/* The end does not wait five minutes for its turn, nor is what it writes overwritten by an older child. */
static void test_end_while_a_child_writes(void **state)
{
	fx.rig.now_ns += 301 * NSEC_PER_SEC;
	sentry_tick(fx.sentry);
	assert_true(fx.sentry->save.child > 0);
	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	stop();
	assert_err(waitpid(-1, NULL, WNOHANG), -1);
	start();
	assert_int_equal(listed(), 1);
}

static void test_status(void **state)
{
	_cleanup_buf_ struct buf out = BUF_INIT(65536);
	struct json j = JSON_INIT(&out);

	make_case(&fx.rig, rig_program(&fx.rig, "/opt/agent"), "c2.example");
	json_object_begin(&j, NULL);
	sentry_status(fx.sentry, &j);
	json_object_end(&j);
	assert_non_null(strstr(out.p, "\"findings\":1,"));
	assert_non_null(
		strstr(out.p, "\"learning\":true,\"learning_until\":\"2026-01-02T00:00:00"));
	assert_non_null(strstr(out.p, "\"intel\":{\"feeds\":0"));
	assert_non_null(strstr(out.p, "\"evicted\":{"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_findings_outlive_a_restart),
		TEST(test_damaged_file_is_set_aside),
		TEST(test_written_by_a_child),
		TEST(test_no_room_on_disk),
		TEST(test_child_is_killed),
		TEST(test_end_while_a_child_writes),
		TEST(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two policies that say the opposite of each other, swapped while a child opens flows and sends on open ones: whatever is
 * said is said by one of them, nothing passes that the one in force refuses once the swap is done, nothing ever that both
 * refuse, and no refusal is lost. One image is much larger: half a question to it finds no page in the other.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/policy.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "policy/image.h"
#include "tests/bpf/live.h"

#define SWAPS 600
#define PORT_A 4000 /* passes under the first, is refused under the second */
#define PORT_B 4001
#define PORT_C 4002 /* never passes */
#define RANGES 3000 /* of the larger one */

static const char *const texts[2] = {
	"allow port 4000\ndeny port 4001\ndeny to set far\ndefault deny\n",
	"deny port 4000\nallow port 4001\ndefault deny\n",
};

static void put_far(struct buf *b)
{
	buf_puts(b, "set far = 198.18.0.0");
	for (unsigned int i = 1; i < RANGES; i++)
		buf_printf(b, ", 198.18.%u.%u", i >> 7, (i & 127) * 2);
	buf_puts(b, "\n");
}

static struct policy_image *compile(struct live *l, unsigned int which)
{
	struct compile_config cfg = {
		.name_key = attach_name_key(l->attach),
		.enforce = true,
		.to_s = time_now() / NSEC_PER_SEC + 86400,
	};
	_cleanup_buf_ struct buf messages = BUF_INIT(1 << 16), text = BUF_INIT(1 << 20);
	struct policy_image *img = NULL;
	struct policy *p = NULL;

	if (!which)
		put_far(&text);
	buf_puts(&text, texts[which]);
	if (policy_parse(&p, "test", buf_str(&text), STR_NONE, &messages) ||
	    policy_compile(&img, p, &cfg, &messages))
		fail_msg("%s", messages.p);
	policy_free(p);
	return img;
}

static void load(struct live *l, const struct policy_image *img, uint32_t *ret_gen)
{
	char error[256];
	size_t n;
	const void *bytes = policy_image_bytes(img, &n);

	if (attach_policy_load(l->attach, bytes, n, ret_gen, error))
		fail_msg("%s", error);
}

struct shared {
	volatile int stop;
	volatile uint64_t passed, refused, broken, leaked;
};

static void say(struct shared *sh, int fd, uint16_t port)
{
	int r = send(fd, "x", 1, 0);

	if (r == 1)
		sh->passed++;
	else if (errno == EPERM)
		sh->refused++;
	else if (errno != ECONNREFUSED) /* nobody listens there */
		sh->broken++;
	sh->leaked += r == 1 && port == PORT_C;
}

static void dial(struct shared *sh, uint16_t port)
{
	socklen_t len;
	struct sockaddr_storage a = live_addr(THERE, AF_INET, port, &len);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!connect(fd, (struct sockaddr *)&a, len))
		sh->passed++;
	else if (errno == EPERM)
		sh->refused++;
	else
		sh->broken++;
	close(fd);
}

static int open_to(struct live *l, uint16_t port)
{
	int fd = live_socket(l, HERE, AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(live_connect(fd, THERE, AF_INET, port), 0);
	return fd;
}

static _Noreturn void child(struct live *l, struct shared *sh, const int open[3])
{
	live_enter(l, HERE);
	while (!sh->stop)
		for (uint16_t i = 0; i < 3; i++) {
			dial(sh, PORT_A + i);
			say(sh, open[i], PORT_A + i);
		}
	_exit(0);
}

/* The flow's next datagram after the swap. */
static bool passes(int fd)
{
	int r = send(fd, "x", 1, 0);

	if (r < 0 && errno == ECONNREFUSED)
		r = send(fd, "x", 1, 0);
	return r == 1;
}

static void check_verdicts(struct live *l, uint32_t first_gen)
{
	for (size_t i = 0; i < l->n_verdicts; i++) {
		struct live_verdict *v = &l->verdicts[i];
		unsigned int which = (v->v.gen - first_gen) & 1;
		bool refused = v->key.dport == PORT_C || (v->key.dport == PORT_A) == which;

		if (v->v.gen < first_gen)
			continue;
		assert_in_range(v->key.dport, PORT_A, PORT_C);
		if (!v->v.summary && v->key.dport != PORT_C) {
			assert_int_equal(v->v.rule, v->key.dport == PORT_B);
			assert_int_equal(v->v.action, refused ? EG_DENY : EG_ALLOW);
		}
		assert_int_equal(v->v.refused, refused);
	}
	l->n_verdicts = 0;
}

static void test_swaps(void **state)
{
	struct live *l = *state;
	struct shared *sh =
		mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct policy_image *img[2] = { compile(l, 0), compile(l, 1) };
	int mine[2] = { open_to(l, PORT_A), open_to(l, PORT_B) };
	int open[3] = { open_to(l, PORT_A), open_to(l, PORT_B), open_to(l, PORT_C) };
	uint64_t refused = 0, checked = 0;
	uint32_t first_gen = 0, gen;
	pid_t pid;

	assert_true(sh != MAP_FAILED);
	load(l, img[0], &first_gen);
	pid = fork();
	if (!pid)
		child(l, sh, open);
	for (unsigned int i = 1; i <= SWAPS; i++) {
		unsigned int which = i & 1;

		load(l, img[which], &gen);
		assert_int_equal(gen, first_gen + i);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(passes(mine[k]), (unsigned int)k == which);
			refused += (unsigned int)k != which;
			checked++;
		}
		if (i % 10 == 0)
			poll(NULL, 0, 5);
		if (i % 50)
			continue;
		assert_ok(attach_sweep(l->attach));
		check_verdicts(l, first_gen);
	}
	sh->stop = 1;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	live_collect(l);
	check_verdicts(l, first_gen);
	print_message("%d swaps under %llu calls and datagrams, %llu refused\n", SWAPS,
		      (unsigned long long)(sh->passed + sh->refused),
		      (unsigned long long)sh->refused);
	assert_int_equal(sh->broken, 0);
	assert_int_equal(sh->leaked, 0);
	assert_true(sh->passed > 1000 && sh->refused > 1000);
	assert_int_equal(checked, 2 * SWAPS);
	assert_int_equal(l->refused_calls + l->refused_packets, sh->refused + refused);
	for (int k = 0; k < 2; k++) {
		close(mine[k]);
		policy_image_free(img[k]);
	}
	for (int k = 0; k < 3; k++)
		close(open[k]);
	munmap(sh, sizeof(*sh));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_swaps, live_begin),
	};

	return cmocka_run_group_tests(tests, live_setup, live_teardown);
}

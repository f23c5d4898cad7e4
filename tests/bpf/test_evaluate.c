/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same policies and flows as in tests/unit/test_policy_property.c, judged by the kernel: its classes and verdicts are
 * the evaluator's of user space, bit by bit. EGRET_PROPERTY_S seconds (10).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "../unit/policy_random.h"
#include "../unit/test.h"
#include "base/cleanup.h"
#include "base/time.h"
#include "policy/name_table.h"
#include "tests/bpf/evaluate.h"
#include "tests/bpf/evaluate.skel.h"

#define BATCHES 8 /* of each policy */
#define NAME_KEY 0x123456789abcdefULL

static struct evaluate_bpf *skel;

struct tally {
	uint64_t policies, verdicts, provisional, verdict_ns;
};

static bool is_needed(const char *map)
{
	return !strcmp(map, "eg_policy") || !strcmp(map, "eg_no_image") || strchr(map, '.');
}

static int setup(void **state)
{
	struct bpf_map *map;
	int r;

	skel = evaluate_bpf__open();
	assert_non_null(skel);
	bpf_object__for_each_map(map, skel->obj) if (!is_needed(bpf_map__name(map)))
		bpf_map__set_autocreate(map, false);
	r = evaluate_bpf__load(skel);
	if (r == -EPERM || r == -EACCES) {
		print_message("cannot load: %s\n", strerror(-r));
		exit(77);
	}
	assert_ok(r);
	return 0;
}

static int teardown(void **state)
{
	evaluate_bpf__destroy(skel);
	return 0;
}

/* As attach does it: a map of its own, then one swap. */
static void load_image(const struct policy_image *img)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	_cleanup_close_ int fd = -1;
	uint32_t zero = 0;
	const void *bytes;
	void *to;
	size_t n;

	bytes = policy_image_bytes(img, &n);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "eg_image", 4, EG_IMAGE_PAGE,
			    (uint32_t)(n / EG_IMAGE_PAGE), &opts);
	assert_ok(fd);
	to = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(to != MAP_FAILED);
	memcpy(to, bytes, n);
	assert_ok(munmap(to, n));
	assert_ok(bpf_map_update_elem(bpf_map__fd(skel->maps.eg_policy), &zero, &fd, 0));
}

static uint64_t run(struct bpf_program *prog)
{
	static uint8_t frame[64] = { [12] = 8, [14] = 0x45 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = EVALUATE_BATCH);

	skel->bss->at = 0;
	assert_ok(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts));
	assert_int_equal(skel->bss->failed, 0);
	return opts.duration;
}

static void put_raw(struct evaluate_raw *r, const struct policy_subject *s)
{
	*r = (struct evaluate_raw){
		.uid = s->uid,
		.port = s->port,
		.proto = s->proto,
		.has_ports = s->has_ports,
		.n_gids = (uint32_t)s->n_gids,
	};
	r->n_hash = name_hashes(s->visible_name, NAME_KEY, (uint64_t *)r->hash);
	memcpy(r->local, s->local.b, 16);
	memcpy(r->remote, s->remote.b, 16);
	assert_true(s->n_gids <= EVALUATE_GIDS);
	memcpy(r->gids, s->gids, s->n_gids * sizeof(*s->gids));
}

static void check_classes(const struct policy_subject *s, const struct eg_facts *f,
			  const struct evaluate_classes *c)
{
	if (!addr_is_unset(&s->local))
		assert_int_equal(c->from, f->from);
	assert_int_equal(c->addr, f->addr);
	assert_int_equal(c->port, f->port);
	if (s->uid_known)
		assert_int_equal(c->user, f->user);
	if (s->visible == EG_VISIBLE_NAME)
		assert_int_equal(c->name, f->visible_name);
	assert_true(c->groups == f->groups);
}

static void one_batch(struct dice *d, const struct policy_image *img, const struct buf *text,
		      struct tally *t)
{
	static struct policy_subject subjects[EVALUATE_BATCH];
	struct eg_verdict want;

	for (int i = 0; i < EVALUATE_BATCH; i++) {
		random_subject(d, &subjects[i]);
		policy_classify(img, &subjects[i], &skel->bss->facts[i]);
		put_raw(&skel->bss->raws[i], &subjects[i]);
	}
	run(skel->progs.classify);
	t->verdict_ns += run(skel->progs.evaluate);
	for (int i = 0; i < EVALUATE_BATCH; i++) {
		const struct eg_facts *f = &skel->bss->facts[i];
		const struct eg_verdict *v = &skel->bss->verdicts[i];

		check_classes(&subjects[i], f, &skel->bss->classes[i]);
		assert_ok(policy_evaluate(img, f, &want));
		if (memcmp(&want, v, sizeof(want))) {
			print_error("kernel: row %u rule %u action %u final %u; user space: row %u "
				    "rule %u action %u final %u\n%.*s",
				    v->row, v->rule, v->action, v->final, want.row, want.rule,
				    want.action, want.final, STR_FMT(buf_str(text)));
			fail();
		}
		t->verdicts++;
		t->provisional += !v->final;
	}
}

static void one_policy(uint64_t seed, struct tally *t)
{
	struct compile_config cfg = {
		.name_key = NAME_KEY,
		.from_s = RANDOM_NOW - 86400,
		.to_s = RANDOM_NOW + RANDOM_SPAN,
		.enforce = seed & 1,
		.load_list = random_load_list,
	};
	_cleanup_buf_ struct buf text = BUF_INIT(1 << 20), messages = BUF_INIT(1 << 20);
	struct dice d = { .state = seed * 0x9e3779b97f4a7c15ULL + 1 };
	struct policy_image *img = NULL;
	struct policy *p = NULL;

	random_policy(&d, &text);
	if (policy_parse(&p, "random", buf_str(&text), STR_NONE, &messages) == 0 &&
	    policy_compile(&img, p, &cfg, &messages) == 0) {
		load_image(img);
		for (int i = 0; i < BATCHES; i++)
			one_batch(&d, img, &text, t);
		t->policies++;
	}
	policy_image_free(img);
	policy_free(p);
}

static void test_agree(void **state)
{
	const char *seconds = getenv("EGRET_PROPERTY_S");
	struct tally t = { 0 };
	uint64_t limit_s = 10, end;

	if (seconds)
		assert_ok(str_parse_u64(str_of(seconds), &limit_s));
	end = time_now_boot() + limit_s * NSEC_PER_SEC;
	for (uint64_t seed = 1; time_now_boot() < end; seed++)
		one_policy(seed, &t);
	assert_true(t.policies > 10);
	print_message("%llu policies, %llu verdicts, %llu provisional; %llu ns each\n",
		      (unsigned long long)t.policies, (unsigned long long)t.verdicts,
		      (unsigned long long)t.provisional,
		      (unsigned long long)(t.verdict_ns / (t.verdicts / EVALUATE_BATCH)));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agree) };

	setenv("TZ", "UTC0", 1);
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy images into the kernel. A load makes a map of its own for the image and the hits of its rules, fills it, and puts
 * it in the place of the one before by one write: programs that run meanwhile hold one or the other. Then the generation
 * and the epoch follow (bpf/state.h says why in that order).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "attach/internal.h"
#include "attach/policy.h"
#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "bpf/host.skel.h"
#include "bpf/name_hash.h"
#include "bpf/policy_image.h"
#include "bpf/sweep.h"

#define HITS_A_PAGE (EG_IMAGE_PAGE / sizeof(struct eg_hit))

uint64_t policy_new_name_key(void)
{
	uint64_t key;

	do
		key = hash_random_seed() & EG_P61;
	while (key <= UINT32_MAX || key == EG_P61);
	return key;
}

uint64_t attach_name_key(const struct attach *a)
{
	return a->skel->rodata->name_key;
}

uint32_t attach_policy_gen(const struct attach *a)
{
	return a->skel->bss->policy_gen;
}

static void unmap_image(struct attach *a)
{
	if (a->image)
		munmap(a->image, a->image_size);
	a->image = NULL;
	a->image_size = 0;
}

static uint64_t unix_less_boot(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return time_now() - (t.tv_sec * NSEC_PER_SEC + t.tv_nsec);
}

static int complain(char error[256], int r, const char *what)
{
	snprintf(error, 256, "%s: %s", what, strerror(-r));
	return r;
}

/* Does this hold together as far as attach/ can tell? The rest is the evaluator's, which bounds every access. */
static int check(const struct attach *a, const struct eg_image *head, size_t n, char error[256])
{
	if (n < EG_IMAGE_PAGE || n % EG_IMAGE_PAGE || head->magic != EG_IMAGE_MAGIC ||
	    head->bytes != n || head->n_rules > EG_ROWS_MAX || head->n_rows > EG_ROWS_MAX)
		return complain(error, -EINVAL, "this is no policy image");
	if (head->abi != EGRET_ABI)
		return complain(error, -EPROTO,
				"the policy image was made by another version of egret");
	if (head->name_mask && head->name_key != attach_name_key(a))
		return complain(error, -EKEYREJECTED,
				"the policy image was made for another load of the programs");
	return 0;
}

static int make_map(const struct eg_image *head, size_t n, uint32_t gen, struct eg_image **ret,
		    size_t *ret_size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	size_t pages = n / EG_IMAGE_PAGE + (head->n_rules + 2 + HITS_A_PAGE - 1) / HITS_A_PAGE;
	_cleanup_close_ int fd = -1;
	struct eg_image *to;

	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "eg_image", sizeof(uint32_t), EG_IMAGE_PAGE, pages,
			    &opts);
	if (fd < 0)
		return -errno;
	to = mmap(NULL, pages * EG_IMAGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		return -errno;
	memcpy(to, head, n);
	to->gen = gen;
	*ret = to;
	*ret_size = pages * EG_IMAGE_PAGE;
	return TAKE_FD(fd);
}

static bool can_refuse(const struct eg_image *head)
{
	const struct eg_row *row = (const void *)((const char *)head + head->row_info);

	for (uint32_t i = 0; i < head->n_rows; i++)
		if ((row[i].action == EG_DENY || row[i].action == EG_REJECT) &&
		    (head->enforce || (row[i].flags & EG_ROW_FIRM)))
			return true;
	return false;
}

static void ignore(void *ctx, const void *rec)
{
}

/*
 * Flows carry the low byte of the epoch they were judged in. Before a byte comes round again, whatever was not judged for
 * half a round asks again by itself.
 */
static uint32_t next_epoch(struct attach *a)
{
	struct host_bpf__bss *bss = a->skel->bss;
	uint32_t next = bss->policy_epochs + 1;

	if (!(uint8_t)next)
		next++;
	if ((next & 0x7f) == 1) {
		for (size_t i = 0; i < EG_SLOTS; i++)
			if (a->slots[i].cookie)
				eg_forget_passes(&a->slots[i].sock.hot, &a->slots[i].sock.judged,
						 bss->policy_epoch);
		bss->sweep_forget = 1;
		if (attach_walk(a->iter_socks, sizeof(struct eg_close), ignore, a) ||
		    attach_walk(a->iter_peers, sizeof(struct eg_close), ignore, a) ||
		    (a->iter_gate && attach_walk(a->iter_gate, sizeof(struct eg_close), ignore, a)))
			log_warn("attach: cannot reach all open flows; some may be judged late");
		bss->sweep_forget = 0;
	}
	bss->policy_epochs = next;
	return next;
}

static void set_epoch(struct attach *a, uint32_t gen, uint32_t epoch)
{
	struct host_bpf__bss *bss = a->skel->bss;

	__atomic_store_n(&bss->policy_gen, gen, __ATOMIC_RELEASE);
	__atomic_store_n(&bss->policy_epoch, epoch, __ATOMIC_RELEASE);
}

void policy_judge_all(struct attach *a)
{
	struct host_bpf__bss *bss = a->skel->bss;

	if (bss->policy_epoch)
		__atomic_store_n(&bss->policy_epoch, next_epoch(a), __ATOMIC_RELEASE);
}

/* Which entry of the image's time line is in force now. */
static uint32_t active_now(const struct attach *a)
{
	const int64_t *from;
	int64_t now = time_now() / NSEC_PER_SEC;
	uint32_t at = 0;

	if (!a->image || !a->image->n_active)
		return 0;
	from = (const void *)((const char *)a->image + a->image->active_from);
	while (at + 1 < a->image->n_active && from[at + 1] <= now)
		at++;
	return at;
}

/* The clock that the kernel's side judges by; open flows are judged again when a schedule begins or ends. */
void policy_tick(struct attach *a)
{
	uint32_t active;

	a->skel->bss->policy_unix_ns = unix_less_boot();
	active = active_now(a);
	if (active == a->active)
		return;
	a->active = active;
	policy_judge_all(a);
}

static size_t read_hits(const struct eg_image *image, struct attach_hits *ret, size_t room)
{
	const struct eg_hit *hits;
	size_t n;

	if (!image)
		return 0;
	hits = (const void *)((const char *)image + image->bytes);
	n = MIN((size_t)image->n_rules + 2, room);
	for (size_t i = 0; i < n; i++) {
		ret[i].verdicts = __atomic_load_n(&hits[i].verdicts, __ATOMIC_RELAXED);
		ret[i].refused_packets =
			__atomic_load_n(&hits[i].refused_packets, __ATOMIC_RELAXED);
		ret[i].refused_bytes = __atomic_load_n(&hits[i].refused_bytes, __ATOMIC_RELAXED);
		ret[i].refused_calls = __atomic_load_n(&hits[i].refused_calls, __ATOMIC_RELAXED);
		ret[i].limited_packets =
			__atomic_load_n(&hits[i].limited_packets, __ATOMIC_RELAXED);
		ret[i].limited_bytes = __atomic_load_n(&hits[i].limited_bytes, __ATOMIC_RELAXED);
		ret[i].last_ns = __atomic_load_n(&hits[i].last_ns, __ATOMIC_RELAXED);
	}
	return n;
}

/* Nobody counts in the image any more. Without memory for them they are lost, as its policy is. */
static void keep_hits(struct attach *a)
{
	size_t n = a->image ? a->image->n_rules + 2 : 0;

	free(a->last_hits);
	a->last_hits = n ? calloc(n, sizeof(*a->last_hits)) : NULL;
	a->n_last_hits = a->last_hits ? read_hits(a->image, a->last_hits, n) : 0;
}

int attach_policy_load(struct attach *a, const void *image, size_t n, uint32_t *ret_gen,
		       char error[256])
{
	struct host_bpf__bss *bss = a->skel->bss;
	const struct eg_image *head = image;
	_cleanup_close_ int fd = -1;
	uint32_t zero = 0, gen;
	struct eg_image *to = NULL;
	size_t size = 0;
	bool refuses;
	int r;

	r = check(a, head, n, error);
	if (r)
		return r;
	gen = bss->policy_gens + 1;
	if (!gen)
		gen++;
	fd = make_map(head, n, gen, &to, &size);
	if (fd < 0)
		return complain(error, fd, "no memory for the policy in the kernel");
	policy_tick(a);
	refuses = can_refuse(to);
	if (refuses)
		bss->policy_refuses = 1;
	/* the kernel waits here until no program uses the old image */
	if (bpf_map_update_elem(bpf_map__fd(a->skel->maps.eg_policy), &zero, &fd, BPF_ANY)) {
		r = -errno;
		munmap(to, size);
		return complain(error, r, "cannot put the policy in force");
	}
	bss->policy_gens = gen;
	set_epoch(a, gen, next_epoch(a));
	bss->policy_refuses = refuses;
	bss->policy_limits = head->n_limits;
	keep_hits(a);
	unmap_image(a);
	a->image = to;
	a->image_size = size;
	a->active = active_now(a);
	a->condemn = true;
	if (ret_gen)
		*ret_gen = gen;
	return 0;
}

int attach_policy_clear(struct attach *a)
{
	uint32_t zero = 0;

	if (bpf_map_delete_elem(bpf_map__fd(a->skel->maps.eg_policy), &zero) && errno != ENOENT)
		return -errno;
	set_epoch(a, 0, 0);
	a->skel->bss->policy_refuses = a->skel->bss->policy_limits = 0;
	keep_hits(a);
	unmap_image(a);
	return 0;
}

/* After a take-over: the image that is in force. */
int policy_find(struct attach *a)
{
	struct bpf_map_info info = { 0 };
	uint32_t zero = 0, id, len = sizeof(info);
	_cleanup_close_ int fd = -1;
	void *p;

	if (bpf_map_lookup_elem(bpf_map__fd(a->skel->maps.eg_policy), &zero, &id))
		return errno == ENOENT ? 0 : -errno;
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	a->image_size = (size_t)info.max_entries * EG_IMAGE_PAGE;
	p = mmap(NULL, a->image_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	a->image = p;
	a->active = active_now(a);
	return 0;
}

void policy_done(struct attach *a)
{
	unmap_image(a);
	free(a->last_hits);
}

int attach_policy_image(const struct attach *a, void **ret, size_t *ret_n)
{
	void *copy;

	if (!a->image)
		return -ENOENT;
	copy = malloc(a->image->bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, a->image, a->image->bytes);
	*ret = copy;
	*ret_n = a->image->bytes;
	return 0;
}

size_t attach_policy_hits(const struct attach *a, struct attach_hits *ret, size_t room)
{
	return read_hits(a->image, ret, room);
}

size_t attach_policy_last_hits(const struct attach *a, struct attach_hits *ret, size_t room)
{
	size_t n = MIN(a->n_last_hits, room);

	if (n)
		memcpy(ret, a->last_hits, n * sizeof(*ret));
	return n;
}

/* --- what only user space knows ---------------------------------------------------------------------------------- */
int attach_app_told(struct attach *a, uint64_t cookie, const struct event_key *key, uint8_t app)
{
	struct eg_tell tell = { .key.cookie = cookie, .app = app };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &tell, .ctx_size_in = sizeof(tell));
	struct eg_key *k = &tell.key.key;

	memcpy(k->local, key->src.b, 16);
	memcpy(k->remote, key->dst.b, 16);
	k->lport = key->sport;
	k->rport = key->dport;
	k->proto = key->proto;
	if (bpf_prog_test_run_opts(bpf_program__fd(a->skel->progs.eg_tell_app), &opts))
		return -errno;
	return opts.retval ? 0 : -ENOENT;
}

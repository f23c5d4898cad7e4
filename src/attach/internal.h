/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of attach/ share: the loaded programs, and what must be remembered between records. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/attach.h"
#include "attach/shaper.h"
#include "base/list.h"
#include "bpf/abi.h"

struct host_bpf;
struct bpf_link;
struct bpf_map;
struct bpf_program;
struct ring_buffer;

#define ATTACH_COUNTED 5    /* maps whose keys are counted */
#define ATTACH_NAMES 1024   /* texts of names kept in user space */
#define ATTACH_CGROUPS 512  /* paths of cgroups kept */
#define ATTACH_HELD 16384   /* closes that wait for a last FIN, as many as the kernel remembers */
#define ATTACH_CLOSING 1024 /* sockets that closed since the last sweep and had several peers */
#define ATTACH_PACKET_SOCKS 256 /* packet sockets told of */

/* A close that waits for what TCP still does without its socket (bpf/tcp.h). */
struct held {
	struct list by_age, by_key;
	uint64_t cookie, until_ns; /* CLOCK_MONOTONIC */
	struct eg_close close;
};

struct attach_over {
	struct eg_peer_key key;
	enum event_end end;
};

struct attach_name {
	uint64_t hash;
	uint16_t len;
	char text[EG_NAME_MAX];
};

struct attach_cgroup {
	uint64_t id;
	char *path;
};

/* An interface that the gateway is on. */
struct attach_inside {
	char name[16];
	uint32_t ifindex; /* 0: it is not there, or could not be had */
	int told;         /* why not, as last said */
};

struct gateway_over; /* gateway.c */

struct attach {
	struct event_out out;
	struct host_bpf *skel;
	struct bpf_link *links[32];
	struct bpf_program *link_progs[32]; /* of the same places */
	size_t n_links;
	struct bpf_link *iter_socks, *iter_peers, *iter_files, *iter_tasks;
	struct bpf_link *iter_refused, *iter_refused_rest,
		*iter_tcp; /* iter_tcp: NULL before kernel 6.5 */
	struct ring_buffer *ring;
	struct eg_handshake *handshakes; /* both maps are read and written in place */
	struct eg_slot *slots;
	unsigned long *ring_consumed, *ring_produced; /* positions, each on a page of its own */
	bool cap_hook; /* socket(AF_PACKET) is told of when it happens */
	bool can_end;  /* bpf_sock_destroy() is there */
	bool ready;    /* hooks are attached: there is something to hand on */

	int64_t mono_to_unix_ns;
	uint64_t tick_ns;
	uint64_t swept_tick; /* of the last sweep */
	uint64_t handshakes_ns, packet_scan_ns, limits_ns;
	uint64_t events;
	uint64_t n_sockets, n_peers; /* seen by the last sweep */
	uint64_t n_buckets;          /* in use at the last look (limit.c) */
	uint64_t counted_ns, counted[ATTACH_COUNTED], counted_handshakes; /* fill.c */
	bool scan_packet_socks;

	struct held *held; /* ATTACH_HELD of them */
	struct list held_free, held_by_age[2],
		*held_by_key;      /* by age: just in case, and EG_TAIL_FIN */
	size_t n_held, n_expected; /* of them EG_TAIL_FIN */

	uint64_t closing[ATTACH_CLOSING];
	size_t n_closing;
	struct attach_inside inside[EG_GATE_INSIDE]; /* gateway.c */
	size_t n_inside;
	struct shaper_link shaped[SHAPER_LINKS]; /* shaper.c */
	size_t n_shaped;
	struct bpf_link *iter_gate;
	struct gateway_over
		*gate_over; /* flows that are over, found by the walk that is under way */
	size_t n_gate_over, room_gate_over;
	struct attach_over *over; /* peers that are over, found by the walk that is under way */
	size_t n_over, room_over;

	struct attach_name *names; /* direct-mapped by hash */
	struct attach_cgroup cgroups[ATTACH_CGROUPS];
	uint64_t packet_socks[ATTACH_PACKET_SOCKS];
	size_t n_packet_socks;

	uint32_t missing[16]; /* parents that the walk over tasks left out */
	size_t n_missing;

	struct eg_image *image;        /* in force; the hits of its rules follow it in the map */
	size_t image_size;             /* of both */
	uint32_t active;               /* where in its time line it is */
	struct attach_hits *last_hits; /* of the policy before */
	size_t n_last_hits;

	char visible[EG_NAME_MAX];
	uint32_t refused_gen, clean_in;
	uint32_t condemned[64]; /* whose connections are to be ended */
	size_t n_condemned;
	bool condemn, many_rules;

	struct who *who;      /* who.c */
	struct pin *pin;      /* pin.c; NULL: this one is never pinned */
	uint64_t backstop_ns; /* backstop.c: of the last look, and which devices there were */
	unsigned int backstop_devices;
	struct eg_loss lost; /* totals told of so far */
	char path[EG_PATH_MAX + 16], cgroup[EG_CGROUP_MAX];
};

/* load.c: an iterator, over the map's entries where one is given: 0 or -errno */
int attach_iter(struct bpf_link **ret, struct bpf_program *prog, struct bpf_map *map);

/* clock.c */
uint64_t attach_mono_ns(void);
void attach_clock(struct attach *a); /* takes the offset between the clocks anew */
uint64_t attach_unix(const struct attach *a, uint64_t mono_ns);
uint64_t attach_tick(const struct attach *a, uint64_t mono_ns);
uint64_t attach_unix_of_tick(const struct attach *a, uint64_t tick);

/* events.c: one record to an event */
int attach_on_record(void *ctx, void *data, size_t size); /* of the ring buffer */
void attach_emit(struct attach *a, const struct event *e);
void attach_emit_open(struct attach *a, const struct eg_open *o, const char *comm);
void attach_fill_open(struct attach *a, struct event_open *to, const struct eg_open *o,
		      const char *comm);
void attach_emit_close(struct attach *a, const struct eg_close *c, enum event_end end);
enum event_end attach_end_of(const struct eg_close *c);
void attach_emit_unreported(struct attach *a, const struct eg_counts *n); /* of no flow any more */
void attach_on_close(struct attach *a, const struct eg_close *c); /* emits it, or holds it back */
void attach_emit_count(struct attach *a, const struct eg_close *c);
void attach_key(struct event_key *ret, const struct eg_key *k, uint64_t zone);
void attach_open_from(
	struct attach *a,
	const struct eg_close *c); /* an EVENT_OPEN for a flow whose notice was lost */

/* refuse.c */
void attach_emit_verdict(struct attach *a, const struct eg_open *o); /* that rode on a notice */
void attach_verdict_of(struct attach *a, const struct eg_close *c);  /* or on counters */
void attach_on_refusal(struct attach *a, const struct eg_refusal *r);
int attach_refuse_tick(struct attach *a);

/* limit.c */
void limit_tick(struct attach *a, uint64_t now);

/* policy.c */
uint64_t policy_new_name_key(void);
int policy_find(struct attach *a); /* the image in force, after a take-over */
void policy_done(struct attach *a);
void policy_tick(struct attach *a);      /* the clock and the schedules */
void policy_judge_all(struct attach *a); /* all flows, at their next packet */

/* procs.c */
void attach_emit_proc(struct attach *a, const struct eg_proc *p, enum proc_change change);
void attach_emit_exec(struct attach *a, const struct eg_exec *x, enum proc_change change,
		      struct str args);
void attach_packet_sock(struct attach *a, const struct eg_seed *s);

/* procfs.c */
void procfs_tell(struct attach *a, uint32_t pid,
		 uint64_t start_ns); /* PROC_SEEN, or nothing when it is gone */
struct str procfs_args(uint32_t pid, char *buf, size_t room, bool *ret_cut);

/* names.c */
struct str attach_name(struct attach *a, uint64_t hash);
uint8_t attach_names_of(struct attach *a, const uint8_t addr[16], uint64_t names[EG_ADDR_NAMES]);

/* held.c */
int held_init(struct attach *a);
void held_done(struct attach *a);
void held_add(struct attach *a, const struct eg_close *c);
void held_tail(struct attach *a, const struct eg_tail_rec *t);
void held_open(struct attach *a, const struct eg_open *o); /* a flow begins */
void held_expire(struct attach *a, uint64_t now_ns); /* all that waited too long; UINT64_MAX: all */

/* walk.c: reads an iterator to its end, a record at a time; the link is attached once and read often */
uint64_t attach_ring_used(const struct attach *a);
int attach_walk(struct bpf_link *link, size_t record, void (*fn)(void *ctx, const void *rec),
		void *ctx);

/* sweep.c: what was counted in slots that are free since before a second; UINT64_MAX: in all of them */
void attach_sweep_rests(struct attach *a, uint64_t now_ns);
/* The walk over sockets without a slot, which also takes both of the kernel's clocks */
int attach_sync_clocks(struct attach *a);

/* seed.c */
int attach_scan_packet_socks(struct attach *a);

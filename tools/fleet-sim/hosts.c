/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

#define LONG_FLOWS 25 /* one in so many is long, and has more pieces: */
#define MORE_PIECES 3
#define TEAM_PART 5    /* of 100 flows go to names that only a team's hosts know */
#define ODD_HOSTS 25   /* one host in so many has a name to itself, */
#define ODD_FLOWS 2000 /* and one flow in so many goes there */
#define NAME_PART 25   /* of 100 flows begin with a question to DNS */
#define RESOLVER "\x0a\0\0\x35"

static const char *const roles[10] = { "web", "web", "web", "web",  "web",
				       "db",  "db",  "dev", "mail", "build" };

static double part_of(uint64_t x)
{
	return (double)(x >> 11) / 9007199254740992.0;
}

/* Few are busy, most are quiet: weights of a Pareto distribution, cut at 30 times the least. */
static double weight_of(uint64_t x)
{
	double w = pow(1 - part_of(x), -0.9);

	return w < 30 ? w : 30;
}

void host_init(struct host *h, unsigned number, const struct options *opt)
{
	uint64_t x = hash_bytes(&number, sizeof(number), opt->seed);
	uint8_t v4[4] = { 10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number };

	*h = (struct host){ .number = number, .seed = x | 1, .weight = weight_of(x) };
	snprintf(h->name, sizeof(h->name), "%s-%05u", roles[number % 10], number);
	snprintf(h->odd_name, sizeof(h->odd_name), "x%04x.odd%u.example", (unsigned)(x & 0xffff),
		 number);
	h->addr = addr_from_v4(v4);
	h->began_ns = opt->end_ns - (opt->days + 1ULL) * 86400 * NSEC_PER_SEC;
	h->boot = hash_bytes(&h->began_ns, sizeof(h->began_ns), x);
	h->last_id = h->began_ns / NSEC_PER_MSEC << 12;
}

int worker_init(struct worker *w, const struct options *opt, struct host *hosts, unsigned n_hosts)
{
	double sum = 0;

	w->opt = opt;
	w->hosts = hosts;
	w->n_hosts = n_hosts;
	w->cumulated = calloc(n_hosts, sizeof(*w->cumulated));
	if (!w->cumulated)
		return -ENOMEM;
	for (unsigned i = 0; i < n_hosts; i++)
		w->cumulated[i] = sum += hosts[i].weight;
	bench_init(&w->bench, UINT64_MAX, 1);
	for (unsigned t = 0; t < TEAMS; t++)
		for (unsigned i = 0; i < TEAM_NAMES; i++)
			snprintf(w->team[t][i], sizeof(w->team[t][i]), "app%u.team%u.example", i,
				 t);
	for (size_t t = 0; t < CLICKHOUSE_TABLES; t++) {
		w->rows[t] = BUF_INIT(64U << 20);
		w->bodies[t] = BUF_INIT(256U << 20);
	}
	return 0;
}

void worker_done(struct worker *w)
{
	for (size_t t = 0; t < CLICKHOUSE_TABLES; t++) {
		buf_done(&w->rows[t]);
		buf_done(&w->bodies[t]);
	}
	free(w->cumulated);
}

struct host *worker_pick(struct worker *w)
{
	double want = bench_part(&w->bench) * w->cumulated[w->n_hosts - 1];
	unsigned lo = 0, hi = w->n_hosts - 1;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (w->cumulated[mid] < want)
			lo = mid + 1;
		else
			hi = mid;
	}
	return &w->hosts[lo];
}

uint64_t day_rhythm(const struct options *opt, double u)
{
	double days = u * opt->days, day = floor(days), part = days - day;

	part -= 0.6 * sin(2 * M_PI * part) / (2 * M_PI);
	return opt->end_ns - (uint64_t)((opt->days - day - part) * 86400 * (double)NSEC_PER_SEC);
}

/* The name of history_rows.h's flow is one that all hosts know. */
static void other_name(struct worker *w, const struct host *h, struct store_peer *p)
{
	unsigned dice = (unsigned)(bench_dice(&w->bench) % (100 * ODD_FLOWS));

	if (h->number % ODD_HOSTS == 7 && dice < 100) {
		p->name = str_of(h->odd_name);
		p->domain = str_sub(p->name, 6, p->name.n);
	} else if (dice % 100 < TEAM_PART) {
		p->name = str_of(w->team[h->number % TEAMS][dice / 100 % TEAM_NAMES]);
		p->domain = str_sub(p->name, (size_t)(strchr(p->name.p, '.') - p->name.p) + 1,
				    p->name.n);
	}
}

static void put_piece(struct worker *w, struct host *h, const struct store_row *row)
{
	clickhouse_put_flow(&w->rows[CLICKHOUSE_FLOW], str_of(h->name), row);
	w->counted[CLICKHOUSE_FLOW]++;
	h->pieces++;
	h->up_bytes += row->up_bytes;
	h->down_bytes += row->down_bytes;
}

static void put_answer(struct worker *w, struct host *h, const struct store_row *row)
{
	char text[ADDR_TEXT_MAX];
	struct store_name name = { .boot = h->boot,
				   .flow_id = row->flow_id,
				   .time_ns = row->start_ns,
				   .resolver = addr_from_v4(RESOLVER),
				   .port = 53,
				   .type = 1,
				   .name = row->peer.name,
				   .ttl = 300,
				   .n_answers = 1,
				   .has_who = true,
				   .who = row->who };

	name.answers[0] = str_of(addr_format(&row->key.dst, text));
	clickhouse_put_name(&w->rows[CLICKHOUSE_NAME], str_of(h->name), &name);
	w->counted[CLICKHOUSE_NAME]++;
	h->names++;
}

unsigned host_flow(struct worker *w, struct host *h, uint64_t at_ns)
{
	struct bench *b = &w->bench;
	struct store_row *row = &b->row;
	uint64_t worker_seed = b->seed, length_ns;
	unsigned more;

	b->seed = h->seed;
	b->n = h->n++;
	bench_next(b);
	length_ns = row->to_ns - row->start_ns;
	row->boot = h->boot;
	row->flow_id = ++h->last_id;
	row->to_ns = at_ns;
	row->start_ns = row->from_ns = at_ns - length_ns;
	row->key.src = h->addr;
	row->who.start_ns += h->began_ns - b->first_ns;
	if (row->peer.name.n)
		other_name(w, h, &row->peer);
	if (row->peer.name.n && bench_dice(b) % 100 < NAME_PART)
		put_answer(w, h, row);
	more = b->n % LONG_FLOWS ? 0 : MORE_PIECES;
	row->ends = !more;
	put_piece(w, h, row);
	for (unsigned i = 1; i <= more; i++) {
		row->seq = i;
		row->from_ns = row->to_ns;
		row->to_ns += 60 * NSEC_PER_MSEC;
		row->ends = i == more;
		put_piece(w, h, row);
	}
	h->flows++;
	h->seed = b->seed;
	b->seed = worker_seed;
	return 1 + more;
}

void host_tells(struct worker *w, struct host *h, uint64_t at_ns)
{
	struct store_host is = { .boot = h->boot,
				 .time_ns = at_ns,
				 .version = STR(EGRET_VERSION),
				 .watch = STR("host"),
				 .policy_mode = STR("watch"),
				 .policy_file = STR("/etc/egret/policy.egret"),
				 .policy_rules = 12,
				 .uptime_s = (at_ns - h->began_ns) / NSEC_PER_SEC,
				 .flows = h->flows };

	clickhouse_put_host(&w->rows[CLICKHOUSE_HOST], str_of(h->name), &is);
	w->counted[CLICKHOUSE_HOST]++;
	h->told++;
}

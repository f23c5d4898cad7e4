/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Globs become nodes of a nondeterministic automaton (Thompson, 1968), one a byte of the glob; the deterministic one's
 * states are sets of nodes, found from the start on (Rabin and Scott, 1959). Bytes that no glob names are one column.
 */
#include "policy/automaton.h"

#include <errno.h>
#include <string.h>

#define NODES_MAX (16U << 20)
#define NO_NODE UINT32_MAX
#define MOVES_MAX (8U << 20) /* nodes in all sets together */

enum node_kind {
	NODE_BYTE,
	NODE_ONE,  /* a byte but '/' */
	NODE_STAR, /* any bytes but '/', stays */
	NODE_ANY,  /* a byte */
	NODE_ALL,  /* any bytes, stays */
	NODE_FREE, /* goes on to next and also without a byte */
	NODE_ACCEPT,
};

struct node {
	uint8_t kind, byte;
	uint32_t next; /* ACCEPT: the number */
	uint32_t also; /* a node that is reached from here without a byte, or NO_NODE */
};

struct globs {
	struct node *nodes;
	uint32_t n, cap;
	uint32_t *starts;
	uint32_t n_starts, cap_starts;
	bool failed;
};

int globs_new(struct globs **ret)
{
	struct globs *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	*ret = g;
	return 0;
}

struct globs *globs_free(struct globs *g)
{
	if (!g)
		return NULL;
	free(g->nodes);
	free(g->starts);
	free(g);
	return NULL;
}

/* A node that leads to the one made after it. */
static uint32_t add_node(struct globs *g, enum node_kind kind, uint8_t byte)
{
	if (g->n == g->cap) {
		uint32_t cap = g->cap ? g->cap * 2 : 256;
		struct node *to = cap > NODES_MAX ? NULL : realloc(g->nodes, cap * sizeof(*to));

		if (!to) {
			g->failed = true;
			return 0;
		}
		g->nodes = to;
		g->cap = cap;
	}
	g->nodes[g->n] = (struct node){ kind, byte, g->n + 1, NO_NODE };
	return g->n++;
}

static void add_glob(struct globs *g, struct str s, bool path)
{
	for (size_t i = 0; i < s.n; i++) {
		bool two = path && s.p[i] == '*' && i + 1 < s.n && s.p[i + 1] == '*';
		uint32_t n;

		if (s.p[i] == '*' && (two || !path)) {
			n = add_node(g, NODE_FREE, 0);
			add_node(g, NODE_ALL, 0);
			/* Between slashes it may be no directory at all: then one of the two goes, too. */
			if (two && i && s.p[i - 1] == '/' && i + 2 < s.n && s.p[i + 2] == '/' &&
			    !g->failed)
				g->nodes[n].also = n + 3;
			while (i + 1 < s.n && s.p[i + 1] == '*')
				i++;
		} else if (s.p[i] == '*') {
			add_node(g, NODE_STAR, 0);
		} else if (s.p[i] == '?') {
			add_node(g, path ? NODE_ONE : NODE_ANY, 0);
		} else {
			add_node(g, NODE_BYTE, (uint8_t)s.p[i]);
		}
	}
}

/* Accepts here; and, when `below`, whatever follows a '/'. */
static void add_accept(struct globs *g, uint32_t number, bool below)
{
	uint32_t n;

	if (below) {
		n = add_node(g, NODE_FREE, 0);
		add_node(g, NODE_BYTE, '/');
		add_node(g, NODE_ALL, 0);
		if (!g->failed)
			g->nodes[n].also = g->n;
	}
	n = add_node(g, NODE_ACCEPT, 0);
	if (!g->failed)
		g->nodes[n].next = number;
}

/* Any number of "/x.slice". */
static void add_slices(struct globs *g)
{
	uint32_t begin = add_node(g, NODE_FREE, 0), again;

	add_glob(g, STR("/*.slice"), true);
	again = add_node(g, NODE_FREE, 0);
	if (g->failed)
		return;
	g->nodes[again].also = begin;
	g->nodes[begin].also = again + 1;
}

int globs_add(struct globs *g, enum glob_kind kind, struct str glob, uint32_t number)
{
	if (glob.n && memchr(glob.p, 0, glob.n))
		return 0; /* nothing that is matched holds a NUL */
	if (g->n_starts == g->cap_starts) {
		uint32_t cap = g->cap_starts ? g->cap_starts * 2 : 64;
		uint32_t *to = realloc(g->starts, cap * sizeof(*to));

		if (!to)
			return -ENOMEM;
		g->starts = to;
		g->cap_starts = cap;
	}
	g->starts[g->n_starts++] = g->n;
	if (kind == GLOB_UNIT)
		add_slices(g);
	if (kind == GLOB_UNIT || (kind == GLOB_CGROUP && (!glob.n || glob.p[0] != '/')))
		add_node(g, NODE_BYTE, '/');
	while (kind == GLOB_CGROUP && glob.n && glob.p[glob.n - 1] == '/')
		glob.n--;
	add_glob(g, glob, kind != GLOB_TEXT);
	add_accept(g, number, kind == GLOB_CGROUP || kind == GLOB_UNIT);
	return g->failed ? -ENOMEM : 0;
}

/* --- sets of nodes ------------------------------------------------------------------------------------------------ */

struct run {
	uint32_t *p;
	size_t n, cap;
};

struct build {
	const struct globs *g;
	struct sets *states; /* set i is state i */
	struct automaton *a;
	uint32_t *stamp; /* by node: in the set that is being made */
	uint32_t now;
	struct run set, numbers;
	struct run column[256], noslash, any;
	size_t cap_states, moves;
	uint32_t slash; /* column of '/' */
};

static int run_add(struct run *r, uint32_t x)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		uint32_t *to = realloc(r->p, cap * sizeof(*to));

		if (!to)
			return -ENOMEM;
		r->p = to;
		r->cap = cap;
	}
	r->p[r->n++] = x;
	return 0;
}

/* A node and all that is reached from it without a byte. */
static int reach(struct build *b, uint32_t node)
{
	while (node != NO_NODE && b->stamp[node] != b->now) {
		const struct node *n = &b->g->nodes[node];
		bool on = n->kind == NODE_STAR || n->kind == NODE_ALL || n->kind == NODE_FREE;
		int r = 0;

		b->stamp[node] = b->now;
		if (n->kind != NODE_FREE)
			r = run_add(&b->set, node);
		if (r == 0 && n->also != NO_NODE)
			r = reach(b, n->also);
		if (r < 0)
			return r;
		node = on ? n->next : NO_NODE;
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The state for the set that was gathered: its number, or -errno. */
static int64_t state_of(struct build *b)
{
	uint32_t had = sets_count(b->states), state;

	if (b->set.n > 1)
		qsort(b->set.p, b->set.n, sizeof(*b->set.p), by_number);
	state = sets_put(b->states, b->set.p, b->set.n);
	if (state == SETS_FULL)
		return -E2BIG;
	if (sets_count(b->states) > had)
		b->moves += b->set.n;
	return b->moves > MOVES_MAX ? -E2BIG : (int64_t)state;
}

static void begin_set(struct build *b)
{
	b->now++;
	b->set.n = 0;
}

static int reach_all(struct build *b, const struct run *r)
{
	for (size_t i = 0; i < r->n; i++) {
		int e = reach(b, r->p[i]);

		if (e < 0)
			return e;
	}
	return 0;
}

/* --- states ------------------------------------------------------------------------------------------------------- */

static void bytes_to_columns(struct build *b)
{
	struct automaton *a = b->a;
	bool named[256] = { ['/'] = true };

	for (uint32_t i = 0; i < b->g->n; i++)
		if (b->g->nodes[i].kind == NODE_BYTE)
			named[b->g->nodes[i].byte] = true;
	/* Column 0 is for the bytes that nobody names, if there are any: there are, paths hold no NUL. */
	named[0] = false;
	a->n_classes = 1;
	for (int c = 0; c < 256; c++)
		a->class_of[c] = named[c] ? (uint8_t)a->n_classes++ : 0;
	b->slash = a->class_of['/'];
}

static int room_for_states(struct build *b, size_t n)
{
	struct automaton *a = b->a;
	size_t cap = b->cap_states ? b->cap_states : 64;
	uint16_t *trans;
	uint32_t *accept;

	if (n <= b->cap_states)
		return 0;
	while (cap < n)
		cap *= 2;
	trans = realloc(a->trans, cap * a->n_classes * sizeof(*trans));
	if (!trans)
		return -ENOMEM;
	a->trans = trans;
	accept = realloc(a->accept, cap * sizeof(*accept));
	if (!accept)
		return -ENOMEM;
	a->accept = accept;
	b->cap_states = cap;
	return 0;
}

/* Where each node of the state leads, by column. */
static int gather_moves(struct build *b, uint32_t state)
{
	size_t n;
	const uint32_t *nodes = sets_get(b->states, state, &n);
	int r = 0;

	for (uint32_t c = 0; c < b->a->n_classes; c++)
		b->column[c].n = 0;
	b->noslash.n = b->any.n = b->numbers.n = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct node *node = &b->g->nodes[nodes[i]];

		switch ((enum node_kind)node->kind) {
		case NODE_BYTE:
			r = run_add(&b->column[b->a->class_of[node->byte]], node->next);
			break;
		case NODE_ONE:
			r = run_add(&b->noslash, node->next);
			break;
		case NODE_STAR:
			r = run_add(&b->noslash, nodes[i]);
			break;
		case NODE_ANY:
			r = run_add(&b->any, node->next);
			break;
		case NODE_ALL:
			r = run_add(&b->any, nodes[i]);
			break;
		case NODE_ACCEPT:
			r = run_add(&b->numbers, node->next);
			break;
		case NODE_FREE:
			break;
		}
	}
	return r;
}

static int accept_of(struct build *b, uint32_t state, struct sets *accept)
{
	size_t n = 0;

	if (b->numbers.n > 1)
		qsort(b->numbers.p, b->numbers.n, sizeof(*b->numbers.p), by_number);
	for (size_t i = 0; i < b->numbers.n; i++)
		if (!n || b->numbers.p[n - 1] != b->numbers.p[i])
			b->numbers.p[n++] = b->numbers.p[i];
	b->a->accept[state] = sets_put(accept, b->numbers.p, n);
	return b->a->accept[state] == SETS_FULL ? -E2BIG : 0;
}

static int fill_state(struct build *b, uint32_t state, struct sets *accept)
{
	struct automaton *a = b->a;
	int64_t other = -1, to;
	int r;

	r = room_for_states(b, state + 1);
	if (r == 0)
		r = gather_moves(b, state);
	if (r == 0)
		r = accept_of(b, state, accept);
	for (uint32_t c = 0; c < a->n_classes && r == 0; c++) {
		/* Columns that only wildcards lead through are all alike. */
		bool plain = !b->column[c].n && c != b->slash;

		if (plain && other >= 0) {
			a->trans[(size_t)state * a->n_classes + c] = (uint16_t)other;
			continue;
		}
		begin_set(b);
		r = reach_all(b, &b->column[c]);
		if (r == 0 && c != b->slash)
			r = reach_all(b, &b->noslash);
		if (r == 0)
			r = reach_all(b, &b->any);
		to = r < 0 ? r : state_of(b);
		if (to < 0)
			return (int)to;
		if (plain)
			other = to;
		a->trans[(size_t)state * a->n_classes + c] = (uint16_t)to;
	}
	return r;
}

static int build(struct build *b, struct sets *accept)
{
	int64_t start;
	int r = 0;

	bytes_to_columns(b);
	begin_set(b);
	for (uint32_t i = 0; i < b->g->n_starts && r == 0; i++)
		r = reach(b, b->g->starts[i]);
	start = r < 0 ? r : state_of(b);
	if (start < 0)
		return (int)start;
	/* The empty set is set 0, the dead state. Without globs the start is as dead as that, and is state 1 all the same. */
	for (uint32_t state = 0; state < sets_count(b->states) && r == 0; state++)
		r = fill_state(b, state, accept);
	if (r < 0)
		return r;
	b->a->n_states = sets_count(b->states);
	if (start != 0)
		return 0;
	r = room_for_states(b, 2);
	if (r < 0)
		return r;
	memset(b->a->trans + b->a->n_classes, 0, b->a->n_classes * sizeof(*b->a->trans));
	b->a->accept[1] = SETS_EMPTY;
	b->a->n_states = 2;
	return 0;
}

int automaton_new(struct automaton **ret, const struct globs *g, struct sets *accept)
{
	struct build b = { .g = g };
	int r = -ENOMEM;

	b.a = calloc(1, sizeof(*b.a));
	b.stamp = calloc(g->n + 1, sizeof(*b.stamp));
	if (b.a && b.stamp && sets_new(&b.states, AUTOMATON_STATES_MAX, MOVES_MAX) == 0)
		r = build(&b, accept);
	for (size_t i = 0; i < ARRAY_SIZE(b.column); i++)
		free(b.column[i].p);
	free(b.noslash.p);
	free(b.any.p);
	free(b.numbers.p);
	free(b.set.p);
	free(b.stamp);
	sets_free(b.states);
	if (r < 0) {
		automaton_free(b.a);
		return r;
	}
	*ret = b.a;
	return 0;
}

struct automaton *automaton_free(struct automaton *a)
{
	if (!a)
		return NULL;
	free(a->trans);
	free(a->accept);
	free(a);
	return NULL;
}

uint32_t automaton_run(const struct automaton *a, struct str s)
{
	uint32_t state = 1;

	for (size_t i = 0; i < s.n; i++)
		state = a->trans[(size_t)state * a->n_classes + a->class_of[(uint8_t)s.p[i]]];
	return a->accept[state];
}

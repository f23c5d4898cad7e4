// SPDX-License-Identifier: Apache-2.0
/*
 * MaxMind DB: a binary tree of address bits whose leaves point to records. All ranges of one country are found by walking the
 * whole tree once; a record is read once and remembered, because few are pointed to from many leaves. The walk is
 * bounded by the number of nodes, whatever a damaged file points to.
 */
#include "policy/geo.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MEMO 4096 /* records whose answer is remembered; a power of two */
#define ERROR_MAX 256
#define FILE_MAX (512UL << 20)
#define COPY_AT_ONCE (16UL << 20)
#define AS_ORG_MAX 255
#define VISITS_A_NODE 16 /* a tree may share parts of itself; more is a damaged one */

struct geo {
	MMDB_s country, asn;
	bool has_country, has_asn;
};

typedef int (*range_fn)(void *ctx, const struct addr *lo, const struct addr *hi);

struct walk {
	MMDB_s *db;
	const char *country; /* NULL: an autonomous system is looked for */
	uint32_t asn;
	struct {
		uint32_t offset;
		bool known, wanted;
	} memo[MEMO];
	uint64_t visited;
	bool v6; /* the tree's */
	bool pending;
	struct addr lo, hi; /* the range so far, not yet handed on */
	uint64_t found;
	range_fn fn;
	void *ctx;
	uint8_t path[16];
};

/*
 * The library reads a mapped file: one that is written over in its place would end the process (SIGBUS). A copy in memory
 * stays as it is.
 */
static int copy_of(const char *path)
{
	_cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC), to = -1;
	ssize_t n = 1;
	size_t all = 0;

	if (from < 0)
		return -errno;
	to = memfd_create("mmdb", MFD_CLOEXEC);
	if (to < 0)
		return -errno;
	while (n > 0) {
		n = sendfile(to, from, NULL, COPY_AT_ONCE);
		if (n < 0)
			return -errno;
		all += (size_t)n;
		if (all > FILE_MAX)
			return -EFBIG;
	}
	return TAKE_FD(to);
}

static int open_one(MMDB_s *db, const char *path, bool *ret, char error[ERROR_MAX])
{
	_cleanup_close_ int fd = -1;
	char copy[32];
	int r;

	if (!path || !*path)
		return 0;
	fd = copy_of(path);
	if (fd < 0) {
		snprintf(error, ERROR_MAX, "%.160s: %.80s", path, strerror(-fd));
		return fd;
	}
	snprintf(copy, sizeof(copy), "/proc/self/fd/%d", fd);
	r = MMDB_open(copy, MMDB_MODE_MMAP, db);
	if (r != MMDB_SUCCESS) {
		snprintf(error, ERROR_MAX, "%.160s: %.80s", path, MMDB_strerror(r));
		return -EINVAL;
	}
	if (db->metadata.ip_version != 4 && db->metadata.ip_version != 6) {
		snprintf(error, ERROR_MAX, "%.160s: its addresses are of no known kind", path);
		MMDB_close(db);
		return -EINVAL;
	}
	*ret = true;
	return 0;
}

int geo_open(struct geo **ret, const char *country_path, const char *asn_path, char error[256])
{
	struct geo *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	r = open_one(&g->country, country_path, &g->has_country, error);
	if (r == 0)
		r = open_one(&g->asn, asn_path, &g->has_asn, error);
	if (r < 0) {
		geo_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

struct geo *geo_free(struct geo *g)
{
	if (!g)
		return NULL;
	if (g->has_country)
		MMDB_close(&g->country);
	if (g->has_asn)
		MMDB_close(&g->asn);
	free(g);
	return NULL;
}

bool geo_knows_countries(const struct geo *g)
{
	return g && g->has_country;
}

bool geo_knows_systems(const struct geo *g)
{
	return g && g->has_asn;
}

/* --- records ----------------------------------------------------------------------------------------------------- */

static struct str text_at(MMDB_entry_s *entry, const char *const *path)
{
	MMDB_entry_data_s data;

	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
	    data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return STR_NONE;
	return (struct str){ data.utf8_string, data.data_size };
}

static struct str country_of(MMDB_entry_s *entry)
{
	static const char *const at[][3] = {
		{ "country", "iso_code", NULL }, /* GeoIP2, GeoLite2, DB-IP */
		{ "country_code", NULL },        /* others */
	};
	struct str s = text_at(entry, at[0]);

	return s.p ? s : text_at(entry, at[1]);
}

/* 0: it has none. */
static uint32_t asn_of(MMDB_entry_s *entry)
{
	static const char *const at[] = { "autonomous_system_number", NULL };
	MMDB_entry_data_s data;

	if (MMDB_aget_value(entry, &data, at) != MMDB_SUCCESS || !data.has_data)
		return 0;
	if (data.type == MMDB_DATA_TYPE_UINT16)
		return data.uint16;
	return data.type == MMDB_DATA_TYPE_UINT32 ? data.uint32 : 0;
}

static bool is_wanted(struct walk *w, MMDB_entry_s *entry)
{
	size_t at = (entry->offset * 2654435761U >> 12) % MEMO;

	if (!w->memo[at].known || w->memo[at].offset != entry->offset) {
		w->memo[at].offset = entry->offset;
		w->memo[at].known = true;
		w->memo[at].wanted =
			w->country ? str_eq(country_of(entry), (struct str){ w->country, 2 })
				   : asn_of(entry) == w->asn;
	}
	return w->memo[at].wanted;
}

/* --- the tree ---------------------------------------------------------------------------------------------------- */

static int flush(struct walk *w)
{
	if (!w->pending)
		return 0;
	w->pending = false;
	w->found++;
	return w->fn(w->ctx, &w->lo, &w->hi);
}

/* a + 1 is b. */
static bool follows(const struct addr *a, const struct addr *b)
{
	struct addr next = *a;

	for (size_t i = 16; i-- > 0;)
		if (++next.b[i])
			break;
	return addr_eq(&next, b);
}

/* The addresses that begin with `bits` bits of the path. */
static int leaf(struct walk *w, unsigned bits)
{
	struct addr lo, hi;
	unsigned width = w->v6 ? 128 : 32;
	uint8_t last[16];
	int r;

	memcpy(last, w->path, sizeof(last));
	for (unsigned i = bits; i < width; i++)
		last[i / 8] |= (uint8_t)(0x80 >> i % 8);
	if (!w->v6) {
		lo = addr_from_v4(w->path);
		hi = addr_from_v4(last);
	} else {
		static const uint8_t zero[12];

		/* ::/96 of such a tree is IPv4 */
		lo = addr_from_v6(w->path);
		hi = addr_from_v6(last);
		if (bits >= 96 && !memcmp(w->path, zero, sizeof(zero))) {
			lo = addr_from_v4(w->path + 12);
			hi = addr_from_v4(last + 12);
		}
	}
	if (w->pending && addr_is_v4(&w->lo) == addr_is_v4(&lo) && follows(&w->hi, &lo)) {
		w->hi = hi;
		return 0;
	}
	r = flush(w);
	if (r < 0)
		return r;
	w->lo = lo;
	w->hi = hi;
	w->pending = true;
	return 0;
}

static int walk_node(struct walk *w, uint32_t number, unsigned depth);

static int walk_side(struct walk *w, unsigned depth, uint64_t record, uint8_t type,
		     MMDB_entry_s *entry)
{
	static const uint8_t zero[16];
	bool v4_part = !memcmp(w->path, zero, 12);

	switch (type) {
	case MMDB_RECORD_TYPE_EMPTY:
		return 0;
	case MMDB_RECORD_TYPE_DATA:
		return is_wanted(w, entry) ? leaf(w, depth) : 0;
	case MMDB_RECORD_TYPE_SEARCH_NODE:
		/* 2002::/16, ::ffff:0:0/96 and others are made to point to IPv4 once more */
		if (w->v6 && record == w->db->ipv4_start_node.node_value &&
		    !(v4_part && depth == 96))
			return 0;
		return walk_node(w, (uint32_t)record, depth);
	default:
		return -EBADMSG;
	}
}

static int walk_node(struct walk *w, uint32_t number, unsigned depth)
{
	MMDB_search_node_s node;
	uint8_t bit = (uint8_t)(0x80 >> depth % 8);
	int r;

	if (depth >= (w->v6 ? 128U : 32U) ||
	    ++w->visited > (uint64_t)VISITS_A_NODE * w->db->metadata.node_count ||
	    MMDB_read_node(w->db, number, &node) != MMDB_SUCCESS)
		return -EBADMSG;
	r = walk_side(w, depth + 1, node.left_record, node.left_record_type,
		      &node.left_record_entry);
	if (r < 0)
		return r;
	w->path[depth / 8] |= bit;
	r = walk_side(w, depth + 1, node.right_record, node.right_record_type,
		      &node.right_record_entry);
	w->path[depth / 8] &= (uint8_t)~bit;
	return r;
}

static int walk_all(struct walk *w)
{
	int r;

	w->v6 = w->db->metadata.ip_version == 6;
	r = walk_node(w, 0, 0);
	if (r == 0)
		r = flush(w);
	return r < 0 ? r : w->found ? 0 : -ESRCH;
}

int geo_country(struct geo *g, const char country[3], range_fn fn, void *ctx)
{
	struct walk *w;
	int r;

	if (!g || !g->has_country)
		return -ENOENT;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->db = &g->country;
	w->country = country;
	w->fn = fn;
	w->ctx = ctx;
	r = walk_all(w);
	free(w);
	return r;
}

int geo_asn(struct geo *g, uint32_t asn, range_fn fn, void *ctx)
{
	struct walk *w;
	int r;

	if (!g || !g->has_asn)
		return -ENOENT;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->db = &g->asn;
	w->asn = asn;
	w->fn = fn;
	w->ctx = ctx;
	r = walk_all(w);
	free(w);
	return r;
}

/* --- one address --------------------------------------------------------------------------------------------------- */

static bool find_entry(MMDB_s *db, const struct addr *a, MMDB_entry_s *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	bool is_v4 = addr_is_v4(a);
	MMDB_lookup_result_s found;
	int error;

	memcpy(&v4.sin_addr, a->b + 12, 4);
	memcpy(&v6.sin6_addr, a->b, 16);
	found = MMDB_lookup_sockaddr(db, is_v4 ? (void *)&v4 : (void *)&v6, &error);
	*ret = found.entry;
	return error == MMDB_SUCCESS && found.found_entry;
}

void geo_find(struct geo *g, const struct addr *a, struct geo_facts *ret)
{
	static const char *const org[] = { "autonomous_system_organization", NULL };
	MMDB_entry_s entry;
	struct str s;

	*ret = (struct geo_facts){ 0 };
	if (g && g->has_country && find_entry(&g->country, a, &entry)) {
		s = country_of(&entry);
		if (s.n == 2 && s.p[0] >= 'A' && s.p[0] <= 'Z' && s.p[1] >= 'A' && s.p[1] <= 'Z')
			memcpy(ret->country, s.p, 2);
	}
	if (g && g->has_asn && find_entry(&g->asn, a, &entry)) {
		ret->asn = asn_of(&entry);
		s = text_at(&entry, org);
		if (s.n <= AS_ORG_MAX)
			ret->as_org = s;
	}
}

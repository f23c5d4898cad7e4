/* SPDX-License-Identifier: Apache-2.0 */
/* Lease files as a hostile client or a broken disk may make them, into a small table of machines; nothing may be left behind. */
#include <stdlib.h>

#include "flow/machines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	struct machine_table *table;
	struct machine *machines[8];
	size_t n;
};

static void on_lease(void *ctx, const struct lease *l)
{
	struct seen *s = ctx;
	char name[HOST_NAME_MAX_BYTES];

	/* what is handed on is a host name, and stays the same when it is read again */
	if (l->name.n && host_name_copy(l->name, name) != l->name.n)
		abort();
	machine_table_lease(s->table, l);
	if (l->has_mac)
		machine_table_neighbour(s->table, &l->addr, l->mac);
	if (s->n < 8)
		s->machines[s->n++] = machine_table_get(s->table, &l->addr);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct seen s = { 0 };
	struct intern *texts;

	if (intern_new(&texts, 64) < 0 || machine_table_new(&s.table, texts, 16) < 0)
		abort();
	for (int i = 0; i < 2; i++) {
		machine_table_leases_begin(s.table);
		leases_parse(text, on_lease, &s);
		machine_table_leases_end(s.table);
	}
	while (s.n)
		machine_put(s.table, s.machines[--s.n]);
	machine_table_free(s.table);
	if (intern_count(texts))
		abort();
	intern_free(texts);
	return 0;
}

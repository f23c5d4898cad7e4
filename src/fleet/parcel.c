/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet/parcel.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "guard/bundle.h"

static const struct policy_file *find(const struct fleet_parcel *p, struct str name)
{
	for (size_t i = 1; i < p->n_files; i++)
		if (str_eq(p->files[i].name, name))
			return &p->files[i];
	return NULL;
}

static int check_files(const struct fleet_parcel *p, struct buf *messages)
{
	int r = 0;

	for (size_t i = 0; i < p->manifest.n_groups; i++) {
		const struct fleet_group *g = &p->manifest.groups[i];

		if (find(p, g->policy))
			continue;
		buf_printf(messages,
			   "error: the policy of group %.*s, %.*s, is not in the bundle\n",
			   STR_FMT(g->name), STR_FMT(g->policy));
		r = -EINVAL;
	}
	return r;
}

int fleet_parcel_parse(struct fleet_parcel *ret, struct str bytes, struct buf *messages)
{
	struct fleet_parcel p = { 0 };
	int r = bytes.n > FLEET_BUNDLE_MAX ? -EINVAL : bundle_parse(bytes, &p.files, &p.n_files);

	if (r == 0 && !str_eq(p.files[0].name, STR(FLEET_MANIFEST)))
		r = -EINVAL;
	if (r < 0 && r != -ENOMEM)
		buf_puts(messages, "error: it is no bundle of egret fleet policy pack\n");
	else if (r == 0)
		r = fleet_manifest_parse(&p.manifest, FLEET_MANIFEST, p.files[0].text, messages);
	if (r == 0)
		r = check_files(&p, messages);
	if (r < 0)
		fleet_parcel_done(&p);
	else
		*ret = p;
	return r == -E2BIG ? -EINVAL : r;
}

void fleet_parcel_done(struct fleet_parcel *p)
{
	fleet_manifest_done(&p->manifest);
	free(p->files);
	*p = (struct fleet_parcel){ 0 };
}

int fleet_parcel_policy(const struct fleet_parcel *p, const struct fleet_group *g,
			struct policy **ret, struct buf *messages)
{
	const struct policy_file *first = find(p, g->policy);
	_cleanup_free_ struct policy_file *files = calloc(p->n_files, sizeof(*files));
	size_t n = 1;

	if (!files)
		return -ENOMEM;
	if (!first)
		return -EINVAL;
	files[0] = *first;
	for (size_t i = 1; i < p->n_files; i++)
		if (&p->files[i] != first)
			files[n++] = p->files[i];
	return policy_parse_files(ret, files, n, STR_NONE, messages);
}

// SPDX-License-Identifier: Apache-2.0
/* What a hit is worth. The table and its reasons are in intel_index.h. */
#include <math.h>

#include "base/cleanup.h"
#include "detect/intel_file.h"

#define DAY_S 86400.0
#define DELTA 0.5 /* the decay speed of MISP's model: the age counts by its 1/delta-th power */
#define LASTING 0.5

static const uint8_t caps[INTEL_CLASS_COUNT][INTEL_KIND_COUNT] = {
	/* addr:port, addr, range, name, url, path, cert, ja3, ja4 */
	[INTEL_C2] = { 45, 30, 15, 40, 42, 10, 40, 3, 6 },
	[INTEL_MALWARE] = { 40, 24, 12, 36, 40, 8, 36, 3, 6 },
	[INTEL_PHISHING] = { 18, 12, 6, 24, 28, 3, 18, 1, 2 },
	[INTEL_MINING] = { 30, 18, 8, 30, 32, 5, 24, 2, 4 },
	[INTEL_TOR] = { 12, 12, 8, 12, 12, 2, 12, 2, 4 },
	[INTEL_DOH] = { 4, 4, 3, 4, 4, 1, 4, 1, 1 },
	[INTEL_VPN] = { 4, 4, 3, 4, 4, 1, 4, 1, 1 },
	[INTEL_SUSPICIOUS] = { 3, 3, 2, 3, 3, 1, 3, 1, 1 },
	[INTEL_SCANNER] = { 1, 1, 1, 1, 1, 1, 1, 1, 1 },
};

static const uint16_t tau_days[INTEL_KIND_COUNT] = {
	[INTEL_ADDR_PORT] = 14, [INTEL_ADDR] = 7,  [INTEL_RANGE] = 7,
	[INTEL_NAME] = 90,      [INTEL_URL] = 30,  [INTEL_PATH] = 30,
	[INTEL_CERT] = 365,     [INTEL_JA3] = 180, [INTEL_JA4] = 180,
};

unsigned intel_cap(enum intel_class class, enum intel_kind kind)
{
	return (unsigned)class < INTEL_CLASS_COUNT && (unsigned)kind < INTEL_KIND_COUNT
		       ? caps[class][kind]
		       : 0;
}

static double tau_s(const struct intel_hit *hit)
{
	bool address =
		hit->kind == INTEL_ADDR_PORT || hit->kind == INTEL_ADDR || hit->kind == INTEL_RANGE;

	switch (hit->class) {
	case INTEL_TOR:
		return (address ? 3 : tau_days[hit->kind]) * DAY_S;
	case INTEL_DOH:
	case INTEL_VPN:
	case INTEL_SCANNER:
	case INTEL_SUSPICIOUS:
		return (address ? 365 : tau_days[hit->kind]) * DAY_S;
	default:
		return tau_days[hit->kind] * DAY_S;
	}
}

double intel_decay(const struct intel_hit *hit, int64_t now_s)
{
	double age = now_s > hit->seen_s ? (double)now_s - (double)hit->seen_s : 0, left;

	if ((unsigned)hit->kind >= INTEL_KIND_COUNT)
		return 0;
	left = fmax(0, 1 - pow(age / tau_s(hit), 1 / DELTA));
	return hit->lasting ? fmax(LASTING, left) : left;
}

int intel_weight(const struct intel_hit *hit, int64_t now_s)
{
	if (hit->cancelled)
		return 0;
	return (int)lround(intel_cap(hit->class, hit->kind) * MIN((unsigned)hit->confidence, 100U) /
			   100.0 * intel_decay(hit, now_s));
}

/* --- words ---------------------------------------------------------------------------------------------------------- */

static const char *const class_names[] = {
#define X(id, name) [INTEL_##id] = (name),
	INTEL_CLASSES(X)
#undef X
};

static const char *const kind_names[] = {
#define X(id, name) [INTEL_##id] = (name),
	INTEL_KINDS(X)
#undef X
};

const char *intel_class_name(enum intel_class c)
{
	return (unsigned)c < INTEL_CLASS_COUNT ? class_names[c] : "unknown";
}

const char *intel_kind_name(enum intel_kind k)
{
	return (unsigned)k < INTEL_KIND_COUNT ? kind_names[k] : "unknown";
}

bool intel_class_parse(struct str word, enum intel_class *ret)
{
	for (unsigned i = 0; i < INTEL_CLASS_COUNT; i++) {
		if (!str_eq(word, str_of(class_names[i])))
			continue;
		*ret = (enum intel_class)i;
		return true;
	}
	return false;
}

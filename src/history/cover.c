/* SPDX-License-Identifier: Apache-2.0 */
#include "history/cover.h"

#include "base/cleanup.h"
#include "base/time.h"
#include "policy/price.h"

uint64_t cover_step_ns(enum store_step step)
{
	static const uint64_t seconds[] = { 60, 3600, 86400 };

	return seconds[step] * NSEC_PER_SEC;
}

static uint64_t floor_to(uint64_t t, enum store_step step)
{
	return t - t % cover_step_ns(step);
}

static uint64_t ceil_to(uint64_t t, enum store_step step)
{
	return floor_to(t + cover_step_ns(step) - 1, step);
}

uint64_t cover_day(uint64_t time_ns)
{
	return floor_to(time_ns, STORE_DAY);
}

uint64_t cover_month_end(uint64_t time_ns)
{
	int64_t from, to;

	price_month((int64_t)(time_ns / NSEC_PER_SEC), &from, &to);
	return (uint64_t)to * NSEC_PER_SEC;
}

/*
 * Sums of this step reach back to that time: they begin earlier, or where the next larger ones do, so that nothing of them has been
 * thrown away.
 */
static bool is_kept(const uint64_t *oldest, enum store_step step, uint64_t t)
{
	enum store_step larger = step + 1;

	if (step == STORE_DAY || !oldest[larger] || (oldest[step] && t >= oldest[step]))
		return true;
	return oldest[step] && oldest[larger] >= floor_to(oldest[step], larger) &&
	       is_kept(oldest, larger, t);
}

static void read_oldest(struct store_reader *r, uint64_t oldest[STORE_STEP_COUNT])
{
	for (int i = 0; i < STORE_STEP_COUNT; i++)
		oldest[i] = store_oldest_sum(r, (enum store_step)i);
}

bool cover_is_kept(struct store_reader *r, enum store_step step, uint64_t time_ns)
{
	uint64_t oldest[STORE_STEP_COUNT];

	read_oldest(r, oldest);
	return is_kept(oldest, step, time_ns);
}

static enum store_step step_at(uint64_t at, uint64_t to, enum store_step largest)
{
	for (int step = (int)largest; step > STORE_MINUTE; step--)
		if (at % cover_step_ns((enum store_step)step) == 0 &&
		    at + cover_step_ns((enum store_step)step) <= to)
			return (enum store_step)step;
	return STORE_MINUTE;
}

void cover_plan(struct cover *ret, struct store_reader *r, struct store_span span, uint64_t now_ns,
		enum store_step largest)
{
	uint64_t oldest[STORE_STEP_COUNT], from, to, end;

	read_oldest(r, oldest);
	*ret = (struct cover){ .finest = largest };
	end = MIN(span.to_ns, ceil_to(now_ns + 1, STORE_MINUTE));
	from = floor_to(span.from_ns, STORE_MINUTE);
	to = ceil_to(end, STORE_MINUTE);
	for (enum store_step s = STORE_MINUTE; s < STORE_DAY && !is_kept(oldest, s, from); s++)
		from = floor_to(span.from_ns, s + 1);
	for (enum store_step s = STORE_MINUTE;
	     s < STORE_DAY && !is_kept(oldest, s, floor_to(end - 1, s + 1)); s++)
		to = ceil_to(end, s + 1);
	ret->span = (struct store_span){ from, MAX(to, span.to_ns) };
	for (uint64_t at = from; at < to;) {
		enum store_step step = step_at(at, to, largest);
		struct cover_part *last = ret->n ? &ret->parts[ret->n - 1] : NULL;

		ret->finest = MIN(ret->finest, step);
		if (!last || last->step != step) {
			if (ret->n == COVER_PARTS_MAX)
				return; /* cannot be: steps grow to the largest and shrink again */
			last = &ret->parts[ret->n++];
			*last = (struct cover_part){ step, { at, at } };
		}
		at += cover_step_ns(step);
		last->span.to_ns = at;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/judge.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash.h"

#define DAY_S 86400
#define BEFORE_S (2 * DAY_S)
#define AFTER_S (30 * DAY_S)

/* As written; as favourable as an unknown program can be; as unfavourable. */
enum reading { AS_WRITTEN, AT_BEST, AT_WORST, READINGS };

struct judge {
	const struct policy *policy;
	struct policy reading[READINGS]; /* shallow copies: only the rules are their own */
	struct policy_rule *rules[READINGS];
	struct policy_terms *except[READINGS];
	struct policy_image *image[READINGS];
	int64_t from_s, to_s;
	struct judge_config cfg;
	struct policy_ids ids;
	uint64_t name_key;
	struct buf *messages;
	bool dated, names_who;
};

static bool lets_pass(enum eg_action a)
{
	return a == EG_ALLOW || a == EG_AUDIT;
}

static bool asks_who(const struct policy_terms *t)
{
	return t->n_apps || t->n_users || t->n_groups || t->n_units || t->n_containers;
}

static void forget_who(struct policy_terms *t)
{
	t->n_apps = t->n_users = t->n_groups = t->n_units = t->n_containers = 0;
}

/*
 * At best a rule that lets pass finds whoever it asks for, and an exception to one that refuses does too; at worst the
 * other way round. Whoever is not known satisfies no rule by itself, which is what is wanted of all the others.
 */
static void bend(struct policy_rule *rule, struct policy_terms *except, enum reading how)
{
	bool favoured = lets_pass(rule->action) == (how == AT_BEST);

	if (favoured)
		forget_who(&rule->match);
	for (size_t i = 0; !favoured && i < rule->n_except; i++)
		forget_who(&except[i]);
	rule->except = except;
}

static int make_reading(struct judge *j, enum reading how)
{
	const struct policy *p = j->policy;
	struct policy_terms *except;
	size_t n_except = 0;

	for (size_t i = 0; i < p->n_rules; i++)
		n_except += p->rules[i].n_except;
	j->rules[how] = calloc(p->n_rules + 1, sizeof(*j->rules[how]));
	j->except[how] = except = calloc(n_except + 1, sizeof(*except));
	if (!j->rules[how] || !except)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *r = &p->rules[i];

		j->rules[how][i] = *r;
		for (size_t k = 0; k < r->n_except; k++)
			except[k] = r->except[k];
		bend(&j->rules[how][i], except, how);
		except += r->n_except;
	}
	j->reading[how] = *p;
	j->reading[how].rules = j->rules[how];
	return 0;
}

static int compile(struct judge *j, enum reading how, struct buf *messages)
{
	struct compile_config cfg = {
		.name_key = j->name_key,
		.enforce = true,
		.from_s = j->from_s,
		.to_s = j->to_s,
		.list_cache = j->cfg.list_cache,
		.geo = j->cfg.geo,
		.ids = &j->ids,
	};

	return policy_compile(&j->image[how], &j->reading[how], &cfg, messages);
}

static void drop_images(struct judge *j)
{
	for (int how = 0; how < READINGS; how++)
		j->image[how] = policy_image_free(j->image[how]);
}

static int compile_for(struct judge *j, int64_t when_s, struct buf *messages)
{
	_cleanup_buf_ struct buf unsaid = BUF_INIT(1U << 20);
	int r;

	drop_images(j);
	j->from_s = when_s - BEFORE_S;
	j->to_s = when_s + AFTER_S;
	r = compile(j, AS_WRITTEN, messages ? messages : &unsaid);
	/* The others are the same lists and names again: what is wrong with them is said already. */
	for (int how = AT_BEST; r == 0 && j->names_who && how < READINGS; how++)
		r = compile(j, (enum reading)how, &unsaid);
	return r;
}

int judge_new(struct judge **ret, const struct policy *p, const struct judge_config *cfg,
	      int64_t now_s, struct buf *messages)
{
	struct judge *j = calloc(1, sizeof(*j));
	int r = 0;

	if (!j)
		return -ENOMEM;
	j->policy = p;
	j->cfg = *cfg;
	j->name_key = hash_random_seed() & ((1ULL << 60) - 1);
	j->reading[AS_WRITTEN] = *p;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct policy_rule *rule = &p->rules[i];

		j->dated |= rule->until_s || rule->match.n_during;
		j->names_who |= asks_who(&rule->match);
		for (size_t k = 0; k < rule->n_except; k++) {
			j->dated |= rule->except[k].n_during > 0;
			j->names_who |= asks_who(&rule->except[k]);
		}
	}
	for (int how = AT_BEST; r == 0 && how < READINGS; how++)
		r = make_reading(j, (enum reading)how);
	if (r == 0)
		r = compile_for(j, now_s, messages);
	if (r < 0) {
		judge_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

struct judge *judge_free(struct judge *j)
{
	if (!j)
		return NULL;
	drop_images(j);
	for (int how = 0; how < READINGS; how++) {
		free(j->rules[how]);
		free(j->except[how]);
	}
	policy_ids_free(&j->ids);
	free(j);
	return NULL;
}

bool judge_needs_files(const struct judge *j)
{
	return j->dated && j->policy->n_lists;
}

/* What is refused whatever is still to come is refused by the rule that decides when no more is seen, as in the kernel. */
static int settle(const struct policy_image *img, const struct policy_subject *s,
		  struct eg_verdict *v)
{
	struct policy_subject guess = *s;
	int r;

	if (v->final || v->could_pass)
		return 0;
	if (guess.visible == EG_VISIBLE_UNKNOWN)
		guess.visible = EG_VISIBLE_NONE;
	if (guess.app == EG_APP_UNDECIDED)
		guess.app = EG_APP_UNKNOWN;
	r = policy_judge(img, &guess, v);
	if (r < 0)
		return r;
	v->rule = policy_row_rule(img, v->certain_row);
	v->row = v->certain_row;
	v->action = v->certain_action;
	v->final = true;
	return 0;
}

static bool refuses(const struct eg_verdict *v)
{
	uint8_t action = v->final ? v->action : v->could_pass ? EG_ALLOW : v->action;

	return !lets_pass((enum eg_action)action);
}

int judge_flow(struct judge *j, const struct recorded *r, struct judgement *ret)
{
	const struct policy_subject *s = &r->subject;
	struct eg_verdict v, best, worst;
	int err;

	*ret = (struct judgement){ 0 };
	if (j->dated && (s->unix_s < j->from_s + DAY_S || s->unix_s >= j->to_s)) {
		err = compile_for(j, s->unix_s, NULL);
		if (err < 0)
			return err;
	}
	if (!j->image[AS_WRITTEN])
		return -EINVAL;
	err = policy_judge(j->image[AS_WRITTEN], s, &v);
	if (err < 0)
		return err;
	err = settle(j->image[AS_WRITTEN], s, &v);
	if (err < 0)
		return err;
	ret->rule = v.rule;
	ret->action = v.action;
	ret->final = v.final;
	ret->refuses = refuses(&v);
	if (r->who_known || !j->names_who)
		return 0;
	err = policy_judge(j->image[AT_BEST], s, &best);
	if (err == 0)
		err = policy_judge(j->image[AT_WORST], s, &worst);
	if (err < 0)
		return err;
	ret->needs_who = refuses(&best) != refuses(&worst);
	return 0;
}

const struct policy *judge_policy(const struct judge *j)
{
	return j->policy;
}

const struct policy_image *judge_image(const struct judge *j)
{
	return j->image[AS_WRITTEN];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an address is called: who may know it, for how long, and in which order. */
#include "test.h"

#include "base/addr.h"
#include "base/time.h"
#include "decode/dns.h"
#include "flow/names.h"

#define T0 (1700000000 * NSEC_PER_SEC)

static struct intern *texts;
static struct name_table *names;
static struct dns_message message;

static int start(void **state)
{
	assert_ok(intern_new(&texts, 1000));
	assert_ok(name_table_new(&names, texts, 4));
	return 0;
}

static int stop(void **state)
{
	names = name_table_free(names);
	assert_int_equal(intern_count(texts), 0);
	texts = intern_free(texts);
	return 0;
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_ok(addr_parse(str_of(text), &a));
	return a;
}

static void ask(const char *name)
{
	memset(&message, 0, sizeof(message));
	message.response = true;
	message.n_questions = 1;
	message.questions[0] = (struct dns_question){ str_of(name), DNS_A, 1 };
}

static void answer(const char *name, const char *target, uint32_t ttl)
{
	struct dns_record *r = &message.answers[message.n_answers++];

	*r = (struct dns_record){
		.name = str_of(name), .ttl = ttl, .rdata = str_of(target), .class = 1
	};
	r->has_addr = addr_parse(r->rdata, &r->addr) == 0;
	r->type = r->has_addr ? DNS_A : DNS_CNAME;
}

static void learn(const char *client, uint64_t now_ns)
{
	struct addr a;

	if (client)
		a = addr(client);
	name_table_learn(names, client ? &a : NULL, &message, now_ns);
}

/* The names of an address as "one two", each with its chain as "asked>cname". */
static const char *called(const char *client, const char *of, uint64_t now_ns)
{
	static char text[1024];
	struct name *found[NAMES_PER_ADDR];
	struct addr a = addr(of), c;
	size_t n;

	if (client)
		c = addr(client);
	text[0] = 0;
	n = name_table_find(names, client ? &c : NULL, &a, now_ns, found);
	for (size_t i = 0; i < n; i++) {
		size_t at = strlen(text);

		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", i ? " " : "",
				       found[i]->asked->p);
		for (size_t k = 0; k < found[i]->n_chain; k++)
			at += (size_t)snprintf(text + at, sizeof(text) - at, ">%s",
					       found[i]->chain[k]->p);
		name_put(names, found[i]);
	}
	return text;
}

static void cname_targets_belong_to_what_was_asked(void **state)
{
	ask("www.a.example");
	answer("edge.cdn.example", "192.0.2.1", 60); /* order does not matter */
	answer("www.a.example", "a.cdn.example", 300);
	answer("a.cdn.example", "edge.cdn.example", 20);
	learn(NULL, T0);
	assert_string_equal(called(NULL, "192.0.2.1", T0),
			    "www.a.example>a.cdn.example>edge.cdn.example");
	/* For as long as the shortest of them. */
	assert_string_equal(called(NULL, "192.0.2.2", T0), "");
}

static void an_address_not_asked_for_is_not_believed(void **state)
{
	ask("a.example");
	answer("a.example", "192.0.2.1", 60);
	answer("bank.example", "192.0.2.2", 60);
	learn(NULL, T0);
	assert_string_equal(called(NULL, "192.0.2.1", T0), "a.example");
	assert_string_equal(called(NULL, "192.0.2.2", T0), "");
}

static void loops_and_errors_teach_nothing(void **state)
{
	ask("a.example");
	answer("a.example", "b.example", 60);
	answer("b.example", "a.example", 60);
	answer("c.example", "192.0.2.1", 60);
	learn(NULL, T0);
	ask("a.example");
	answer("a.example", "192.0.2.1", 60);
	message.rcode = 3;
	learn(NULL, T0);
	message.rcode = 0;
	message.response = false;
	learn(NULL, T0);
	assert_int_equal(name_table_count(names), 0);
}

static void names_are_those_of_who_asked(void **state)
{
	ask("a.example");
	answer("a.example", "192.0.2.1", 60);
	learn("10.0.0.1", T0);
	assert_string_equal(called("10.0.0.1", "192.0.2.1", T0), "a.example");
	assert_string_equal(called("10.0.0.2", "192.0.2.1", T0), "");
	assert_string_equal(called(NULL, "192.0.2.1", T0), "");
	/* What everybody knows stands behind what one asked himself. */
	name_table_add(names, NULL, &(struct addr){ 0 }, STR("zero"), NAME_HOSTS, T0, UINT64_MAX);
	ask("b.example");
	answer("b.example", "192.0.2.1", 60);
	learn(NULL, T0);
	assert_string_equal(called("10.0.0.1", "192.0.2.1", T0), "a.example b.example");
}

static void the_newest_valid_answer_comes_first(void **state)
{
	static const char *const all[] = { "a.example", "b.example", "c.example", "d.example",
					   "e.example" };

	for (int i = 0; i < 4; i++) {
		ask(all[i]);
		answer(all[i], "192.0.2.1", i == 3 ? 5 : 600);
		learn(NULL, T0 + (uint64_t)i * NSEC_PER_SEC);
	}
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 4 * NSEC_PER_SEC),
			    "d.example c.example b.example a.example");
	/* The newest has run out: it is still the address's name, but not the likeliest. */
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 60 * NSEC_PER_SEC),
			    "c.example b.example a.example d.example");
	/* Asked again, an answer is the newest; the same one is not kept twice. */
	ask("b.example");
	answer("b.example", "192.0.2.1", 600);
	learn(NULL, T0 + 60 * NSEC_PER_SEC);
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 61 * NSEC_PER_SEC),
			    "b.example c.example a.example d.example");
	ask("e.example");
	answer("e.example", "192.0.2.1", 600);
	learn(NULL, T0 + 62 * NSEC_PER_SEC);
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 62 * NSEC_PER_SEC),
			    "e.example b.example c.example d.example");
}

static void old_names_fade(void **state)
{
	ask("a.example");
	answer("a.example", "192.0.2.1", 60);
	learn(NULL, T0);
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 3600 * NSEC_PER_SEC), "a.example");
	assert_string_equal(called(NULL, "192.0.2.1", T0 + 3700 * NSEC_PER_SEC), "");
}

static void a_full_table_drops_the_oldest_and_counts_it(void **state)
{
	struct addr a = addr("192.0.2.0");
	struct name *kept[NAMES_PER_ADDR];
	char name[32];

	for (int i = 0; i < 4; i++) {
		a.b[15] = (uint8_t)i;
		snprintf(name, sizeof(name), "n%d.example", i);
		name_table_add(names, NULL, &a, str_of(name), NAME_DNS, T0, T0 + NSEC_PER_SEC);
	}
	a.b[15] = 0;
	assert_int_equal(name_table_find(names, NULL, &a, T0, kept), 1);
	a.b[15] = 9;
	name_table_add(names, NULL, &a, STR("n9.example"), NAME_DNS, T0, T0 + NSEC_PER_SEC);
	assert_int_equal(name_table_count(names), 4);
	assert_int_equal(name_table_lost(names), 1);
	assert_string_equal(called(NULL, "192.0.2.0", T0), "");
	/* Who held the name still has it. */
	assert_str(text_str(kept[0]->asked), "n0.example");
	name_put(names, kept[0]);
	/* What is over anyway is no loss. */
	a.b[15] = 10;
	name_table_add(names, NULL, &a, STR("n10.example"), NAME_DNS, T0 + 7200 * NSEC_PER_SEC,
		       UINT64_MAX);
	assert_int_equal(name_table_lost(names), 1);
}

static void hosts_and_kernel_names(void **state)
{
	struct addr a = addr("192.0.2.1");
	struct name *found[NAMES_PER_ADDR];

	ask("a.example");
	answer("a.example", "cdn.example", 60);
	answer("cdn.example", "192.0.2.1", 60);
	learn(NULL, T0);
	/* The kernel tells the name without its chain: the chain is kept. */
	name_table_add(names, NULL, &a, STR("a.example"), NAME_DNS, T0, T0 + 300 * NSEC_PER_SEC);
	assert_string_equal(called(NULL, "192.0.2.1", T0), "a.example>cdn.example");
	a = addr("192.0.2.7");
	name_table_add(names, NULL, &a, STR("printer"), NAME_HOSTS, T0, UINT64_MAX);
	assert_int_equal(name_table_find(names, NULL, &a, UINT64_MAX / 2, found), 1);
	assert_int_equal(found[0]->source, NAME_HOSTS);
	assert_string_equal(name_source_name(found[0]->source), "hosts");
	name_put(names, found[0]);
	assert_null(name_source_name(NAME_NONE));
}

/* The kernel has names of /etc/hosts, too, and tells them as it tells those of DNS. */
static void a_name_of_hosts_stays_one(void **state)
{
	struct addr a = addr("10.9.9.9");
	struct name *found[NAMES_PER_ADDR];

	name_table_add(names, NULL, &a, STR("db.lan"), NAME_HOSTS, T0, UINT64_MAX);
	name_table_add(names, NULL, &a, STR("DB.lan"), NAME_DNS, T0 + 1, T0 + 2);
	assert_int_equal(name_table_find(names, NULL, &a, T0 + 1, found), 1);
	assert_int_equal(found[0]->source, NAME_HOSTS);
	name_put(names, found[0]);
}

static void many_addresses_are_found_again(void **state)
{
	struct name_table *many;
	struct addr a = addr("10.0.0.0");
	struct name *found[NAMES_PER_ADDR];
	char name[32];

	assert_ok(name_table_new(&many, texts, 5000));
	for (int i = 0; i < 900; i++) {
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		snprintf(name, sizeof(name), "n%d.example", i);
		name_table_add(many, NULL, &a, str_of(name), NAME_DNS, T0, UINT64_MAX);
	}
	for (int i = 0; i < 900; i++) {
		a.b[14] = (uint8_t)(i >> 8);
		a.b[15] = (uint8_t)i;
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_int_equal(name_table_find(many, NULL, &a, T0, found), 1);
		assert_str(text_str(found[0]->asked), name);
		name_put(many, found[0]);
	}
	name_table_free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(cname_targets_belong_to_what_was_asked, start,
						stop),
		cmocka_unit_test_setup_teardown(an_address_not_asked_for_is_not_believed, start,
						stop),
		cmocka_unit_test_setup_teardown(loops_and_errors_teach_nothing, start, stop),
		cmocka_unit_test_setup_teardown(names_are_those_of_who_asked, start, stop),
		cmocka_unit_test_setup_teardown(the_newest_valid_answer_comes_first, start, stop),
		cmocka_unit_test_setup_teardown(old_names_fade, start, stop),
		cmocka_unit_test_setup_teardown(a_full_table_drops_the_oldest_and_counts_it, start,
						stop),
		cmocka_unit_test_setup_teardown(hosts_and_kernel_names, start, stop),
		cmocka_unit_test_setup_teardown(a_name_of_hosts_stays_one, start, stop),
		cmocka_unit_test_setup_teardown(many_addresses_are_found_again, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

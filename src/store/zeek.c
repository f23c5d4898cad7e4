/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of logs: their files, heads and ends. What a line says is zeek_rows.c's and zeek_dns.c's. */
#include "store/zeek.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "detect/finding.h"
#include "flow/record.h"
#include "store/zeek_row.h"

struct zeek_sink {
	struct sink sink;
	struct lines logs[ZEEK_FILES];
	struct zeek_dns *dns;
	SSL_CTX *tls;
	SSL *names; /* knows what ciphers are called */
};

static struct zeek_sink *zeek_of(struct sink *s)
{
	return (struct zeek_sink *)s;
}

/* When the file was opened or closed, as Zeek says it: by the clock, whatever the time in the records. UTC. */
static void put_stamp(struct buf *out, const char *word)
{
	time_t now = (time_t)(time_now() / NSEC_PER_SEC);
	char text[32];
	struct tm tm;

	strftime(text, sizeof(text), "%Y-%m-%d-%H-%M-%S", gmtime_r(&now, &tm));
	buf_printf(out, "#%s\t%s\n", word, text);
}

static void put_words(struct buf *out, const char *key, const char *words)
{
	struct str rest = str_of(words), word;

	buf_puts(out, key);
	while (str_cut(&rest, ' ', &word)) {
		buf_putc(out, '\t');
		buf_put_str(out, word);
	}
	buf_putc(out, '\n');
}

static void put_head(struct lines *l, const struct zeek_columns *c)
{
	struct buf *out = lines_begin(l);

	buf_printf(out,
		   "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"
		   "#path\t%s\n",
		   c->path);
	put_stamp(out, "open");
	put_words(out, "#fields", c->fields);
	put_words(out, "#types", c->types);
	lines_end(l);
}

static void put(struct sink *sink, const struct record *r)
{
	struct zeek_sink *s = zeek_of(sink);
	struct lines *l = s->logs;

	switch (r->type) {
	case RECORD_FLOW:
		if (!r->flow_ends)
			break;
		zeek_dns_flow_ends(s->dns, r->flow);
		zeek_conn_row(lines_begin(&l[ZEEK_CONN]), r->flow);
		lines_end(&l[ZEEK_CONN]);
		break;
	case RECORD_DNS:
		zeek_dns_message(s->dns, r);
		break;
	case RECORD_QUIC:
		zeek_quic_row(lines_begin(&l[ZEEK_QUIC]), r);
		lines_end(&l[ZEEK_QUIC]);
		if (!r->tls->ja4) /* no hello of TLS was in it */
			break;
		/* fall through */
	case RECORD_TLS:
		zeek_ssl_row(lines_begin(&l[ZEEK_SSL]), r, s->names);
		lines_end(&l[ZEEK_SSL]);
		break;
	case RECORD_HTTP:
		zeek_http_row(lines_begin(&l[ZEEK_HTTP]), r);
		lines_end(&l[ZEEK_HTTP]);
		break;
	case RECORD_FINDING:
		if (r->finding->state == FINDING_CLOSED)
			break;
		zeek_notice_row(lines_begin(&l[ZEEK_NOTICE]), r->finding);
		lines_end(&l[ZEEK_NOTICE]);
		break;
	case RECORD_SMTP:
	case RECORD_SSH:
	case RECORD_STATS:
	case RECORD_PACKET_SOCKET:
	case RECORD_DROP:
	case RECORD_ALERT:
	case RECORD_POLICY:
		break;
	}
}

static int flush(struct sink *sink)
{
	struct zeek_sink *s = zeek_of(sink);
	int r = 0;

	for (int i = 0; i < ZEEK_FILES; i++)
		r = lines_flush(&s->logs[i]) ?: r;
	return r;
}

static int reopen(struct sink *s)
{
	return 0; /* a log is written once, from its head to its end */
}

static void sink_free(struct sink *sink)
{
	struct zeek_sink *s = zeek_of(sink);

	zeek_dns_free(s->dns);
	for (int i = 0; i < ZEEK_FILES; i++) {
		if (s->logs[i].fd < 0)
			continue;
		put_stamp(lines_begin(&s->logs[i]), "close");
		lines_end(&s->logs[i]);
		lines_done(&s->logs[i]);
		close(s->logs[i].fd);
	}
	SSL_free(s->names);
	SSL_CTX_free(s->tls);
	free(s);
}

static const struct sink_ops ops = {
	.name = "zeek",
	.put = put,
	.flush = flush,
	.reopen = reopen,
	.free = sink_free,
};

static int open_logs(struct zeek_sink *s, const char *folder, uint64_t *lost, char path[PATH_MAX])
{
	for (int i = 0; i < ZEEK_FILES; i++) {
		if (snprintf(path, PATH_MAX, "%s/%s.log", folder, zeek_columns[i].path) >= PATH_MAX)
			return -ENAMETOOLONG;
		lines_init(&s->logs[i],
			   open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0644),
			   lost);
		if (s->logs[i].fd < 0)
			return -errno;
	}
	return 0;
}

/* What was made so far, when the rest cannot be. */
static void remove_logs(struct zeek_sink *s, const char *folder, bool folder_too)
{
	char path[PATH_MAX];

	for (int i = 0; i < ZEEK_FILES && s->logs[i].fd >= 0; i++) {
		snprintf(path, sizeof(path), "%s/%s.log", folder, zeek_columns[i].path);
		unlink(path);
		close(s->logs[i].fd);
	}
	if (folder_too)
		rmdir(folder);
}

int zeek_sink_new(struct sink **ret, const char *folder, uint64_t *lost, char path[PATH_MAX])
{
	struct zeek_sink *s = calloc(1, sizeof(*s));
	bool made;
	int r;

	if (!s)
		return -ENOMEM;
	s->sink.ops = &ops;
	for (int i = 0; i < ZEEK_FILES; i++)
		s->logs[i].fd = -1;
	snprintf(path, PATH_MAX, "%s", folder);
	s->tls = SSL_CTX_new(TLS_method());
	s->names = s->tls ? SSL_new(s->tls) : NULL;
	r = s->names ? zeek_dns_new(&s->dns, &s->logs[ZEEK_DNS]) : -ENOMEM;
	made = r == 0 && mkdir(folder, 0755) == 0;
	if (r == 0 && !made && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = open_logs(s, folder, lost, path);
	if (r == 0) {
		for (int i = 0; i < ZEEK_FILES; i++)
			put_head(&s->logs[i], &zeek_columns[i]);
		*ret = &s->sink;
		return 0;
	}
	remove_logs(s, folder, made);
	zeek_dns_free(s->dns);
	SSL_free(s->names);
	SSL_CTX_free(s->tls);
	free(s);
	return r;
}

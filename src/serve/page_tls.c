/* SPDX-License-Identifier: Apache-2.0 */
/* Certificate and key are read here, by who may; the page's process gets their texts and never opens a file. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "serve/page.h"
#include "serve/page_listen.h"

#define FILE_MAX (256U << 10)

DEFINE_CLEANUP(BIO, BIO_free);
DEFINE_CLEANUP(X509, X509_free);
DEFINE_CLEANUP(EVP_PKEY, EVP_PKEY_free);

static int read_file(const char *path, struct buf *ret, struct buf *messages)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = -1;

	while (fd >= 0) {
		char *at = buf_reserve(ret, 4096);

		if (!at)
			return -EFBIG;
		n = read(fd, at, 4096);
		if (n <= 0)
			break;
		ret->n += (size_t)n;
	}
	if (n < 0 || !ret->n || memchr(ret->p, 0, ret->n)) {
		int r = n < 0 ? -errno : -EBADMSG;

		buf_printf(messages, "error: cannot read %s: %s\n", path, strerror(-r));
		return r;
	}
	return 0;
}

static X509 *parse_cert(const struct buf *text)
{
	_cleanup_(BIO_freep) BIO *in = BIO_new_mem_buf(text->p, (int)text->n);

	return in ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
}

static int no_passphrase(char *to, int size, int writing, void *ctx)
{
	return -1;
}

static int check(const struct page_settings *s, const struct buf *cert, const struct buf *key,
		 const struct buf *ca, struct buf *messages)
{
	_cleanup_(X509_freep) X509 *c = parse_cert(cert);
	_cleanup_(X509_freep) X509 *authority = ca->n ? parse_cert(ca) : NULL;
	_cleanup_(BIO_freep) BIO *in = BIO_new_mem_buf(key->p, (int)key->n);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *k =
		in ? PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL) : NULL;
	size_t before = messages->n;

	if (!c)
		buf_printf(messages, "error: %s holds no certificate (PEM)\n", s->cert);
	if (!k)
		buf_printf(messages, "error: %s holds no key (PEM, without a passphrase)\n",
			   s->key);
	if (ca->n && !authority)
		buf_printf(messages, "error: %s holds no certificate (PEM)\n", s->client_ca);
	if (c && k && X509_check_private_key(c, k) != 1)
		buf_printf(messages, "error: the key %s is not that of %s\n", s->key, s->cert);
	ERR_clear_error();
	return messages->n > before ? -EINVAL : 0;
}

static int put_in_memory(const struct buf *const *texts, size_t n)
{
	_cleanup_close_ int fd = memfd_create("tls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = file_write_all(fd, buf_str(texts[i]));
		if (r == 0)
			r = file_write_all(fd, (struct str){ "", 1 });
	}
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

int page_tls_open(const struct page_settings *s, struct buf *messages)
{
	_cleanup_buf_ struct buf cert = BUF_INIT(FILE_MAX), key = BUF_INIT(FILE_MAX),
				 ca = BUF_INIT(FILE_MAX);
	int r = read_file(s->cert, &cert, messages);

	if (r == 0)
		r = read_file(s->key, &key, messages);
	if (r == 0 && s->client_ca[0])
		r = read_file(s->client_ca, &ca, messages);
	if (r == 0)
		r = check(s, &cert, &key, &ca, messages);
	if (r == 0)
		r = put_in_memory((const struct buf *const[]){ &cert, &key, &ca }, 3);
	if (key.p)
		explicit_bzero(key.p, key.cap);
	return r;
}

int page_check(const struct page_settings *s, struct buf *messages)
{
	int fd;

	if (!s->on || !s->cert[0])
		return 0;
	fd = page_tls_open(s, messages);
	if (fd < 0)
		return -EINVAL;
	close(fd);
	return 0;
}

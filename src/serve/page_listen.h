/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: what the page's process gets from the daemon. */
#pragma once

struct buf;
struct page_settings;

int page_listen(const struct page_settings *s); /* a socket that listens; -errno */
/* The memory file of WEB_FD_TLS. `messages` says what is wrong with the files. A descriptor; -errno. */
int page_tls_open(const struct page_settings *s, struct buf *messages);

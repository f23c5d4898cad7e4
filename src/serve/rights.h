/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to serve/: what whoever is at the other end of a socket may do. Unix sockets tell it themselves (SO_PEERCRED);
 * of a TCP connection over loopback the kernel is asked whose socket the other end is (sock_diag(7)).
 *
 * root and egretd's own user may read and change, group egret may read, everybody else nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RIGHTS_HOW_MAX 96

struct rights {
	bool read, change;
	char how[RIGHTS_HOW_MAX]; /* in words, as "loopback user root"; empty: nobody we know */
	uint64_t until_s;         /* Unix seconds; 0: no end */
};

/*
 * `fd` is our end of a connection. What cannot be told gives no rights: a TCP connection from elsewhere, one whose other end
 * is closed already (the kernel says "root" of those), one that nobody accepted.
 */
void rights_of_peer(int fd, struct rights *ret);

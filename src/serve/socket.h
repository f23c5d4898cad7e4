/* SPDX-License-Identifier: Apache-2.0 */
/* Private to serve/: the listening end of the control socket in the file system, and who may use it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define CONTROL_GROUP "egret" /* members may ask */

struct control_socket {
	int fd;
	char path[108];
	dev_t dev; /* of the socket made, so that only that one is removed */
	ino_t ino;
};

/*
 * Listens at `path`, mode 0660, group egret when there is one. What an egretd that is gone left there is replaced; one
 * that answers is left alone (-EADDRINUSE). Logs why it fails; -errno.
 */
int control_socket_open(struct control_socket *s, const char *path);
void control_socket_close(struct control_socket *s); /* and removes it from the file system */
bool control_socket_may_ask(int peer_fd);            /* by the credentials of who connected */
bool control_socket_may_change(int peer_fd);         /* the policy: root and egretd's own user */

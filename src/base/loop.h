/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of the daemon and of the terminal view: epoll, one thread, level-triggered. Sources are
 * owned by the loop; a source may remove itself or any other from inside a callback.
 */
#pragma once

#include <stdint.h>

struct loop;
struct loop_source;

/* `events` is what epoll reported (EPOLLIN, EPOLLOUT, EPOLLHUP …). */
typedef void (*loop_io_fn)(void *ctx, int fd, uint32_t events);
typedef void (*loop_timer_fn)(void *ctx);
typedef void (*loop_signal_fn)(void *ctx, int signo);

int loop_new(struct loop **ret);
struct loop *
loop_free(struct loop *l); /* removes all sources; fds given to loop_add_io stay the caller's */

int loop_add_io(struct loop *l, int fd, uint32_t events, loop_io_fn fn, void *ctx,
		struct loop_source **ret);
int loop_set_events(struct loop_source *s, uint32_t events);
int loop_add_timer(struct loop *l, uint64_t every_ns, loop_timer_fn fn, void *ctx,
		   struct loop_source **ret);
/* Blocks the signal for the process and delivers it here. */
int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *ctx);
void loop_remove(struct loop_source *s); /* NULL is fine */

int loop_run(struct loop *l); /* until loop_stop(); 0 or -errno of epoll_wait */
void loop_stop(struct loop *l);

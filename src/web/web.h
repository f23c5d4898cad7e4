/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egretd --web`: the HTTP side, a process of its own that egretd starts (serve/page.h says with what). It holds no data, opens
 * no file and has no right of its own: each request goes to the daemon with the socket of whoever made it, and the daemon decides.
 *
 *     browser ──HTTP──► libmicrohttpd ─► call.c ─► route.h, ask.h ─► upstream.h ──► daemon
 *                                          └─► hub.h (live views, shared) ──────────┘
 *
 * One thread, one loop. Limits: 600 connections, 64 of an address; a query of 4 KiB, a body of 256 KiB, 16 KiB of headers; 64
 * questions at once; 8 different live views; a peer's requests: 50 a second after the first 200.
 */
#pragma once

int web_main(void); /* the exit status */

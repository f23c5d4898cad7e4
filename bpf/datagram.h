/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first datagram of a flow, and later ones that look like the beginning of something. Pure, see flight.h. */
#pragma once

#include "quic.h"
#include "recognise_udp.h"

/*
 * A datagram of `total` bytes, n of them at EG_FIRST_PLACE, of which is known: seen->begun, and in eg_first.kept what QUIC
 * said so far (`lost`: that is gone). 1: kept is to be kept as it is now. seen->same: this one says nothing of its own.
 */
EG_ONCE int eg_datagram_look(struct eg_first *w, __u32 n, __u32 total, int lost,
			     struct eg_seen *seen)
{
	int is, app;

	if (!w || !seen)
		return 0;
	is = eg_quic_is(w, n);
	if (is != EG_QUIC_NOT) {
		seen->visible = EG_VISIBLE_UNREADABLE;
		seen->app = is == EG_QUIC_READ || !(EG_AT(w, EG_FIRST_PLACE) & 0x80) ||
					    eg_quic_other(eg_at32(w, EG_FIRST_PLACE + 1))
				    ? EG_APP_QUIC
				    : EG_APP_UNKNOWN;
		if (is == EG_QUIC_UNREAD || n < total || lost)
			return 0;
		return eg_quic_datagram(w, n, seen);
	}
	app = eg_recognise_udp(w, n, total);
	if (seen->begun && (app != EG_APP_DTLS || EG_AT(w, EG_FIRST_PLACE + 13) != 1)) {
		seen->same = 1;
		return 0;
	}
	seen->visible = EG_VISIBLE_NONE;
	seen->app = app;
	if (app == EG_APP_DTLS)
		eg_hello_dtls(w, EG_FIRST_PLACE, n, seen);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registrable domains by the public suffix list (publicsuffix.org), its private part included: the name that somebody pays
 * for. Process-wide caches make these functions for one thread.
 */
#pragma once

#include <stdbool.h>

#include "base/intern.h"
#include "base/str.h"

void domain_load(
	void); /* reads the list now instead of at the first name: for readers that confine themselves */

/* Point into the name; empty: it has none (a public suffix, a single label, an address). `name` is NUL-terminated. */
struct str domain_of_text(const struct text *name); /* cached */
struct str domain_of(struct str name);              /* lower case, at most 255 bytes */

/*
 * A registrable domain in its two parts: the label that was chosen, and the suffix it stands under. False: it has none, or the
 * suffix is one by the list's default rule alone, as of every local network.
 */
bool domain_split(struct str name, struct str *ret_label, struct str *ret_suffix);

/*
 * Is the end of a name on the list? "com" is; "lan", or what somebody made up, only has a domain by the list's default rule. The
 * last label decides; lower case.
 */
bool domain_is_public(struct str name);

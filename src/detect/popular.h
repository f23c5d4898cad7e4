/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which domains everybody knows: a name half the world uses is a poor sign of anything. Tables are made by tools/popular.py. What a
 * fleet knows beyond them: detect_fame().
 */
#pragma once

#include "base/str.h"

enum fame {
	FAME_NONE,
	FAME_FLEET, /* a share of this fleet's machines, for days (detect/prevalence.h) */
	FAME_KNOWN, /* among the 10,000 best known; wrongly so for two in a million others (32-bit hashes) */
	FAME_CORE, /* what machines ask for unasked: updates, certificates, time, the largest hosters */
};

enum fame popular_fame(struct str registrable_domain); /* lower case */

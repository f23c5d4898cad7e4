/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a flow's first payload encrypted from its first byte on? Protocols that people write down begin with something fixed:
 * a magic, a length, a name. Tunnels and the channels of malware that shall look like nothing begin with ciphertext.
 *
 * The exemptions are those of Wu et al., "How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic"
 * (USENIX Security 2023, Algorithm 1): not random is what has on average at most 3.4 or at least 4.6 bits set a byte, six
 * printable bytes in front, more than half of its bytes printable, more than 20 of them in a row, or the beginning of TLS
 * or HTTP. Those leave many short binary messages in, so more is asked of it here: a least length; that byte values come
 * back no more often than chance lets them (index of coincidence, less than 4 standard deviations above 1/256) and upper
 * halves of bytes are even (chi-square, p > 1e-3); and that it does not begin as a known compressed format does.
 *
 * What is compressed without a header of its own cannot be told from what is encrypted. Below RANDOM_BYTES_MIN 96nothing is
 * said to be random: of 32 bytes the tests see too little.
 */
#pragma once

#include "base/str.h"

#define RANDOM_BYTES_MIN 96
#define RANDOM_BYTES_MAX 512 /* looked at: more would not tell more */

/* What the opener's first payload is like. */
enum flow_first {
	FIRST_NONE, /* not seen (yet), or not its beginning */
	FIRST_TEXT, /* 19 of 20 bytes are printable or white space */
	FIRST_BINARY,
	FIRST_RANDOM,
};

enum flow_first first_bytes_class(struct str payload);
const char *
flow_first_name(enum flow_first v); /* "text", "binary", "random"; NULL for FIRST_NONE */

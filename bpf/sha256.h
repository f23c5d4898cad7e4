/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One block of SHA-256 (FIPS 180-4), on words: the state is eg_first.hash, the block eg_first.pad. Pure, see flight.h. */
#pragma once

#include "flight.h"

static const __u32 eg_sha256_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static const __u32 eg_sha256_start[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

#define EG_ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))

/* The eight variables stay where they are, in eg_first.work; what they are called moves on by one each round. */
#define EG_SHA(n) w->work[((n)-i) & 7]

EG_ONCE int eg_sha256_block(struct eg_first *w)
{
	__u32 i, x, y;

	if (!w)
		return 0;
	for (i = 0; i < 8; i++)
		w->work[i] = w->hash[i];
	for (i = 0; i < 64; i++) {
		if (i >= 16) {
			x = w->pad[(i + 1) & 15];
			y = w->pad[(i + 14) & 15];
			w->pad[i & 15] += w->pad[(i + 9) & 15] +
					  (EG_ROR(x, 7) ^ EG_ROR(x, 18) ^ x >> 3) +
					  (EG_ROR(y, 17) ^ EG_ROR(y, 19) ^ y >> 10);
		}
		x = EG_SHA(4);
		y = EG_SHA(6);
		x = (EG_ROR(x, 6) ^ EG_ROR(x, 11) ^ EG_ROR(x, 25)) + (y ^ (x & (EG_SHA(5) ^ y))) +
		    EG_SHA(7) + eg_sha256_k[i & 63] + w->pad[i & 15];
		EG_SHA(3) += x;
		y = EG_SHA(0);
		x += EG_ROR(y, 2) ^ EG_ROR(y, 13) ^ EG_ROR(y, 22);
		x += (y & (EG_SHA(1) ^ EG_SHA(2))) ^ (EG_SHA(1) & EG_SHA(2));
		EG_SHA(7) = x;
	}
	for (i = 0; i < 8; i++)
		w->hash[i] += w->work[i];
	return 0;
}

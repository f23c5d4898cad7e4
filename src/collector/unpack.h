/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a batch as an agent sent it. */
#pragma once

#include "base/buf.h"

/* Appends what is packed in it. -EBADMSG: it is not that, whole and alone; -EFBIG: more than the buffer may hold; -ENOMEM. */
int unpack_batch(struct buf *out, struct str packed);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The classes of a link's queue (src/attach/qdisc.c). Their low four bits are what Linux itself calls interactive, best effort and bulk
 * (TC_PRIO_*), which is all that a queue of somebody else's looks at.
 */
#pragma once

#define EG_LINK_ROOT 0xe67e0000U /* handle of the queue */
#define EG_LINK_ALL 0x1U         /* the class that the others borrow from */
#define EG_LINK_NORMAL 0x10U
#define EG_LINK_LOW 0x12U
#define EG_LINK_HIGH 0x16U

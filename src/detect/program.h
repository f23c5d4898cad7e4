/* SPDX-License-Identifier: Apache-2.0 */
/* What kind of program an executable is, by its name: what it may ordinarily do on a network follows from that. */
#pragma once

#include "base/str.h"

enum program_class {
	PROGRAM_UNKNOWN,
	PROGRAM_BROWSER,
	PROGRAM_SHELL,
	PROGRAM_INTERPRETER,
	PROGRAM_RELAY,    /* moves bytes between a connection and whatever: nc, socat, openssl */
	PROGRAM_TRANSFER, /* curl, wget, scp, rsync, rclone: what people and thieves upload with */
	PROGRAM_PACKAGE,  /* package managers */
	PROGRAM_CLOUD,    /* tools of a cloud provider, backup programs */
	PROGRAM_MTA,      /* hands mail on */
	PROGRAM_MAIL,     /* reads and sends mail for a person */
	PROGRAM_RESOLVER, /* answers DNS questions by asking others */
	PROGRAM_TIME,
	PROGRAM_VPN,
	PROGRAM_CLASSES
};

enum program_class program_class(struct str exe); /* path or name */
const char *program_class_name(enum program_class c);

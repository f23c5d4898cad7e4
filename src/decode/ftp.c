/* SPDX-License-Identifier: Apache-2.0 */
#include "decode/ftp.h"

#include "decode/text_line.h"

#define COMMAND_MAX 4096

bool ftp_client_stores(struct str client_bytes)
{
	struct str rest = client_bytes, line;

	while (text_line(&rest, &line)) {
		struct str verb;

		if (line.n > COMMAND_MAX || !text_is_plain(line))
			return false;
		verb = text_word(&line);
		if (str_eq_nocase(verb, STR("STOR")) || str_eq_nocase(verb, STR("APPE")) ||
		    str_eq_nocase(verb, STR("STOU")))
			return true;
	}
	return false;
}

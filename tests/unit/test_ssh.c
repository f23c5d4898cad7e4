// SPDX-License-Identifier: Apache-2.0
#include "hostile.h"

#include <errno.h>

#include "base/cleanup.h"
#include "decode/ssh.h"

static void banners(void **state)
{
	static const struct {
		struct str bytes;
		int r;
		const char *proto, *software;
	} cases[] = {
		{ STR("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n\0\0\5"), 0, "2.0",
		  "OpenSSH_9.2p1" },
		{ STR("SSH-1.99-Cisco-1.25\n"), 0, "1.99", "Cisco-1.25" },
		{ STR("Welcome\r\nto this\r\nSSH-2.0-x\r\n"), 0, "2.0", "x" },
		{ STR("SSH-2.0-half"), -EAGAIN, "", "" },
		{ STR("SSH"), -EAGAIN, "", "" },
		{ STR("Hello\r\n"), -EAGAIN, "", "" },
		{ STR(""), -EAGAIN, "", "" },
		{ STR("SSH-2.0\r\n"), -EBADMSG, "", "" },
		{ STR("SSH-\xff-x\r\n"), -EBADMSG, "", "" },
		{ STR("SSH-two-x\r\n"), -EBADMSG, "", "" },
		{ STR("\x16\3\1\0\5"), -EBADMSG, "", "" },
		{ STR("SSH-2.0-a\1b\r\n"), -EBADMSG, "", "" },
	};
	struct ssh_banner b;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_err(ssh_banner_parse(cases[i].bytes, &b), cases[i].r);
		if (!cases[i].r) {
			assert_str(b.proto_version, cases[i].proto);
			assert_str(b.software_version, cases[i].software);
		}
	}
}

static void lines_are_bounded(void **state)
{
	char text[4096];
	struct ssh_banner b;

	memset(text, 'a', sizeof(text));
	assert_err(ssh_banner_parse((struct str){ text, 300 }, &b), -EBADMSG);
	for (size_t i = 1; i < sizeof(text); i += 2)
		text[i] = '\n';
	assert_err(ssh_banner_parse((struct str){ text, sizeof(text) }, &b), -EBADMSG);
}

static void parse_it(struct str s)
{
	struct ssh_banner b;

	ssh_banner_parse(s, &b);
}

static void hostile_banners(void **state)
{
	hostile_variants(STR("Hello\r\nSSH-2.0-OpenSSH_9.2p1 Debian\r\n"), parse_it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(banners),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(hostile_banners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "front.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/log.h"
#include "base/time.h"
#include "config.h"
#include "serve/page.h"
#include "serve/tokens.h"

static void on_page(void *ctx, const struct page_request *q, struct json *j)
{
	struct front *f = ctx;

	if (f->page)
		page_answer(f->page, q, j);
	else
		json_text(j, "error",
			  "there is no page here: it is off in egret.conf, or could not start");
}

int front_make_folder(const char *path, mode_t mode)
{
	if (mkdir(path, mode) < 0 && errno != EEXIST)
		return log_errno(errno, "cannot make the folder %s", path);
	return 0;
}

int front_open(struct front *f, const struct config *c, struct control_config cfg)
{
	char path[sizeof(c->run) + 16];
	int r = front_make_folder(c->run, 0755);

	if (r < 0)
		return r;
	r = tokens_new(&f->tokens, c->state);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/egret.sock", c->run);
	cfg.path = path;
	cfg.page = on_page;
	cfg.page_ctx = f;
	cfg.tokens = f->tokens;
	cfg.trust_certificates = c->page.client_ca[0] != 0;
	return control_new(&f->control, &cfg);
}

int front_open_page(struct front *f, const struct config *c, struct loop *loop)
{
	int r = 0;

	if (!c->page.on)
		return 0;
	r = front_make_folder(c->state, 0750);
	if (r == 0)
		page_new(&f->page, &(struct page_config){ .settings = &c->page,
							  .run = c->run,
							  .loop = loop,
							  .control = f->control,
							  .tokens = f->tokens,
							  .now = time_now });
	return r;
}

void front_start(struct front *f)
{
	if (f->page)
		page_start(f->page);
}

void front_close(struct front *f)
{
	f->page = page_free(f->page);
	f->control = control_free(f->control);
	f->tokens = tokens_free(f->tokens);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_term.h"

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/top_model.h"
#include "cli/top_view.h"

#define ESCAPE_WAIT_MS 25 /* after ESC, for the rest of a function key */

static SCREEN *screen;

enum { PAIR_WARN = 1, PAIR_HEAD, PAIR_TITLE };

int top_term_begin(void)
{
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return -ENOTTY;
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		fputs("egret: the terminal (TERM) is not known here\n", stderr);
		return -EINVAL;
	}
	set_term(screen);
	set_escdelay(ESCAPE_WAIT_MS);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	if (has_colors() && start_color() == OK) {
		use_default_colors();
		init_pair(PAIR_WARN, COLOR_RED, -1);
		init_pair(PAIR_HEAD, COLOR_CYAN, -1);
		init_pair(PAIR_TITLE, COLOR_GREEN, -1);
	}
	return 0;
}

void top_term_end(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(TAKE_PTR(screen));
}

void top_term_size(unsigned *ret_rows, unsigned *ret_columns)
{
	*ret_rows = (unsigned)getmaxy(stdscr);
	*ret_columns = (unsigned)getmaxx(stdscr);
}

static attr_t attributes(enum top_style style)
{
	bool colors = has_colors();

	switch (style) {
	case TOP_TITLE:
		return A_BOLD | (colors ? COLOR_PAIR(PAIR_TITLE) : 0);
	case TOP_HEAD:
		return A_UNDERLINE | (colors ? COLOR_PAIR(PAIR_HEAD) : 0);
	case TOP_SELECTED:
		return A_REVERSE;
	case TOP_WARN:
		return A_BOLD | (colors ? COLOR_PAIR(PAIR_WARN) : 0);
	case TOP_FAINT:
		return A_DIM;
	case TOP_PLAIN:
		break;
	}
	return A_NORMAL;
}

void top_term_draw(const struct top_frame *f)
{
	int last = (int)f->n_lines - 1;

	erase();
	for (int i = 0; i <= last; i++) {
		attrset(attributes(f->lines[i].style));
		/* The last cell of the last line cannot be written without scrolling on some terminals: curses knows. */
		mvaddnstr(i, 0, f->text.p + f->lines[i].from, (int)f->lines[i].n);
	}
	attrset(A_NORMAL);
	if (f->cursor_column != SIZE_MAX && last >= 0) {
		curs_set(1);
		move(last, (int)f->cursor_column);
	} else {
		curs_set(0);
	}
	refresh();
}

static uint32_t special(wint_t key)
{
	static const struct {
		wint_t curses;
		uint32_t key;
	} keys[] = {
		{ KEY_UP, TOP_KEY_UP },         { KEY_DOWN, TOP_KEY_DOWN },
		{ KEY_PPAGE, TOP_KEY_PAGE_UP }, { KEY_NPAGE, TOP_KEY_PAGE_DOWN },
		{ KEY_HOME, TOP_KEY_HOME },     { KEY_END, TOP_KEY_END },
		{ KEY_ENTER, TOP_KEY_ENTER },   { KEY_BACKSPACE, TOP_KEY_BACKSPACE },
		{ KEY_RIGHT, TOP_KEY_ENTER },   { KEY_LEFT, TOP_KEY_ESCAPE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].curses == key)
			return keys[i].key;
	return 0;
}

uint32_t top_term_key(void)
{
	wint_t c;
	int kind;

	for (;;) {
		uint32_t key;

		kind = get_wch(&c);
		if (kind == ERR)
			return 0;
		if (kind == KEY_CODE_YES)
			key = special(c);
		else if (c == '\r' || c == '\n')
			key = TOP_KEY_ENTER;
		else if (c == 27)
			key = TOP_KEY_ESCAPE;
		else if (c == 127 || c == 8)
			key = TOP_KEY_BACKSPACE;
		else
			key = (uint32_t)c;
		if (key) /* else a key without a meaning, or a new size, which curses has taken in */
			return key;
	}
}

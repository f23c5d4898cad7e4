// SPDX-License-Identifier: Apache-2.0
// A table that draws only the rows in sight, so that 10,000 are no more work than 50. Arrow keys move, Enter opens.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { cls } from "./parts.jsx";

const SPARE = 12; // rows drawn above and below what is in sight

/**
 * columns: {key, title, num, grow, less, render(row), value(row), sortable: false}. `less`: 1 goes first on narrow screens, 2 next.
 * rowKey(row); open: key of the row whose record is shown; onOpen(row); sort, onSort(sort).
 */
export function Table({ label, columns, rows, rowKey, open, onOpen, sort, onSort, total, tall = true }) {
	const scroller = useRef(null), body = useRef(null);
	const [view, setView] = useState({ top: 0, height: 600, row: 30 });
	const [at, setAt] = useState(0);
	const moved = useRef(false);
	const first = Math.max(0, Math.floor(view.top / view.row) - SPARE);
	const last = Math.min(rows.length, Math.ceil((view.top + view.height) / view.row) + SPARE);
	const here = Math.min(at, Math.max(0, rows.length - 1));

	useLayoutEffect(() => {
		const el = scroller.current;
		const measure = () => setView((v) => {
			const row = parseFloat(getComputedStyle(el).getPropertyValue("--row")) || 30;
			const next = { top: el.scrollTop, height: el.clientHeight || 600, row };
			return next.top === v.top && next.height === v.height && next.row === v.row ? v : next;
		});
		measure();
		el.addEventListener("scroll", measure, { passive: true });
		const watch = new ResizeObserver(measure);
		watch.observe(el);
		return () => {
			el.removeEventListener("scroll", measure);
			watch.disconnect();
		};
	}, []);

	useEffect(() => {
		const row = moved.current && body.current.querySelector(`[data-at="${here}"]`);
		if (!row) return; // scrolled to, but not drawn yet
		moved.current = false;
		row.focus({ preventScroll: true });
	}, [here, first, last]);

	const go = (to) => {
		const next = Math.max(0, Math.min(rows.length - 1, to)), el = scroller.current;
		const y = next * view.row, head = el.querySelector("thead").offsetHeight;
		if (y < el.scrollTop) el.scrollTop = y;
		else if (y + view.row > el.scrollTop + el.clientHeight - head) el.scrollTop = y + view.row - el.clientHeight + head;
		moved.current = true;
		setAt(next);
	};
	const onKey = (e) => {
		if (e.ctrlKey || e.altKey || e.metaKey || !e.target.matches("tr")) return;
		const page = Math.max(1, Math.floor(view.height / view.row) - 2);
		const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[e.key];
		if (step) go(here + step);
		else if (e.key === "Home") go(0);
		else if (e.key === "End") go(rows.length - 1);
		else if ((e.key === "Enter" || e.key === " ") && onOpen) onOpen(rows[here]);
		else return;
		e.preventDefault();
	};
	const heading = (c) => {
		const active = sort === c.key || sort === "-" + c.key;
		const descending = active && (sort.startsWith("-") !== !!c.num);
		const aria = active ? (descending ? "descending" : "ascending") : undefined;
		return (
			<th key={c.key} scope="col" aria-sort={aria} class={cls(c.num && "num", c.less && "less" + c.less, c.grow && "grow")}>
				{onSort && c.sortable !== false ?
					<button type="button" onClick={() => onSort(sort === c.key ? "-" + c.key : c.key)}>
						{c.title}<span aria-hidden="true">{active ? (descending ? " ▾" : " ▴") : ""}</span>
					</button> : c.title}
			</th>
		);
	};
	return (
		<div class={cls("scroll", tall && "tall")} ref={scroller} tabIndex={rows.length ? -1 : 0} role="region" aria-label={label}>
			<table role="grid" aria-label={label} aria-rowcount={rows.length + 1} onKeyDown={onKey} data-total={total ?? rows.length}>
				<thead><tr aria-rowindex={1}>{columns.map(heading)}</tr></thead>
				<tbody ref={body}>
					{first > 0 && <tr class="gap" aria-hidden="true"><td colSpan={columns.length} style={{ height: `${first * view.row}px` }} /></tr>}
					{rows.slice(first, last).map((r, i) => {
						const n = first + i, key = rowKey(r, n);
						return (
							<tr key={key} data-at={n} aria-rowindex={n + 2} tabIndex={n === here || (i === 0 && (here < first || here >= last)) ? 0 : -1}
								class={cls(onOpen && "opens", open !== undefined && String(open) === String(key) && "open")}
								aria-selected={open !== undefined && String(open) === String(key)}
								onFocus={() => setAt(n)} onClick={(e) => {
									if (onOpen && !e.target.closest("a, button, input")) onOpen(r);
								}}>
								{columns.map((c) => (
									<td key={c.key} class={cls(c.num && "num", c.less && "less" + c.less, c.grow && "grow")}>{c.render(r)}</td>
								))}
							</tr>
						);
					})}
					{last < rows.length && <tr class="gap" aria-hidden="true"><td colSpan={columns.length} style={{ height: `${(rows.length - last) * view.row}px` }} /></tr>}
				</tbody>
			</table>
		</div>
	);
}

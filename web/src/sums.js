// SPDX-License-Identifier: Apache-2.0
// Rows of sums turned into what is drawn. Pure.

/** A living flow's record as a row of sums by program and name: what the diagram shows where no history is kept. */
export function rowOfFlow(r) {
	const out = r.egret?.direction !== "ingress";
	const up = out ? r.flow.bytes_toserver : r.flow.bytes_toclient;
	const down = out ? r.flow.bytes_toclient : r.flow.bytes_toserver;
	return {
		app: r.process?.executable ?? r.process?.name ?? "", user: r.user?.name ?? "",
		name: r.egret?.name ?? (out ? r.dest_ip : r.src_ip) ?? "", domain: r.egret?.registered_domain ?? "",
		up, down, flows: 1,
	};
}

const OTHERS = "\u0000";

/** The heaviest `max` keys of `rows` by `key`; the rest is one. */
function heaviest(rows, key, value, max) {
	const sums = new Map();
	for (const r of rows) sums.set(r[key], (sums.get(r[key]) ?? 0) + value(r));
	const order = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([k]) => k);
	return new Set(order.length > max ? order.slice(0, max - 1) : order);
}

/** Nodes and links of the flow diagram: `left` → `right`, as wide as `measure` ("up", "down" or "bytes"). */
export function sankeyData(rows, left, right, measure = "up", max = 10) {
	const value = measure === "bytes" ? (r) => r.up + r.down : (r) => r[measure];
	const moved = rows.filter((r) => value(r) > 0);
	const lefts = heaviest(moved, left, value, max), rights = heaviest(moved, right, value, max);
	const nodes = [], links = new Map(), index = new Map();
	const node = (side, key) => {
		const id = side + "\u0001" + key;
		if (!index.has(id)) {
			index.set(id, nodes.length);
			nodes.push({ id, side, key: key === OTHERS ? null : key, others: key === OTHERS });
		}
		return index.get(id);
	};
	for (const r of moved) {
		const a = node("l", lefts.has(r[left]) ? r[left] : OTHERS);
		const b = node("r", rights.has(r[right]) ? r[right] : OTHERS);
		const id = a + ">" + b, link = links.get(id);
		if (link) link.value += value(r);
		else links.set(id, { source: a, target: b, value: value(r) });
	}
	return { nodes, links: [...links.values()], total: moved.reduce((n, r) => n + value(r), 0) };
}

/** Rows by `from` and `to` as a matrix: its lines and columns, the heaviest first as rows come, and the row of a pair. */
export function matrix(rows) {
	const pairs = new Map(rows.map((r) => [r.from + "\u0000" + r.to, r]));
	return { from: [...new Set(rows.map((r) => r.from))], to: [...new Set(rows.map((r) => r.to))], at: (from, to) => pairs.get(from + "\u0000" + to) };
}

/** Stacks series: each becomes the sum of itself and those behind it, so that painting them in order leaves bands. */
export function stack(series) {
	const out = [];
	let above = null;
	for (let i = series.length - 1; i >= 0; i--) {
		const sum = series[i].map((v, k) => (v ?? 0) + (above ? above[k] : 0));
		out.unshift(sum);
		above = sum;
	}
	return out;
}

/** Keeps the last `max` seconds of "top" answers as series by label. */
export class Recent {
	constructor(max = 600) {
		this.max = max;
		this.times = [];
		this.series = new Map();
	}

	push(time, rows) {
		const n = this.times.length;
		if (n && time <= this.times[n - 1]) return;
		this.times.push(time);
		for (const r of rows) {
			if (!r.up_rate && !r.down_rate) continue;
			let s = this.series.get(r.label);
			if (!s) this.series.set(r.label, (s = { up: Array(n).fill(0), down: Array(n).fill(0), sum: 0 }));
			s.up.push(r.up_rate);
			s.down.push(r.down_rate);
			s.sum += r.up_rate + r.down_rate;
		}
		for (const [label, s] of this.series) {
			if (s.up.length <= n) {
				s.up.push(0);
				s.down.push(0);
			}
			if (this.times.length > this.max) {
				s.sum -= s.up.shift() + s.down.shift();
				if (s.sum < 0.5) this.series.delete(label);
			}
		}
		if (this.times.length > this.max) this.times.shift();
	}

	/** The heaviest `max` labels in the order of their weight, the rest as one. */
	heaviest(max) {
		const order = [...this.series].sort((a, b) => b[1].sum - a[1].sum);
		const head = order.slice(0, max).map(([label, s]) => ({ label, up: s.up, down: s.down }));
		const rest = order.slice(max).map(([, s]) => s);
		if (rest.length) {
			const sum = (side) => this.times.map((_, k) => rest.reduce((n, s) => n + s[side][k], 0));
			head.push({ label: null, up: sum("up"), down: sum("down") });
		}
		return head;
	}
}

/** Sorted copy; texts up, numbers down, unless said otherwise. `sort`: "key" or "-key" for the other way round. */
export function sorted(rows, sort, columns) {
	const back = sort?.startsWith("-"), key = back ? sort.slice(1) : sort;
	const column = columns.find((c) => c.key === key);
	if (!column) return rows;
	const of = column.value ?? ((r) => r[key]);
	const sign = (column.num ? -1 : 1) * (back ? -1 : 1);
	return rows.map((r) => [of(r), r]).sort(([a], [b]) => {
		if (a === b) return 0;
		if (a === undefined || a === null || a === "") return 1;
		if (b === undefined || b === null || b === "") return -1;
		return a < b ? -sign : sign;
	}).map(([, r]) => r);
}

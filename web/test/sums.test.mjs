// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { matrix, Recent, rowOfFlow, sankeyData, sorted, stack } from "../src/sums.js";

const row = (app, name, up, down = 0) => ({ app, name, up, down });

test("the diagram has a node a side and a link a pair", () => {
	const d = sankeyData([row("a", "x", 10), row("a", "y", 5), row("b", "x", 1), row("a", "x", 2), row("c", "z", 0)], "app", "name");
	assert.equal(d.total, 18);
	assert.deepEqual(d.nodes.map((n) => n.side + n.key), ["la", "rx", "ry", "lb"]);
	assert.deepEqual(d.links, [{ source: 0, target: 1, value: 12 }, { source: 0, target: 2, value: 5 }, { source: 3, target: 1, value: 1 }]);
});

test("a matrix has a line and a column for each segment, the heaviest first, and holes where nothing was", () => {
	const m = matrix([{ from: "office", to: "servers", up: 9 }, { from: "lab", to: "servers", up: 5 }, { from: "office", to: "internet", up: 1 }]);
	assert.deepEqual([m.from, m.to], [["office", "lab"], ["servers", "internet"]]);
	assert.equal(m.at("lab", "servers").up, 5);
	assert.equal(m.at("lab", "internet"), undefined);
});

test("a name that is also a program is two nodes, and nothing flows in a circle", () => {
	const d = sankeyData([row("x", "x", 1)], "app", "name");
	assert.equal(d.nodes.length, 2);
	assert.notEqual(d.links[0].source, d.links[0].target);
});

test("what is too much becomes others, and the sum stays", () => {
	const rows = Array.from({ length: 50 }, (_, i) => row("app" + i, "name" + i, 100 - i, 1));
	for (const measure of ["up", "down", "bytes"]) {
		const d = sankeyData(rows, "app", "name", measure, 10);
		assert.equal(d.nodes.filter((n) => n.side === "l").length, 10);
		assert.equal(d.nodes.filter((n) => n.others).length, 2);
		assert.equal(d.links.reduce((n, l) => n + l.value, 0), d.total);
	}
});

test("nothing moved: nothing is drawn", () => {
	assert.deepEqual(sankeyData([], "app", "name"), { nodes: [], links: [], total: 0 });
});

test("a record is seen from our side, whoever opened the flow", () => {
	const flow = { bytes_toserver: 1, bytes_toclient: 2 };
	assert.deepEqual([rowOfFlow({ flow, egret: { direction: "egress" }, dest_ip: "d" }).up, rowOfFlow({ flow, egret: { direction: "ingress" }, src_ip: "s" }).up], [1, 2]);
	assert.equal(rowOfFlow({ flow, egret: { direction: "ingress" }, src_ip: "s", dest_ip: "d" }).name, "s");
});

test("stacked series hide nothing of those below", () => {
	assert.deepEqual(stack([[1, 2], [10, 20], [100, null]]), [[111, 22], [110, 20], [100, 0]]);
	assert.deepEqual(stack([]), []);
});

test("the last minutes: series are as long as the time, also of who came late or left", () => {
	const r = new Recent(3);
	r.push(1000, [{ label: "a", up_rate: 5, down_rate: 0 }]);
	r.push(2000, [{ label: "b", up_rate: 7, down_rate: 1 }]);
	r.push(2000, [{ label: "b", up_rate: 9, down_rate: 9 }]);
	assert.deepEqual(r.heaviest(5), [{ label: "b", up: [0, 7], down: [0, 1] }, { label: "a", up: [5, 0], down: [0, 0] }]);
	r.push(3000, []);
	r.push(4000, []);
	assert.deepEqual(r.times, [2000, 3000, 4000]);
	assert.deepEqual(r.heaviest(5).map((s) => s.label), ["b"]);
});

test("the rest of many series is one", () => {
	const r = new Recent();
	r.push(1, [1, 2, 3, 4].map((n) => ({ label: "l" + n, up_rate: n, down_rate: 0 })));
	assert.deepEqual(r.heaviest(2).map((s) => [s.label, s.up[0]]), [["l4", 4], ["l3", 3], [null, 3]]);
});

test("numbers fall, texts rise, what is not known comes last", () => {
	const columns = [{ key: "n", num: true }, { key: "t" }];
	const rows = [{ n: 1, t: "b" }, { n: 3, t: "" }, { t: "a" }];
	assert.deepEqual(sorted(rows, "n", columns).map((r) => r.n), [3, 1, undefined]);
	assert.deepEqual(sorted(rows, "-n", columns).map((r) => r.n), [1, 3, undefined]);
	assert.deepEqual(sorted(rows, "t", columns).map((r) => r.t), ["a", "b", ""]);
	assert.equal(sorted(rows, "unknown", columns), rows);
});

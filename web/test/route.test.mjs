// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { format, parse, span } from "../src/route.js";

test("an address holds the view and its query, both ways", () => {
	const q = { filter: 'proc:"a b" up:>1mb & more?', last: "7d", sort: "-up", open: "7356082483134499" };
	assert.deepEqual(parse(format("flows", q)), { view: "flows", q });
	assert.equal(format("now", { filter: "", open: undefined }), "#/now");
});

test("what is no view is the first one", () => {
	for (const hash of ["", "#", "#/", "#/nothing?x=1", "#token=abc"]) assert.equal(parse(hash).view, "now");
	assert.deepEqual(parse("#/nothing?x=1").q, {});
	assert.equal(parse("#/hosts").view, "hosts");
});

test("a span is from and to, or the last so long", () => {
	assert.deepEqual(span({}), { last: "24h" });
	assert.deepEqual(span({ last: "7d" }), { last: "7d" });
	assert.deepEqual(span({ from: "1", to: "2", last: "7d" }), { from: "1", to: "2" });
});

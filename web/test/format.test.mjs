// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, base, bytes, count, duration, money, plural, rate, seconds } from "../src/format.js";

const plain = (text) => text.replace(/[\u00a0\u202f]/g, " ");

test("bytes in powers of 1000, three digits that count", () => {
	const want = [[0, "0 B"], [999, "999 B"], [1000, "1.00 kB"], [9994, "9.99 kB"], [9996, "10.0 kB"], [99949, "99.9 kB"], [99951, "100 kB"],
		[999499, "999 kB"], [999500, "1.00 MB"], [1.5e9, "1.50 GB"], [2e12, "2.00 TB"], [3e15, "3.00 PB"], [9e18, "9.00 EB"], [9e21, "9000 EB"], [-1500, "-1.50 kB"]];
	for (const [n, text] of want) assert.equal(plain(bytes(n)), text);
});

test("what is no number is told as such", () => {
	for (const f of [bytes, rate, count, duration, ago]) assert.equal(f(NaN), "–");
	assert.equal(bytes(undefined), "–");
	assert.equal(money(undefined), "–");
});

test("counts are grouped by three, in every locale the same", () => {
	assert.equal(plain(count(1234567)), "1 234 567");
	assert.equal(count(999), "999");
	assert.equal(plural(1, "flow"), "1 flow");
	assert.equal(plural(2, "flow"), "2 flows");
});

test("durations in as few words as tell them", () => {
	const want = [[0, "0 s"], [0.0004, "1 ms"], [0.25, "250 ms"], [1, "1 s"], [119, "119 s"], [120, "2 min"], [7199, "120 min"], [7200, "2 h"], [12000, "3 h 20 min"],
		[172800, "2 d"], [180000, "2 d 2 h"], [-5, "0 s"]];
	for (const [s, text] of want) assert.equal(duration(s), text);
});

test("times of records, with their zone", () => {
	assert.equal(seconds("2023-11-14T22:13:20.073000+0000"), 1700000000.073);
	assert.equal(seconds("2023-11-14T23:13:20+01:00"), 1700000000);
	assert.equal(seconds(1700000000), 1700000000);
	assert.ok(Number.isNaN(seconds(undefined)));
	assert.equal(ago(100, 101), "now");
	assert.equal(ago(100, 160), "60 s ago");
});

test("money keeps small amounts apart from nothing", () => {
	assert.equal(plain(money({ amount: 12.5, currency: "EUR" })), "12.50 EUR");
	assert.equal(plain(money({ amount: 0.0012, currency: "USD" })), "0.0012 USD");
	assert.equal(plain(money({ amount: 0.00001, currency: "USD" })), "< 0.0001 USD");
	assert.equal(plain(money({ amount: 0, currency: "USD" })), "0.00 USD");
});

test("the last part of a path", () => {
	assert.equal(base("/usr/bin/curl"), "curl");
	assert.equal(base("curl"), "curl");
	assert.equal(base("/"), "/");
});

// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { add, dimTerm, term, wordAt, pairTerm } from "../src/filter.js";

test("values are quoted where the language wants it", () => {
	assert.equal(term("proc", "/usr/bin/curl"), "proc:/usr/bin/curl");
	assert.equal(term("proc", "a b"), 'proc:"a b"');
	assert.equal(term("name", "a,b"), 'name:"a,b"');
	assert.equal(term("name", "x(y)"), 'name:"x(y)"');
	assert.equal(term("addr", "fd77::2"), "addr:fd77::2");
});

test("what cannot be asked for gives no term", () => {
	for (const value of ["", undefined, "(unknown)", "(no name)", 'a"b']) assert.equal(term("name", value), "");
	assert.equal(dimTerm("nothing", "x"), "");
});

test("dimensions are asked for by the keys of the language", () => {
	assert.equal(dimTerm("app", "/usr/bin/curl"), "proc:/usr/bin/curl");
	assert.equal(dimTerm("program", "curl"), "proc:curl");
	assert.equal(dimTerm("protocol", "tls"), "app:tls");
	assert.equal(dimTerm("name", "example.org"), "name:example.org");
	assert.equal(dimTerm("name", "203.0.113.9"), "addr:203.0.113.9");
	assert.equal(dimTerm("name", "fd77::2"), "addr:fd77::2");
	assert.equal(dimTerm("host", "10.0.0.5"), "src:10.0.0.5");
	assert.equal(dimTerm("host", "web-01.example"), "host:web-01.example");
});

test("terms are added once, and never change what an or means", () => {
	assert.equal(add("", "port:443"), "port:443");
	assert.equal(add("port:443", ""), "port:443");
	assert.equal(add("proc:curl", "port:443"), "proc:curl port:443");
	assert.equal(add("proc:curl port:443", "port:443"), "proc:curl port:443");
	assert.equal(add("proc:a or proc:b", "port:443"), "(proc:a or proc:b) port:443");
	assert.equal(add('name:"this or that"', "port:443"), 'name:"this or that" port:443');
	assert.equal(add('proc:"a b" x', 'proc:"a b"'), 'proc:"a b" x');
});

test("the word that a key could complete", () => {
	assert.deepEqual(wordAt("po", 2), { from: 0, word: "po", negated: false });
	assert.deepEqual(wordAt("proc:curl na", 12), { from: 10, word: "na", negated: false });
	assert.deepEqual(wordAt("(po", 3), { from: 1, word: "po", negated: false });
	assert.deepEqual(wordAt("a -us", 5), { from: 3, word: "us", negated: true });
	assert.equal(wordAt("port:4", 6), null);
	assert.equal(wordAt('name:"a b', 9), null);
});

test("a pair of segments is the flows that one opened to the other", () => {
	assert.equal(pairTerm("office", "two words"), '((segment:"two words" -dir:reply -dir:ingress) or (segment:office (dir:reply or dir:ingress)))');
});

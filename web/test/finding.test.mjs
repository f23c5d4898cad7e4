// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { denyRule, strip } from "../src/finding.js";

const record = (finding, more) => ({ process: { executable: "/usr/bin/socat" }, dest_ip: "203.0.113.9", dest_port: 4444, proto: "TCP", egret: { finding }, ...more });

test("a rule for a name covers what lies below it", () => {
	assert.equal(denyRule(record({ peer: "example.org", name: "www.example.org" })), 'deny app "/usr/bin/socat" to example.org, *.example.org');
});

test("without a name the rule is for the address and port", () => {
	assert.equal(denyRule(record({ peer: "203.0.113.9:4444" })), 'deny app "/usr/bin/socat" to 203.0.113.9 port 4444/tcp');
	assert.equal(denyRule(record({ peer: "x" }, { process: undefined, proto: undefined })), "deny to 203.0.113.9 port 4444/tcp");
});

test("texts of strangers never get into a rule", () => {
	for (const peer of ['a" to any', "a b", "a\nallow to any", "*", "(x)"])
		assert.equal(denyRule(record({ peer, name: peer })), 'deny app "/usr/bin/socat" to 203.0.113.9 port 4444/tcp');
	for (const executable of ['/tmp/a"b', "/tmp/a b", "/tmp/*", "/tmp/a\\b", "memfd"])
		assert.equal(denyRule(record({ peer: "e.org", name: "e.org" }, { process: { executable } })), "deny to e.org, *.e.org");
	assert.equal(denyRule({ egret: { finding: { peer: "packet socket" } } }), "");
});

test("gaps are drawn as moments, amounts as columns", () => {
	const gaps = strip({ what: "seconds from one check-in to the next", at: [10, 10, 20] });
	assert.equal(gaps.kind, "ticks");
	assert.deepEqual(gaps.marks, [0, 0.25, 0.5, 1]);
	assert.equal(gaps.text, "4 check-ins in 40 s, half of the gaps below 10 s");
	const amounts = strip({ what: "bytes sent in five minutes", at: [1, 4, 2] });
	assert.deepEqual(amounts.marks, [0.25, 1, 0.5]);
	assert.equal(amounts.median, 0.5);
	assert.equal(strip({ what: "x", at: [] }), null);
	assert.equal(strip(undefined), null);
});

// SPDX-License-Identifier: Apache-2.0
// A finding turned into what is drawn, and into a rule. Pure.
import { bytes, count, duration } from "./format.js";

const plain = (text) => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(text ?? "");

/** The rule that refuses what the finding saw: this program to this peer, in the language of policies. "": cannot be said. */
export function denyRule(record) {
	const f = record.egret?.finding ?? {}, exe = record.process?.executable;
	const app = exe?.startsWith("/") && plain(exe) && !/[*?]/.test(exe) ? ` app "${exe}"` : "";
	const named = f.name && /^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/i.test(f.peer ?? "") && !/^[\d.]+$/.test(f.peer);
	if (named) return `deny${app} to ${f.peer}, *.${f.peer}`;
	if (!record.dest_ip) return "";
	return `deny${app} to ${record.dest_ip}` + (record.dest_port ? ` port ${record.dest_port}/${(record.proto ?? "tcp").toLowerCase()}` : "");
}

/**
 * What to draw of a plot: of gaps (seconds) the moments as shares of the whole time, of amounts their heights as shares of the
 * highest, with the median.
 */
export function strip(plot) {
	const at = (plot?.at ?? []).filter((v) => Number.isFinite(v) && v >= 0);
	if (!at.length) return null;
	const order = [...at].sort((a, b) => a - b), median = order[Math.floor((order.length - 1) / 2)];
	if (/^(seconds|gap)/.test(plot.what)) {
		const whole = at.reduce((a, b) => a + b, 0) || 1, marks = [0];
		for (const gap of at) marks.push(marks[marks.length - 1] + gap / whole);
		return { kind: "ticks", marks, median, text: `${count(at.length + 1)} check-ins in ${duration(whole)}, half of the gaps below ${duration(median)}` };
	}
	const most = order[order.length - 1] || 1;
	const say = /byte/.test(plot.what) ? bytes : count;
	return { kind: "columns", marks: at.map((v) => v / most), median: median / most, text: `${plot.what}: at most ${say(most)}, median ${say(median)} (dashed)` };
}

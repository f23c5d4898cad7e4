// SPDX-License-Identifier: Apache-2.0
// The filter language (docs/filter.md), as far as the page writes it. The server alone reads it.

/** What a dimension of sums is called in a filter. */
const KEYS = {
	app: "proc", program: "proc", user: "user", unit: "unit", container: "container", name: "name", domain: "domain",
	address: "addr", host: "src", port: "port", protocol: "app", proto: "proto", segment: "segment", country: "country",
	asn: "asn", direction: "dir", rule: "rule", verdict: "verdict",
};
/** Rows that stand for what is not known: nothing can be asked for by that. */
const NOT_KNOWN = new Set(["(unknown)", "(no name)", "(no unit)", "(no container)", "(unnamed)", "(others)", "others"]);

/** key:value, quoted where the language wants it; "" where it cannot be said. */
export function term(key, value) {
	const text = String(value ?? "");
	if (text === "" || NOT_KNOWN.has(text) || text.includes('"')) return "";
	return /^[^\s,()":*?]+$/.test(text) || key === "addr" || key === "src" ? `${key}:${text}` : `${key}:"${text}"`;
}

const ADDRESS = /^[\d.]+$|^[0-9a-f:]*:[0-9a-f:]*$/i;

/** The term for one value of a dimension. */
export function dimTerm(dim, value) {
	const key = KEYS[dim];
	if (!key) return "";
	if (dim === "host" && !ADDRESS.test(value)) return term("host", value); // of a fleet
	if (dim === "name" && ADDRESS.test(value)) return term("addr", value);
	return term(key, value);
}

/** The flows that `from` opened to `to`: of a flow the filter knows the segment of the other side, and who that was. */
export const pairTerm = (from, to) => `((${term("segment", to)} -dir:reply -dir:ingress) or (${term("segment", from)} (dir:reply or dir:ingress)))`;

/** Adds a term to a filter, once. What is joined by `or` is put in parentheses first. */
export function add(filter, more) {
	const text = (filter ?? "").trim();
	if (!more) return text;
	if (!text) return more;
	if (text.split(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/).includes(more)) return text;
	return (/\bor\b/i.test(text.replace(/"[^"]*"/g, "")) ? `(${text})` : text) + " " + more;
}

/** The word under the caret that a key could complete: {from, word, negated}, or null. */
export function wordAt(text, caret) {
	const head = text.slice(0, caret);
	const word = /(?:^|[\s(])(-?)([a-z0-9]*)$/i.exec(head);
	if (!word || (head.match(/"/g) ?? []).length % 2) return null;
	return { from: caret - word[2].length, word: word[2].toLowerCase(), negated: word[1] === "-" };
}

// SPDX-License-Identifier: Apache-2.0
// The address of what is seen: #/VIEW?filter=…&last=…&open=…; a link to it shows the same.

export const VIEWS = ["now", "flows", "findings", "policy", "usage", "health"];
/** Of a console, which sees nothing live and has no policy. */
export const FAR_VIEWS = ["usage", "flows", "findings", "hosts", "health"];

export function parse(hash) {
	const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
	const q = Object.fromEntries(new URLSearchParams(query));
	return VIEWS.includes(path) || FAR_VIEWS.includes(path) ? { view: path, q } : { view: "now", q: path ? {} : q };
}

export function format(view, q = {}) {
	const given = Object.entries(q).filter(([, v]) => v !== undefined && v !== null && v !== "");
	const query = new URLSearchParams(given).toString();
	return `#/${view}` + (query ? `?${query}` : "");
}

/** Changes members of the query of the view that is open; undefined takes one away. `keep`: no new step for the back button. */
export function change(more, keep = false) {
	const { view, q } = parse(location.hash);
	const to = format(view, { ...q, ...more });
	if (to === location.hash) return;
	if (keep) {
		history.replaceState(null, "", to);
		dispatchEvent(new HashChangeEvent("hashchange"));
	} else {
		location.hash = to;
	}
}

/** The span that a query names, as members of a question. */
export function span(q, usual = "24h") {
	return q.from || q.to ? { from: q.from, to: q.to } : { last: q.last ?? usual };
}

// SPDX-License-Identifier: Apache-2.0
// Numbers and times as text: the same in every locale, bytes in powers of 1000, times as on the viewer's clock.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
export const NONE = "–";

/** 1234567 → "1.23 MB": three digits that count. */
export function bytes(n) {
	if (!Number.isFinite(n)) return NONE;
	let i = 0, v = Math.abs(n);
	while (v >= 999.5 && i < UNITS.length - 1) {
		v /= 1000;
		i++;
	}
	const text = i === 0 ? String(Math.round(v)) : v < 9.995 ? v.toFixed(2) : v < 99.95 ? v.toFixed(1) : v.toFixed(0);
	return (n < 0 ? "-" : "") + text + "\u00a0" + UNITS[i];
}

export const rate = (n) => (Number.isFinite(n) ? bytes(n) + "/s" : NONE);

/** 1234567 → "1 234 567", with spaces that do not break. */
export function count(n) {
	if (!Number.isFinite(n)) return NONE;
	return String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** Seconds → "45 s", "12 min", "3 h 20 min", "5 d 2 h". */
export function duration(s) {
	if (!Number.isFinite(s)) return NONE;
	s = Math.max(0, s);
	const pair = (big, bigUnit, small, smallUnit) => `${big} ${bigUnit}` + (small ? ` ${small} ${smallUnit}` : "");
	if (s < 1) return s === 0 ? "0 s" : `${Math.max(1, Math.round(s * 1000))} ms`;
	s = Math.round(s);
	if (s < 120) return `${s} s`;
	if (s < 7200) return `${Math.round(s / 60)} min`;
	if (s < 172800) return pair(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
	return pair(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

/** Unix seconds of an RFC 3339 text, of a number of seconds, or NaN. */
export function seconds(t) {
	if (typeof t === "number") return t;
	if (!t) return NaN;
	return Date.parse(t.replace(/([+-]\d\d)(\d\d)$/, "$1:$2")) / 1000;
}

const two = (n) => String(n).padStart(2, "0");

export function date(t) {
	const d = new Date(t * 1000);
	return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export function clock(t, withSeconds = true) {
	const d = new Date(t * 1000);
	return `${two(d.getHours())}:${two(d.getMinutes())}` + (withSeconds ? `:${two(d.getSeconds())}` : "");
}

export const moment = (t, withSeconds = true) => (Number.isFinite(t) ? `${date(t)} ${clock(t, withSeconds)}` : NONE);

/** A time in as few words as tell it today. */
export function when(t, now = Date.now() / 1000) {
	if (!Number.isFinite(t)) return NONE;
	return date(t) === date(now) ? clock(t) : moment(t, false);
}

export function ago(t, now = Date.now() / 1000) {
	if (!Number.isFinite(t)) return NONE;
	return now - t < 2 ? "now" : duration(now - t) + " ago";
}

export function money(cost) {
	if (!cost || !Number.isFinite(cost.amount)) return NONE;
	const a = Math.abs(cost.amount), small = a > 0 && a < 0.00005;
	const text = small ? "<\u202f0.0001" : cost.amount.toFixed(a > 0 && a < 0.01 ? 4 : 2);
	return `${text}\u00a0${cost.currency ?? ""}`.trim();
}

/** The last part of a path; other texts as they are. */
export function base(path) {
	const at = path.lastIndexOf("/");
	return at >= 0 && at < path.length - 1 ? path.slice(at + 1) : path;
}

export const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

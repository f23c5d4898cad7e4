// SPDX-License-Identifier: Apache-2.0
// Questions to the server, and whether it answers. All views ask through here, so that "the daemon is gone" is known in one place.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

const BASE = "/api/v1";
const AGAIN_MS = [500, 1000, 2000, 4000, 8000, 15000];

export class Problem extends Error {
	constructor(text, status) {
		super(text);
		this.status = status;
	}
}

// --- the token of `egret page`: in the address once, then only in this tab ------------------------------------------------

let token = "", session = null;

/** Takes a token out of the address, so that it stays in no history and no copied link. */
export function takeToken() {
	const given = /[#&?]token=([^&]+)/.exec(location.hash);
	try {
		if (given) sessionStorage.setItem("egret.token", given[1]);
		token = sessionStorage.getItem("egret.token") ?? "";
	} catch {
		token = given?.[1] ?? "";
	}
	if (given) history.replaceState(null, "", location.pathname + location.hash.replace(/[#&?]token=[^&]+/, "").replace(/^(?!#)(.)/, "#$1"));
}

/** An EventSource cannot send the token itself: a cookie for live views stands for it. */
function openSession() {
	session ??= token ? post("/session", {}).catch((e) => {
		session = null;
		throw e;
	}) : Promise.resolve();
	return session;
}

// --- the link: up or not, and how often it came back ---------------------------------------------------------------------

let link = { up: true, returns: 0, since: 0 };
const listeners = new Set();
let tries = 0, timer = 0;

function setLink(next) {
	link = next;
	for (const f of listeners) f(link);
}

function lost() {
	if (link.up) setLink({ ...link, up: false, since: Date.now() / 1000 });
	if (!timer) timer = setTimeout(retry, AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]);
}

async function retry() {
	timer = 0;
	try {
		await get("/status");
	} catch (e) {
		if (!(e instanceof Problem) || e.status < 500) returned();
	}
}

function returned() {
	tries = 0;
	if (!link.up) setLink({ up: true, returns: link.returns + 1, since: Date.now() / 1000 });
}

export function useLink() {
	const [now, set] = useState(link);
	useEffect(() => {
		set(link);
		listeners.add(set);
		return () => listeners.delete(set);
	}, []);
	return now;
}

// --- one question, one answer ----------------------------------------------------------------------------------------------

function address(path, params) {
	const q = new URLSearchParams();
	for (const [k, v] of Object.entries(params ?? {})) if (v !== undefined && v !== null && v !== "" && v !== false) q.set(k, v);
	const text = q.toString();
	return BASE + path + (text ? "?" + text : "");
}

async function ask(path, params, options) {
	let response, body;
	try {
		response = await fetch(address(path, params), {
			cache: "no-store", credentials: "same-origin", ...options,
			headers: { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) },
		});
		body = await response.json();
	} catch (e) {
		if (e.name === "AbortError") throw e;
		if (!response || response.status >= 502) lost();
		throw new Problem("egretd does not answer", response?.status ?? 0);
	}
	if (response.status === 502 || response.status === 503 || response.status === 504) {
		lost();
		throw new Problem(body?.error ?? "egretd does not answer", response.status);
	}
	returned();
	if (!response.ok || (body && typeof body.error === "string" && !("rows" in body) && Object.keys(body).length <= 2))
		throw new Problem(body?.error ?? `the server said ${response.status}`, response.status);
	return body;
}

export const get = (path, params, signal) => ask(path, params, { signal });

export const post = (path, body) => ask(path, null, {
	method: "POST", headers: { "Content-Type": "application/json", "X-Egret": "1" }, body: JSON.stringify(body),
});

/**
 * A question that is asked again when it changes, when the daemon came back, and every `every` ms while the page is seen. The last
 * answer stays until the next one is there. path "": nothing is asked.
 */
export function useAsk(path, params = {}, every = 0) {
	const { returns } = useLink();
	const [state, setState] = useState({ data: null, problem: null, busy: true });
	const [round, setRound] = useState(0);
	const key = JSON.stringify([path, params]);
	const last = useRef(null);
	useEffect(() => {
		if (!path) {
			setState({ data: null, problem: null, busy: false });
			return undefined;
		}
		const stop = new AbortController();
		let next = 0;
		const fresh = last.current !== key;
		last.current = key;
		setState((s) => ({ data: fresh && s.path !== path ? null : s.data, problem: fresh ? null : s.problem, busy: true, path }));
		const run = async () => {
			if (document.hidden && every) {
				next = setTimeout(run, every);
				return;
			}
			try {
				const data = await get(path, params, stop.signal);
				setState({ data, problem: null, busy: false, path });
			} catch (e) {
				if (e.name === "AbortError") return;
				setState((s) => ({ ...s, problem: e, busy: false }));
			}
			if (every && !stop.signal.aborted) next = setTimeout(run, every);
		};
		run();
		return () => {
			clearTimeout(next);
			stop.abort();
		};
	}, [key, every, round, returns]);
	const again = useCallback(() => setRound((n) => n + 1), []);
	return { ...state, again };
}

/**
 * Server-sent events while the page is seen. `on` gets each event's type and object. When the connection broke it is made anew;
 * `probe` is what the same question is asked without a stream, to learn why. Returns the Problem, or null.
 */
export function useEvents(path, params, types, probe, on) {
	const { returns } = useLink();
	const [problem, setProblem] = useState(null);
	const handler = useRef(on);
	handler.current = on;
	const key = JSON.stringify([path, params]);
	useEffect(() => {
		let source = null, again = 0, wait = 0, over = false;
		const close = () => {
			clearTimeout(again);
			source?.close();
			source = null;
		};
		const later = () => {
			again = setTimeout(open, AGAIN_MS[Math.min(wait++, AGAIN_MS.length - 1)]);
		};
		const failed = async () => {
			close();
			session = null;
			try {
				await get(probe, params);
				if (!over) later();
			} catch (e) {
				if (over) return;
				setProblem(e);
				if (e.status === 429) later();
			}
		};
		async function open() {
			if (source || document.hidden || over) return;
			try {
				await openSession();
			} catch {
				failed();
				return;
			}
			if (source || document.hidden || over) return;
			source = new EventSource(address(path, params));
			for (const type of types) source.addEventListener(type, (e) => {
				if (wait) setProblem(null);
				wait = 0;
				handler.current(type, JSON.parse(e.data));
			});
			source.onerror = failed;
		}
		const seen = () => (document.hidden ? close() : open());
		setProblem(null);
		open();
		document.addEventListener("visibilitychange", seen);
		return () => {
			over = true;
			document.removeEventListener("visibilitychange", seen);
			close();
		};
	}, [key, returns]);
	return problem;
}

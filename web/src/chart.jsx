// SPDX-License-Identifier: Apache-2.0
// Lines and areas over time (uPlot), in the colours of the theme.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { bytes, clock, date } from "./format.js";

/** The colours of the theme that is on, read anew when it changes. */
export function useColours() {
	const read = () => {
		const css = getComputedStyle(document.documentElement), at = (name) => css.getPropertyValue("--" + name).trim();
		return {
			text: at("dim"), grid: at("grid"), up: at("up"), down: at("down"), accent: at("accent"), panel: at("panel"),
			series: [1, 2, 3, 4, 5, 6].map((i) => at("s" + i)), others: at("s0"),
		};
	};
	const [colours, set] = useState(read);
	useEffect(() => {
		const on = () => set(read());
		const watch = new MutationObserver(on);
		watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
		const dark = matchMedia("(prefers-color-scheme: dark)");
		dark.addEventListener("change", on);
		return () => {
			watch.disconnect();
			dark.removeEventListener("change", on);
		};
	}, []);
	return colours;
}

const seats = new Map();

/** A colour for each label, the same wherever and whenever it is drawn as long as two of one picture do not want the same. */
export function seatsOf(labels, n = 6) {
	const taken = new Set(), out = new Map();
	for (const label of labels) {
		let seat = seats.get(label) ?? seats.size % n;
		for (let i = 0; i < n && taken.has(seat); i++) seat = (seat + 1) % n;
		taken.add(seat);
		if (!seats.has(label) && seats.size < 1000) seats.set(label, seat);
		out.set(label, seat);
	}
	return out;
}

const TIMES = (u, ticks) => {
	const span = u.scales.x.max - u.scales.x.min;
	return ticks.map((t, i) => (u.valToPos(t, "x") < 16 ? "" : span > 2 * 86400 ? date(t).slice(5) + (span < 8 * 86400 ? " " + clock(t, false) : "") :
		clock(t, span < 300) + (i === 0 && span > 43200 ? "\n" + date(t).slice(5) : "")));
};

/**
 * data: as uPlot has it. series: {label, stroke, fill, width, stepped}. onSpan(from, to): a span was drawn with the mouse.
 * `text` says in words what is drawn, for those who do not see it.
 */
export function Chart({ data, series, height = 130, unit = bytes, text, onSpan, sync, range }) {
	const box = useRef(null), plot = useRef(null), span = useRef(onSpan);
	const colours = useColours();
	span.current = onSpan;
	const shape = JSON.stringify([series, height, colours, !!onSpan, sync]);
	useLayoutEffect(() => {
		const el = box.current;
		const axis = { stroke: colours.text, grid: { stroke: colours.grid, width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
		const u = new uPlot({
			width: Math.max(100, el.clientWidth), height, padding: [8, 8, 0, 0],
			legend: { show: false },
			cursor: {
				y: false, points: { size: 5 }, drag: { x: !!onSpan, y: false, setScale: false },
				...(sync ? { sync: { key: sync } } : {}),
			},
			select: { show: !!onSpan },
			scales: { x: { time: true }, y: { range: (_, min, max) => [0, max > 0 ? max * 1.05 : 1] } },
			axes: [
				{ ...axis, values: TIMES, space: 70, size: 26, gap: 4 },
				{ ...axis, values: (_, ticks) => ticks.map((t) => unit(t)), size: 68, space: 28 },
			],
			series: [{}, ...series.map((s) => ({
				label: s.label, stroke: s.stroke, fill: s.fill, width: s.width ?? 1, points: { show: false }, spanGaps: true,
				...(s.stepped ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
			}))],
			hooks: {
				setSelect: [(self) => {
					if (self.select.width < 3) return;
					span.current?.(Math.floor(self.posToVal(self.select.left, "x")), Math.ceil(self.posToVal(self.select.left + self.select.width, "x")));
					self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
				}],
			},
		}, data, el);
		plot.current = u;
		const watch = new ResizeObserver(() => {
			const width = el.clientWidth;
			if (width > 0 && width !== u.width) u.setSize({ width, height });
		});
		watch.observe(el);
		return () => {
			watch.disconnect();
			u.destroy();
			plot.current = null;
		};
	}, [shape]);
	useLayoutEffect(() => {
		const u = plot.current;
		if (!u) return;
		u.setData(data, !range);
		if (range) u.setScale("x", { min: range[0], max: range[1] });
	}, [data, shape]);
	return <div class="chart" role="img" aria-label={text} ref={box} data-points={data[0].length} />;
}

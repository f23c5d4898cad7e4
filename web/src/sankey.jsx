// SPDX-License-Identifier: Apache-2.0
// Who → whom as bands, as wide as the bytes they moved (d3-sankey).
import { sankey, sankeyJustify } from "d3-sankey";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { seatsOf, useColours } from "./chart.jsx";
import { base, bytes } from "./format.js";

function path(l) {
	const from = l.source.x1, to = l.target.x0, middle = (from + to) / 2;
	return `M${from} ${l.y0}C${middle} ${l.y0} ${middle} ${l.y1} ${to} ${l.y1}`;
}

/** data: as sankeyData() makes it. link(node): where a click on it leads, or "". */
export function Sankey({ data, height = 330, link, what }) {
	const box = useRef(null);
	const [width, setWidth] = useState(0);
	const colours = useColours();
	useEffect(() => {
		const watch = new ResizeObserver(([e]) => setWidth(Math.floor(e.contentRect.width)));
		watch.observe(box.current);
		return () => watch.disconnect();
	}, []);
	const longest = Math.max(8, ...data.nodes.map((n) => (n.side === "l" ? base(n.key ?? "") : n.key ?? "").length));
	const margin = Math.min(longest * 6.8 + 14, 200, width * 0.32);
	const graph = useMemo(() => {
		if (width < 100 || !data.links.length) return null;
		return sankey().nodeWidth(10).nodePadding(Math.min(15, height / 14)).nodeAlign(sankeyJustify).extent([[margin, 6], [width - margin, height - 6]])({
			nodes: data.nodes.map((n) => ({ ...n })), links: data.links.map((l) => ({ ...l })),
		});
	}, [data, width, height, margin]);
	const lefts = graph?.nodes.filter((n) => n.side === "l") ?? [];
	const seats = seatsOf(lefts.filter((n) => !n.others).sort((a, b) => b.value - a.value).map((n) => base(n.key)));
	const colour = (n) => (n.others ? colours.others : colours.series[seats.get(base(n.key))]);
	const fits = Math.floor((margin - 8) / 6.6);
	const label = (n) => {
		const full = n.others ? "others" : n.side === "l" ? base(n.key) || "(unknown)" : n.key || "(none)";
		return full.length > fits ? (n.side === "l" ? full.slice(0, fits - 1) + "…" : "…" + full.slice(-(fits - 1))) : full;
	};
	const name = (n) => (n.others ? "others" : n.key || "not known");
	return (
		<figure class="sankey" ref={box}>
			{graph && (
				<svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} role="group" aria-label={what}>
					<g fill="none" aria-hidden="true">
						{graph.links.map((l) => (
							<path key={`${l.source.id}${l.target.id}`} d={path(l)} stroke={colour(l.source)} stroke-width={Math.max(1, l.width)} class="band">
								<title>{`${name(l.source)} → ${name(l.target)}: ${bytes(l.value)}`}</title>
							</path>
						))}
					</g>
					{graph.nodes.map((n) => {
						const left = n.side === "l", to = link?.(n);
						const inner = (
							<>
								<rect x={n.x0} y={n.y0} width={n.x1 - n.x0} height={Math.max(1, n.y1 - n.y0)} fill={left ? colour(n) : colours.text} rx="1" />
								<text x={left ? n.x0 - 6 : n.x1 + 6} y={(n.y0 + n.y1) / 2} dy="0.32em" text-anchor={left ? "end" : "start"}>{label(n)}</text>
								<title>{`${name(n)}: ${bytes(n.value)}`}</title>
							</>
						);
						return to ? <a key={n.id} href={to}>{inner}</a> : <g key={n.id}>{inner}</g>;
					})}
				</svg>
			)}
			<figcaption class="sr">
				{graph && [...graph.links].sort((a, b) => b.value - a.value).slice(0, 12)
					.map((l) => `${name(l.source)} to ${name(l.target)}: ${bytes(l.value)}`).join("; ")}
			</figcaption>
		</figure>
	);
}

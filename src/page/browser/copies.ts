/** A ring of where this node's pages are: here, or away with so many copies. */

import { PAGE_BYTES } from "../../core/limits.ts";
import { formatCount, formatSize } from "../../core/units.ts";
import type { Overview } from "../../monitoring/overview.ts";
import { shortCount } from "../../monitoring/short-numbers.ts";
import { byId, html, replaceIfNew, svg, table } from "./dom.ts";

const RADIUS = 50;
const ROUND = 2 * Math.PI * RADIUS;

export function showCopies({ pages }: Overview): void {
  const parts = [
    { name: "here", title: "here", count: pages.here },
    { name: "three", title: "away, 3 copies", count: pages.three_copies },
    { name: "two", title: "away, 2 copies", count: pages.two_copies },
    { name: "one", title: "away, 1 copy", count: pages.one_copy },
    { name: "none", title: "no copy in reach", count: pages.no_copy },
  ];
  const total = parts.reduce((sum, { count }) => sum + count, 0);
  const label = parts.map(({ title, count }) => `${title}: ${formatCount(count)}`).join(", ");
  replaceIfNew(byId("copies"), label, () => {
    const ring = svg("svg", { viewBox: "0 0 140 140", role: "img", "aria-label": label }, [
      svg("circle", { class: "ring track", cx: 70, cy: 70, r: RADIUS }),
    ]);
    let before = 0;
    for (const { name, count } of parts) {
      if (count === 0) continue;
      const length = (ROUND * count) / total;
      ring.append(
        svg("circle", {
          ...{ class: `ring ${name}`, cx: 70, cy: 70, r: RADIUS, transform: "rotate(-90 70 70)" },
          "stroke-dasharray": `${length.toFixed(2)} ${ROUND.toFixed(2)}`,
          "stroke-dashoffset": (-before).toFixed(2),
        }),
      );
      before += length;
    }
    ring.append(
      svg("text", { class: "total", x: 70, y: 72 }, [shortCount(total)]),
      svg("text", { class: "total-unit", x: 70, y: 88 }, ["pages"]),
    );
    const columns = [
      {
        name: "where",
        cell: ({ name, title }: (typeof parts)[number]) =>
          html("span", {}, [html("span", { class: `sign ${name}` }), title]),
      },
      {
        name: "pages",
        isNumber: true,
        cell: (it: (typeof parts)[number]) => formatCount(it.count),
      },
      {
        name: "size",
        isNumber: true,
        cell: (it: (typeof parts)[number]) => formatSize(it.count * PAGE_BYTES),
      },
    ];
    return [ring, table("Pages of this node by where they are", columns, parts)];
  });
}

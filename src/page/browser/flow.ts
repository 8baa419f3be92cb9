/**
 * The flow of pages: an arrow each way between this node and each machine with traffic. Its width
 * is the share of the busiest one, and its text has MiB a second.
 */
import type { Machine, Overview } from "../../monitoring/overview.ts";
import { byId, type Child, html, replaceIfNew, svg } from "./dom.ts";

const MACHINES_MAX = 10;
const ROW = 64;
const WIDTH = 600;
const BOX_WIDTH = 160;
const BOX_HEIGHT = 48;
/** Where the arrows begin and end. */
const LEFT = BOX_WIDTH + 8;
const RIGHT = WIDTH - BOX_WIDTH - 8;
const STROKE_MAX = 14;
const MIB = 2 ** 20;

export function showFlow({ machines, node }: Overview): void {
  const others = machines
    .filter(({ is_self, ours, theirs }) => !is_self && (ours > 0 || theirs > 0))
    .toSorted((a, b) => trafficOf(b) - trafficOf(a));
  const busy = others.slice(0, MACHINES_MAX);
  const rows = busy.map((it) => [it.name, rateOf(it, "sent"), rateOf(it, "received")]);
  const element = byId("flow");
  replaceIfNew(element, JSON.stringify([node.name, rows, others.length]), () => {
    if (busy.length === 0) return [html("p", { class: "empty" }, ["No pages are elsewhere."])];
    const more = others.length - busy.length;
    const rest = more > 0 ? [html("p", { class: "empty" }, [`and ${more} more machines`])] : [];
    return [drawing(node.name, busy), ...rest];
  });
}

type Way = "sent" | "received";

/** MiB a second, as it is shown. */
function rateOf(machine: Machine, way: Way): string {
  const mib = machine[`${way}_bytes_per_second`] / MIB;
  return mib < 10 ? mib.toFixed(2) : mib.toFixed(0);
}

function trafficOf(machine: Machine): number {
  return machine.sent_bytes_per_second + machine.received_bytes_per_second;
}

function drawing(own: string, machines: readonly Machine[]): Element {
  const height = machines.length * ROW;
  const most = Math.max(
    MIB,
    ...machines.flatMap((it) => [it.sent_bytes_per_second, it.received_bytes_per_second]),
  );
  const label = machines
    .map(
      (it) => `to ${it.name} ${rateOf(it, "sent")}, from it ${rateOf(it, "received")} MiB a second`,
    )
    .join("; ");
  const children: Child[] = box(2, height / 2, [own]);
  for (const [i, machine] of machines.entries()) {
    const y = (i + 0.5) * ROW;
    const rates = `out ${rateOf(machine, "sent")}, in ${rateOf(machine, "received")} MiB/s`;
    children.push(
      ...box(RIGHT + 6, y, [machine.name, rates]),
      ...arrow(machine, "sent", { from: height / 2, to: y, most }),
      ...arrow(machine, "received", { from: height / 2, to: y, most }),
    );
  }
  const attributes = { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label };
  return svg("svg", attributes, children);
}

/** The first line is a name, and may be cut. */
function box(x: number, y: number, [name = "", second]: readonly string[]): Child[] {
  const shown = name.length > 19 ? `${name.slice(0, 18)}\u2026` : name;
  const size = { x, y: y - BOX_HEIGHT / 2, width: BOX_WIDTH, height: BOX_HEIGHT, rx: 6 };
  const rest =
    second === undefined ? [] : [svg("text", { class: "faint", x: x + 10, y: y + 15 }, [second])];
  return [
    svg("rect", { class: "box", ...size }),
    svg("text", { x: x + 10, y: second === undefined ? y + 5 : y - 4 }, [shown]),
    ...rest,
  ];
}

function arrow(
  machine: Machine,
  way: Way,
  { from, to, most }: { from: number; to: number; most: number },
): Child[] {
  const isOut = way === "sent";
  const width = 1 + (STROKE_MAX - 1) * (machine[`${way}_bytes_per_second`] / most);
  const shift = isOut ? -11 : 11;
  const [left, right] = [from + shift, to + shift];
  const middle = (LEFT + RIGHT) / 2;
  const path = `M${LEFT} ${left} C${middle} ${left} ${middle} ${right} ${RIGHT} ${right}`;
  const [tip, tipY] = isOut ? [RIGHT + 5, right] : [LEFT - 5, left];
  const back = tip + (isOut ? -9 : 9);
  const half = 4 + width / 3;
  const className = isOut ? "out" : "in";
  return [
    svg("path", { class: `arrow ${className}`, d: path, "stroke-width": width.toFixed(1) }),
    svg("path", {
      class: `head ${className}`,
      d: `M${tip} ${tipY} L${back} ${tipY - half} L${back} ${tipY + half} Z`,
    }),
  ];
}

/** A bar for each machine: what its memory is used for. */
import { formatSize } from "../../core/units.ts";
import type { Machine, Overview } from "../../monitoring/overview.ts";
import { shortCount } from "../../monitoring/short-numbers.ts";
import { stateTone } from "../../monitoring/tones.ts";
import { byId, type Child, type Column, html, replaceIfNew, table } from "./dom.ts";

const USES = [
  { name: "own", title: "own pages", of: (it: Machine) => it.own_bytes },
  { name: "ours", title: "pages of this node", of: (it: Machine) => it.ours_bytes },
  { name: "foreign", title: "pages of other nodes", of: (it: Machine) => it.foreign_bytes },
  { name: "free", title: "free", of: (it: Machine) => it.free_bytes },
] as const;

const COLUMNS: readonly Column<Machine>[] = [
  { name: "name", className: "name", cell: ({ name, is_self }) => name + (is_self ? " *" : "") },
  { name: "node", isNumber: true, cell: ({ number }) => (number === null ? "-" : String(number)) },
  {
    name: "state",
    cell: ({ state }) => html("span", { class: `state ${stateTone(state)}` }, [state]),
  },
  { name: "memory", cell: barOf },
  { name: "size", isNumber: true, cell: (it) => formatSize(total(it)) },
  { name: "free", isNumber: true, cell: (it) => formatSize(it.free_bytes) },
  { name: "ours", isNumber: true, cell: (it) => shortCount(it.ours) },
  { name: "theirs", isNumber: true, cell: (it) => shortCount(it.theirs) },
  { name: "zone", cell: ({ zone }) => zone ?? "-" },
];

export function showMachines({ machines }: Overview): void {
  replaceIfNew(byId("legend"), "", () => [
    ...USES.map(({ name, title }) => {
      return html("li", {}, [html("span", { class: `sign ${name}` }), title]);
    }),
    html("li", {}, ["* this node"]),
  ]);
  const key = machines.map(
    ({ sent_bytes_per_second: _, received_bytes_per_second: __, ...it }) => it,
  );
  replaceIfNew(byId("machines"), JSON.stringify(key), () => [
    table("Machines of the cluster, and what their memory is used for", COLUMNS, machines),
  ]);
}

function total(machine: Machine): number {
  return USES.reduce((sum, { of }) => sum + of(machine), 0);
}

function barOf(machine: Machine): Child {
  const all = total(machine);
  const label = USES.map(({ title, of }) => `${title} ${formatSize(of(machine))}`).join(", ");
  const bar = html("div", { class: "bar", role: "img", "aria-label": label, title: label });
  for (const { name, of } of USES.slice(0, -1)) {
    const bytes = of(machine);
    if (bytes === 0 || all === 0) continue;
    const part = html("span", { class: name });
    // What is used shows, however little it is.
    part.style.flex = `0 0 max(2px, ${((100 * bytes) / all).toFixed(2)}%)`;
    bar.append(part);
  }
  return bar;
}

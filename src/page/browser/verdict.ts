/** The verdict: all findings, worst first, each with what to do. */
import type { Overview } from "../../monitoring/overview.ts";
import { byId, html, replaceIfNew } from "./dom.ts";

const TONES = ["good", "warn", "bad"] as const;

export function showVerdict({ findings, verdict, node }: Overview): void {
  const section = byId("verdict");
  section.className = `level-${findings[0]?.level ?? 0}`;
  replaceIfNew(section, JSON.stringify(findings), () => [
    html(
      "ul",
      {},
      findings.map(({ state, reason, advice, level }) => {
        const rest = `${reason}${advice === "" ? "" : `; ${advice}`}`;
        const tone = TONES[level];
        return html("li", { class: "finding" }, [
          html("strong", { class: tone }, [`${state}:`]),
          " ",
          rest,
        ]);
      }),
    ),
  ]);
  byId("node").textContent = `node ${node.number} "${node.name}" of cluster "${node.cluster}"`;
  document.title = `${verdict} - ${node.name} - ramster`;
}

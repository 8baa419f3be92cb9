/** The verdict: all findings, worst first, each with what to do. */
import { findingDetail } from "../../monitoring/finding-text.ts";
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
      findings.map((finding) => {
        const state = html("strong", { class: TONES[finding.level] }, [`${finding.state}:`]);
        return html("li", { class: "finding" }, [state, " ", findingDetail(finding)]);
      }),
    ),
  ]);
  byId("node").textContent = `node ${node.number} "${node.name}" of cluster "${node.cluster}"`;
  document.title = `${verdict} - ${node.name} - ramster`;
}

/**
 * `bun harness/kept/main.ts [--kills N] [--seed S] [--lenders N] [--memory SIZE] [--standby]`:
 * kills a node that keeps its memory, under load, and checks every page (kills.ts).
 *
 * Exit codes: 0 every page was right, 1 one was not, 2 bad usage.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { SeededRandom } from "../../src/core/random.ts";
import type { NodeProcess } from "../processes/node-process.ts";
import { ProcessWorld } from "../processes/process-world.ts";
import { killNode } from "./kills.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    lenders: { type: "string", default: "2" },
    memory: { type: "string", default: "16MiB" },
    standby: { type: "boolean", default: false },
  },
});
const kills = Number(values.kills);
const random = new SeededRandom(Number(values.seed));
const folder = mkdtempSync("/dev/shm/ramster-kills-");
await using world = new ProcessWorld();
world.onEnd(() => rmSync(folder, { recursive: true, force: true }));

const lenders: NodeProcess[] = [];
for (let number = 2; number < 2 + Number(values.lenders); number += 1) {
  lenders.push(await world.start("server", number, ["--memory=64MiB"]));
}
const peers = lenders.map(({ number, listen }) => `${number}@${listen}`);
const flags = [`--memory=${values.memory}`];
if (peers.length > 0) flags.push(`--peers=${peers.join(",")}`);
const onKill = (done: number): void => {
  if (done % 50 === 0) console.log(`${done} kills`);
};
const { answered, lost } = await killNode(world, {
  kills,
  exportMib: 64,
  flags,
  folder: join(folder, "node"),
  standby: values.standby,
  random,
  lenders,
  onKill,
});
console.log(
  `${kills} kills, ${answered} requests answered, ${lost} pages cut off and lost, 0 wrong, 0 orphans`,
);

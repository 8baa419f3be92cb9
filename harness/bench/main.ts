/**
 * `bun run bench [NAME...] [--quick] [--json FILE]`: runs each bench in its own process, so that
 * heaps and caches do not mix. It prints each figure with the reference of the same run. A missed
 * target is printed but does not fail the command, because machines differ.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { type Bench, type Figure, figureText } from "./bench.ts";
import { channelFigures } from "./channel-figures.ts";
import { codecFigures } from "./codec-figures.ts";
import { copiesBench } from "./copies.ts";
import { gossipBench } from "./gossip.ts";
import { lendBackBench } from "./lend-back.ts";
import { metadataBench } from "./metadata.ts";
import { nbdBench } from "./nbd.ts";
import { pagesBench } from "./pages.ts";
import { processesBench } from "./processes.ts";
import { remoteBench } from "./remote.ts";
import { sealBench } from "./seal.ts";
import { spillBench } from "./spill.ts";
import { steadyBench } from "./steady.ts";

const BENCHES: readonly Bench[] = [
  codecFigures,
  sealBench,
  pagesBench,
  metadataBench,
  steadyBench,
  channelFigures,
  remoteBench,
  copiesBench,
  spillBench,
  nbdBench,
  gossipBench,
  processesBench,
  lendBackBench,
];

/** Marks the line with the figures in the output of a bench's process. */
const RESULT_MARK = "bench-result ";

async function runInProcess(bench: Bench, quick: boolean): Promise<Figure[]> {
  const cmd = [process.execPath, import.meta.path, "--only", bench.name];
  if (quick) cmd.push("--quick");
  const child = Bun.spawn({ cmd, stdout: "pipe", stderr: "inherit", stdin: "ignore" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`bench ${bench.name} failed`);
  const line = text.split("\n").find((candidate) => candidate.startsWith(RESULT_MARK));
  return JSON.parse(line?.slice(RESULT_MARK.length) ?? "[]") as Figure[];
}

async function main(argv: readonly string[]): Promise<void> {
  const quick = argv.includes("--quick");
  const only = argv.indexOf("--only");
  if (only !== -1) {
    const bench = BENCHES.find(({ name }) => name === argv[only + 1]);
    const figures = (await bench?.run({ quick })) ?? [];
    console.log(RESULT_MARK + JSON.stringify(figures));
    return;
  }
  const json = argv.indexOf("--json");
  const jsonPath = json === -1 ? null : (argv[json + 1] ?? null);
  const names = argv.filter((word, i) => !word.startsWith("--") && argv[i - 1] !== "--json");
  const chosen = BENCHES.filter(({ name }) => names.length === 0 || names.includes(name));
  if (chosen.length === 0) {
    console.error(`bench: there are ${BENCHES.map(({ name }) => name).join(", ")}`);
    process.exit(2);
  }
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, Bun ${Bun.version}`);
  const all: Record<string, Figure[]> = {};
  for (const bench of chosen) {
    console.log(`\n${bench.name}: ${bench.about}`);
    const figures = await runInProcess(bench, quick);
    all[bench.name] = figures;
    for (const figure of figures) console.log(`  ${figureText(figure)}`);
  }
  if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(all, null, 2)}\n`);
}

await main(process.argv.slice(2));
process.exit(0);

/**
 * `bun run bench [NAME...] [--quick] [--json FILE] [--corpora FOLDER]`: runs each bench in its own
 * process, so that heaps and caches do not mix. It prints each figure with the reference of the
 * same run. A missed target is printed but does not fail the command, because machines differ.
 */
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { CORPORA_FOLDER } from "../pages/corpora.ts";
import { type Bench, type BenchOptions, type Figure, figureText, tableLines } from "./bench.ts";
import { channelFigures } from "./channel-figures.ts";
import { clientBench } from "./client.ts";
import { codecFigures } from "./codec-figures.ts";
import { copiesBench } from "./copies.ts";
import { densityBench } from "./density.ts";
import { gossipBench } from "./gossip.ts";
import { keptBench } from "./kept.ts";
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
  densityBench,
  keptBench,
  steadyBench,
  channelFigures,
  remoteBench,
  copiesBench,
  spillBench,
  nbdBench,
  gossipBench,
  processesBench,
  clientBench,
  lendBackBench,
];

/** Marks the line with the figures in the output of a bench's process. */
const RESULT_MARK = "bench-result ";

async function runInProcess(bench: Bench, options: BenchOptions): Promise<Figure[]> {
  const cmd = [process.execPath, import.meta.path, "--only", bench.name];
  if (options.quick) cmd.push("--quick");
  cmd.push("--corpora", options.corpora);
  const child = Bun.spawn({ cmd, stdout: "pipe", stderr: "inherit", stdin: "ignore" });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`bench ${bench.name} failed`);
  const line = text.split("\n").find((candidate) => candidate.startsWith(RESULT_MARK));
  return JSON.parse(line?.slice(RESULT_MARK.length) ?? "[]") as Figure[];
}

async function main(argv: readonly string[]): Promise<void> {
  const after = (flag: string): string | null => {
    const at = argv.indexOf(flag);
    return at < 0 ? null : (argv[at + 1] ?? null);
  };
  const quick = argv.includes("--quick");
  const options = { quick, corpora: after("--corpora") ?? CORPORA_FOLDER };
  const only = after("--only");
  if (only !== null) {
    const bench = BENCHES.find(({ name }) => name === only);
    const figures = (await bench?.run(options)) ?? [];
    console.log(RESULT_MARK + JSON.stringify(figures));
    return;
  }
  const jsonPath = after("--json");
  const valued = ["--json", "--corpora"];
  const names = argv.filter((word, i) => {
    return !word.startsWith("--") && !valued.includes(argv[i - 1] ?? "");
  });
  const unknown = argv.find((word, i) => {
    if (valued.includes(argv[i - 1] ?? "")) return false;
    if (word.startsWith("--")) return ![...valued, "--quick"].includes(word);
    return BENCHES.every(({ name }) => name !== word);
  });
  if (unknown !== undefined) {
    console.error(`bench: there is no "${unknown}", take --quick, --json FILE, --corpora FOLDER,`);
    console.error(`bench: or some of ${BENCHES.map(({ name }) => name).join(", ")}`);
    process.exit(2);
  }
  const chosen = BENCHES.filter(({ name }) => names.length === 0 || names.includes(name));
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, Bun ${Bun.version}`);
  const all: Record<string, Figure[]> = {};
  for (const bench of chosen) {
    console.log(`\n${bench.name}: ${bench.about}`);
    const figures = await runInProcess(bench, options);
    all[bench.name] = figures;
    for (const line of tableLines(figures)) console.log(`  ${line}`);
    for (const figure of figures) {
      if (figure.cell === undefined) console.log(`  ${figureText(figure)}`);
    }
  }
  if (jsonPath !== null) writeFileSync(jsonPath, `${JSON.stringify(all, null, 2)}\n`);
}

await main(process.argv.slice(2));
process.exit(0);

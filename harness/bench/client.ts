/**
 * The client library as a package, against the same library on the sockets of this project: pages
 * a second in batches, on a unix socket and with a key. Pages of one repeated word cost the node
 * little, so that most of the time is the program's.
 */
import { join } from "node:path";
import { makeClientPackage } from "../../packaging/client/package.ts";
import { ClientDoors } from "../packages/client-doors.ts";
import { ended, ProcessWorld } from "../processes/process-world.ts";
import { type Bench, type Figure, median } from "./bench.ts";

const SCRIPT = join(import.meta.dir, "client-rates.mjs");
const OWN = join(import.meta.dir, "../../src/client/on-bun.ts");

interface Rates {
  readonly put: number;
  readonly get: number;
}

export const clientBench: Bench = {
  name: "client",
  about: "Pages a second of the client package on Bun and Node, against the transport of nodes.",
  run: async ({ quick }) => {
    await using world = new ProcessWorld();
    await makeClientPackage(world.path("package"));
    const doors = await ClientDoors.open(world);
    const [unix = [], , secured = []] = doors.all;
    const [address = "", key = ""] = secured;
    const figures: Figure[] = [];
    for (const [name, door] of [
      ["unix", unix],
      ["TLS", [address, key]],
    ] as const) {
      figures.push(...(await compare(world, name, door, quick ? 1 : 5)));
    }
    return figures;
  },
};

/** Takes turns, so that what else runs on the machine slows all alike. */
async function compare(
  world: ProcessWorld,
  name: string,
  door: readonly string[],
  rounds: number,
): Promise<Figure[]> {
  const packaged = world.path("package/index.js");
  const commands = [
    [process.execPath, SCRIPT, OWN],
    [process.execPath, SCRIPT, packaged],
    ["node", SCRIPT, packaged],
  ];
  const all: Rates[][] = commands.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, command] of commands.entries()) {
      const { stdout, stderr, code } = await ended(
        world.spawnCommand([...command, "1000", ...door]),
      );
      if (code !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
      all[i]?.push(JSON.parse(stdout));
    }
  }
  return (["put", "get"] as const).flatMap((what) => {
    const [own = 0, bun = 0, node = 0] = all.map((rates) => median(rates.map((it) => it[what])));
    const reference = { name: "Bun's sockets", value: own, unit: "pages/s" };
    return [
      { name: `${name} ${what}, package on Bun`, value: bun, ratio: bun / own },
      { name: `${name} ${what}, package on Node`, value: node, ratio: node / own },
    ].map((figure) => ({ ...figure, unit: "pages/s", reference }));
  });
}

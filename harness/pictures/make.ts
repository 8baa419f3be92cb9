/**
 * `bun run pictures`: makes the pictures of the documents again, with Debian's Chromium.
 *
 *     page.webp     the page of the monitoring port: real nodes under load, and a lender is killed
 *     report.webp   what `ramster stress --html` writes, with nodes that are killed
 */
import { join } from "node:path";
import { ended, ProcessWorld, until } from "../processes/process-world.ts";
import { which } from "../processes/tools.ts";

const FOLDER = join(import.meta.dir, "../../docs/pictures");
const WIDTH = 1100;
const HEIGHT = 1130;
const REPORT_HEIGHT = 900;
/** Long enough for a chart, with a kill in its middle. */
const LOAD_MS = 60_000;

async function main(): Promise<void> {
  await using world = new ProcessWorld();
  await picturePage(world);
  await pictureReport(world);
  Bun.WebView.closeAll();
}

async function picturePage(world: ProcessWorld): Promise<void> {
  const gossip = "--gossip=127.0.0.1:0";
  const lender = (number: number, name: string, more: readonly string[]) => {
    const flags = [`--name=${name}`, gossip, `--zone=rack${number}`, ...more];
    return world.start("server", number, flags);
  };
  const first = await lender(1, "lender-1", ["--memory=160MiB"]);
  const join1 = `--join=${first.gossip}`;
  await lender(2, "lender-2", ["--memory=96MiB", join1]);
  const third = await lender(3, "lender-3", ["--memory=64MiB", join1]);
  const own = ["--name=owner", "--zone=rack0", "--memory=24MiB", "--lend=32MiB"];
  const door = ["--export=swap=1GiB", `--nbd=unix:${world.path("nbd")}`, "--no-swap"];
  const flags = [...own, gossip, join1, "--http=127.0.0.1:0", "--cold-codec=zstd", ...door];
  const owner = await world.start("node", 4, flags);
  const load = ["stress", `--connect=${owner.client}`, "--working-set=96MiB"];
  world.spawn([...load, `--duration=${LOAD_MS}ms`]);
  const view = open(HEIGHT);
  await view.navigate(`http://${owner.http}/`);
  await Bun.sleep(LOAD_MS / 2);
  third.child.kill("SIGKILL");
  await until("the page knows it", async () => {
    return (await textOf(view)).includes("is dead");
  });
  await Bun.sleep(LOAD_MS / 4);
  await save(view, "page.webp");
}

async function pictureReport(world: ProcessWorld): Promise<void> {
  const nodes = ["--nodes=6", "--servers=3", "--memory=4MiB", "--chaos=kill", "--chaos-every=6s"];
  const flags = [...nodes, "--duration=40s", "--seed=1", "--html=report.html"];
  const command = world.command(["stress", ...flags]).join(" ");
  const child = world.spawnCommand(["sh", "-c", `cd ${world.directory} && exec ${command}`]);
  const { code, stderr } = await ended(child);
  if (code !== 0) throw new Error(stderr);
  const view = open(REPORT_HEIGHT);
  await view.navigate(`file://${world.path("report.html")}`);
  await save(view, "report.webp");
}

function open(height: number): Bun.WebView {
  return new Bun.WebView({
    ...{ width: WIDTH, height },
    backend: {
      ...{ type: "chrome", url: false, path: which("chromium") ?? "chromium" },
      argv: ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"],
    },
  });
}

async function save(view: Bun.WebView, name: string): Promise<void> {
  const picture = await view.screenshot({ format: "webp", quality: 70 });
  await Bun.write(join(FOLDER, name), picture);
  view.close();
  console.log(`docs/pictures/${name}: ${Math.round(picture.size / 1024)} KiB`);
}

function textOf(view: Bun.WebView): Promise<string> {
  return view.evaluate("document.body.innerText");
}

await main();

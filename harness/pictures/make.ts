/**
 * `bun run pictures`: makes the pictures of the documents again. It starts real nodes, loads them,
 * kills a lender, and photographs the page of the monitoring port with Debian's Chromium.
 */
import { join } from "node:path";
import { ProcessWorld, until } from "../processes/process-world.ts";
import { which } from "../processes/tools.ts";

const FOLDER = join(import.meta.dir, "../../docs/pictures");
const WIDTH = 1100;
const HEIGHT = 1130;
/** Long enough for a chart, with a kill in its middle. */
const LOAD_MS = 60_000;

async function main(): Promise<void> {
  await using world = new ProcessWorld();
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
  const view = new Bun.WebView({
    ...{ width: WIDTH, height: HEIGHT },
    backend: {
      ...{ type: "chrome", url: false, path: which("chromium") ?? "chromium" },
      argv: ["--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"],
    },
  });
  await view.navigate(`http://${owner.http}/`);
  await Bun.sleep(LOAD_MS / 2);
  third.child.kill("SIGKILL");
  await until("the page knows it", async () => {
    return (await textOf(view)).includes("is dead");
  });
  await Bun.sleep(LOAD_MS / 4);
  const picture = await view.screenshot({ format: "webp", quality: 70 });
  await Bun.write(join(FOLDER, "page.webp"), picture);
  view.close();
  Bun.WebView.closeAll();
  console.log(`docs/pictures/page.webp: ${Math.round(picture.size / 1024)} KiB`);
}

function textOf(view: Bun.WebView): Promise<string> {
  return view.evaluate("document.body.innerText");
}

await main();

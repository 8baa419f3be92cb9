/** The page of the monitoring port in Debian's Chromium, on real nodes. */
import { afterAll, describe, expect, test } from "bun:test";
import { fill, ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

const TEST_MS = 120_000;
const chromium = which("chromium");
const missing = !areToolsRequired && chromium === null;

/** A page in the browser, with what its code logged or threw, and what its policy forbade. */
class OpenPage implements AsyncDisposable {
  readonly complaints: string[] = [];
  private readonly view: Bun.WebView;

  private constructor(width: number, height: number) {
    this.view = new Bun.WebView({
      ...{ width, height },
      backend: {
        ...{ type: "chrome", url: false, path: chromium ?? "chromium" },
        // Its sandbox does not work for root, or in a container.
        argv: ["--no-sandbox", "--disable-dev-shm-usage"],
      },
      console: (kind, ...words) => this.complaints.push([kind, ...words].join(" ")),
    });
  }

  static async open(url: string, { width = 1280, height = 900 } = {}): Promise<OpenPage> {
    const page = new OpenPage(width, height);
    const { view, complaints } = page;
    await view.navigate("about:blank");
    await view.cdp("Log.enable");
    await view.cdp("Runtime.enable");
    view.addEventListener<{ entry: { text: string; url?: string } }>(
      "Log.entryAdded",
      ({ data: { entry } }) => complaints.push(`${entry.text} ${entry.url ?? ""}`),
    );
    view.addEventListener("Runtime.exceptionThrown", ({ data }) => {
      complaints.push(JSON.stringify(data));
    });
    await view.navigate(url);
    return page;
  }

  evaluate<T>(code: string): Promise<T> {
    return this.view.evaluate(code) as Promise<T>;
  }

  textOf(id: string): Promise<string> {
    return this.evaluate(`document.getElementById(${JSON.stringify(id)}).innerText`);
  }

  async untilText(id: string, pattern: RegExp): Promise<void> {
    await until(`${id} has ${pattern}`, async () => pattern.test(await this.textOf(id)));
  }

  press(key: string): Promise<void> {
    return this.view.press(key);
  }

  /** Whether nothing is wider than the window. */
  fits(): Promise<boolean> {
    return this.evaluate("document.documentElement.scrollWidth <= innerWidth");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.view.close();
  }
}

describe.skipIf(missing)(`the page${missing ? " (skipped: chromium is not here)" : ""}`, () => {
  afterAll(() => Bun.WebView.closeAll());

  /** An owner with pages at two lenders. */
  async function cluster(world: ProcessWorld) {
    const flags = ["--memory=16MiB", "--gossip=127.0.0.1:0"];
    const first = await world.start("server", 2, [...flags, "--zone=a"]);
    const join = `--join=${first.gossip}`;
    const second = await world.start("server", 3, [...flags, "--zone=b", join]);
    const own = ["--memory=1MiB", "--gossip=127.0.0.1:0", join, "--http=127.0.0.1:0"];
    const disk = ["--export=disk=1MiB", `--nbd=unix:${world.path("nbd")}`, "--no-swap"];
    const owner = await world.start("node", 1, [...own, ...disk]);
    const client = await world.connect(owner);
    await fill(await client.newPool({ persistent: true }), 1000);
    return { owner, client, lenders: [first, second] as const, url: `http://${owner.http}/` };
  }

  test(
    "shows what status --json says, and a killed lender",
    async () => {
      await using world = new ProcessWorld();
      const { owner, lenders, url } = await cluster(world);
      await using page = await OpenPage.open(url);
      await page.untilText("verdict", /^HEALTHY: /);
      await page.untilText("connection", /^live$/);
      const status = await world.run(["status", "--json", "--client", owner.client]);
      const { findings, members, exports, node } = JSON.parse(status.stdout);
      expect(await page.textOf("verdict")).toContain(findings[0].reason);
      expect(await page.textOf("node")).toContain(`"${node.name}" of cluster "${node.cluster}"`);
      const machines = await page.textOf("machines");
      for (const { name, number } of members) {
        expect(machines).toMatch(new RegExp(`^${name}( \\*)?\\s+${number}\\s+alive`, "m"));
      }
      expect(await page.textOf("exports")).toMatch(new RegExp(`^${exports[0].name}\\s+1MiB`, "m"));
      expect(await page.textOf("copies")).toMatch(/away, 2 copies\s+[1-9]/);
      expect(await page.evaluate("document.querySelectorAll('#flow path.arrow').length")).toBe(4);
      expect(await page.evaluate("document.querySelectorAll('#charts canvas').length")).toBe(2);
      lenders[1].child.kill("SIGKILL");
      await page.untilText("machines", /n3\s+\d+\s+dead/);
      await page.untilText("verdict", /^ONE COPY: /);
      await page.untilText("events", /died "n3" is dead/);
      expect(page.complaints).toEqual([]);
    },
    TEST_MS,
  );

  test(
    "says that the node does not answer, and goes on when it is back",
    async () => {
      await using world = new ProcessWorld();
      const node = await world.start("node", 1, ["--http=127.0.0.1:0"]);
      await using page = await OpenPage.open(`http://${node.http}/`);
      await page.untilText("connection", /^live$/);
      node.child.kill("SIGKILL");
      await page.untilText("connection", /^the node does not answer since /);
      await world.start("node", 1, [`--http=${node.http}`]);
      await page.untilText("connection", /^live$/);
      expect((await page.textOf("events")).match(/verdict/g)).toHaveLength(1);
    },
    TEST_MS,
  );

  test.each([
    [1280, 900],
    [768, 1024],
    [390, 844],
  ])(
    "is as wide as a window of %p, and its keys work",
    async (width, height) => {
      await using world = new ProcessWorld();
      const { url } = await cluster(world);
      await using page = await OpenPage.open(url, { width, height });
      await page.untilText("verdict", /^HEALTHY: /);
      expect(await page.fits()).toBe(true);
      await page.press("Tab");
      expect(await page.evaluate("document.activeElement.className")).toBe("skip");
      await page.evaluate("document.querySelector('#range button').focus()");
      await page.press("ArrowRight");
      expect(await page.evaluate("document.activeElement.innerText")).toBe("1 day");
      expect(await page.evaluate("document.querySelector('[aria-checked=true]').innerText")).toBe(
        "1 day",
      );
      // Each picture has a text for those who cannot see it.
      const nameless = "[...document.querySelectorAll('[role=img]')].filter((it) => !it.ariaLabel)";
      expect(await page.evaluate(`${nameless}.length`)).toBe(0);
      expect(page.complaints).toEqual([]);
    },
    TEST_MS,
  );
});

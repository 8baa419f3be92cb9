import { expect, test } from "bun:test";
import { SimCluster } from "../../harness/sim/cluster.ts";
import type { NodeConfig } from "./config.ts";
import { nameOf, type Setting } from "./setting.ts";
import { SETTINGS } from "./settings.ts";

const MIB = 1024 * 1024;
const BOUNDED = (Object.values(SETTINGS) as Setting[]).filter(
  ({ live, type }) => live === true && type.bounds !== undefined,
);

async function start(...settings: Partial<NodeConfig>[]) {
  const sim = new SimCluster(1);
  await sim.start(settings);
  return { sim, admin: sim.node(0).node.admin };
}

test("every number that may change is refused beyond its bounds, with both of them", async () => {
  const { sim, admin } = await start({ lendBytes: MIB });
  expect(BOUNDED.length).toBeGreaterThan(15);
  for (const setting of BOUNDED) {
    const { plain = setting.type, bounds } = setting.type;
    const name = nameOf(setting);
    const before = admin.getKnob(name);
    const max = setting.type.unit === "pages" ? 2 ** 31 - 1 : (bounds?.max ?? 0);
    for (const value of ["-1", String(max + 1), "x"]) {
      expect(() => admin.setKnob(name, value)).toThrow(
        `Cannot set "${name}" to "${value}": it takes`,
      );
    }
    if (typeof setting.default === "number") {
      expect(() => admin.setKnob(name, "x")).toThrow(`to ${max}`);
    }
    expect(admin.getKnob(name)).toBe(before);
    expect(admin.setKnob(name, before)).toBe(before);
    expect(plain.format(plain.parse(before))).toBe(before);
  }
  await sim.stop();
});

test("a setting has its flag as a second name, and takes both forms under either", async () => {
  const { sim, admin } = await start({});
  for (const [name, value, plain, flag, text] of [
    ["idle_timeout_ms", "40000", "40000", "idle", "40s"],
    ["idle", "50s", "50000", "idle", "50s"],
    ["idle_timeout_ms", "1m", "60000", "idle", "1m"],
    ["pers_remotify_enable", "off", "0", "remotify-pers", "off"],
    ["remotify-pers", "1", "1", "remotify-pers", "on"],
    ["zv_max_zsize", "3KiB", "3072", "pers-zpage-max", "3072"],
    ["low-mark", "20%", "20", "low-mark", "20"],
    ["target", "none", "none", "target", "none"],
  ] as const) {
    admin.setKnob(name, value);
    const setting = Object.values(SETTINGS).find((it) => it.flag === flag) as Setting;
    expect([admin.getKnob(nameOf(setting)), admin.getKnob(flag)]).toEqual([plain, text]);
  }
  await sim.stop();
});

test("a setting of the start can be read, and its refusal says how to change it", async () => {
  const { sim, admin } = await start({ memoryBytes: 2 * MIB });
  expect(admin.getKnob("memory")).toBe("2MiB");
  expect(admin.getKnob("http")).toBe("none");
  expect(() => admin.setKnob("memory", "4MiB")).toThrow(
    'Cannot set "memory" to "4MiB": it is read at the start only: ' +
      "stop the node and start it with --memory",
  );
  await sim.stop();
});

test("a counter can be read by its name, as the original's files could", async () => {
  const { sim, admin } = await start({}, { lendBytes: MIB });
  expect(admin.getKnob("pers_pages_remoted")).toBe("0");
  expect(() => admin.setKnob("pers_pages_remoted", "1")).toThrow("it can only be read");
  expect(() => admin.getKnob("pers_page_remoted")).toThrow('did you mean "pers_pages_remoted"?');
  await sim.stop();
});

test("settings of a pair stay in order", async () => {
  const { sim, admin } = await start({});
  for (const [name, value, why] of [
    ["keepalive_delay_ms", "30000", "it must be below idle_timeout_ms, which is 30000"],
    ["idle_timeout_ms", "2s", "it must be above keepalive_delay_ms, which is 2000"],
    ["zv_max_mean_zsize", "3585", "it must not be above zv_max_zsize, which is 3584"],
  ] as const) {
    expect(() => admin.setKnob(name, value)).toThrow(why);
  }
  admin.setKnob("idle_timeout_ms", "3000");
  expect(() => admin.setKnob("keepalive_delay_ms", "3000")).toThrow("which is 3000");
  await sim.stop();
});

test("a link has the times that were set before it was made", async () => {
  const { sim, admin } = await start({ lendBytes: 0 }, { lendBytes: MIB });
  const [borrower, lender] = [sim.node(0), sim.node(1)];
  const isUp = () => borrower.node.links.channelOf(1) !== null;
  sim.until("a link", isUp);
  admin.setKnob("keepalive_delay_ms", "100");
  admin.setKnob("idle_timeout_ms", "400");
  sim.partition([borrower], [lender]);
  sim.run(5000);
  expect(isUp()).toBe(true); // The link was made with the earlier times.
  sim.network.cut(borrower.host, lender.host);
  sim.heal([borrower], [lender]);
  sim.until("another link", isUp);
  sim.partition([borrower], [lender]);
  sim.run(1000);
  expect(isUp()).toBe(false);
  sim.heal([borrower], [lender]);
  await sim.stop();
});

test("a page that compresses to more than zv_max_zsize is refused from then on", async () => {
  const { sim, admin } = await start({ target: null });
  const pool = sim.node(0).newPool({ persistent: true });
  const refused = () => sim.node(0).counter("compress_poor");
  sim.node(0).put(pool, 1, 1);
  expect(refused()).toBe(0);
  admin.setKnob("zv_max_mean_zsize", "1");
  admin.setKnob("zv_max_zsize", "1");
  sim.node(0).put(pool, 2, 1);
  expect(refused()).toBe(1);
  await sim.stop();
});

test("pages of a dead node are kept for foreign_grace_ms as set at that time", async () => {
  const sim = new SimCluster(1);
  await sim.startGossiping([{ lendBytes: 0 }, { lendBytes: 4 * MIB }]);
  const [borrower, lender] = [sim.node(0), sim.node(1)];
  const pool = borrower.newPool({ persistent: true });
  for (let page = 0; page < 1000; page += 1) {
    borrower.put(pool, page, 1);
    sim.run(5);
  }
  sim.until("pages are away", () => lender.counter("foreign_pers_pages") > 0);
  lender.node.admin.setKnob("foreign_grace_ms", "100");
  borrower.crash();
  sim.until("its pages are dropped", () => lender.counter("foreign_pers_pages") === 0);
  await lender.stop();
});

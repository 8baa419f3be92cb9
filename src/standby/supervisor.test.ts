/** The supervisor of processes that only pretend to be there, in virtual time. */
import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { Log } from "../core/log.ts";
import type { ActiveLink } from "./active-link.ts";
import { type Child, type End, type Part, Supervisor } from "./supervisor.ts";

class FakeChild implements Child {
  readonly pid: number;
  readonly part: Part;
  readonly signals: string[] = [];
  isAlive = true;
  private readonly end = Promise.withResolvers<End>();
  readonly ended = this.end.promise;

  constructor(pid: number, part: Part) {
    this.pid = pid;
    this.part = part;
  }

  kill(signal: NodeJS.Signals): void {
    this.signals.push(signal);
    if (this.part === "standby" && signal === "SIGTERM") this.die(0);
  }

  die(how: number | NodeJS.Signals): void {
    this.isAlive = false;
    const code = typeof how === "number" ? how : null;
    this.end.resolve({ code, how: code === null ? String(how) : `exit code ${how}` });
  }
}

class World {
  readonly clock = new SimClock();
  readonly lines: string[] = [];
  readonly children: FakeChild[] = [];
  /** The process that serves, as far as it does. */
  serves: FakeChild | null = null;
  link = { pid: 0, isStopping: false, close: () => {} };
  code: number | null = null;
  readonly supervisor: Supervisor;

  constructor() {
    const log = new Log((level, _area, line) => this.lines.push(`${level}: ${line}`));
    this.supervisor = new Supervisor({
      clock: this.clock,
      log,
      start: (part) => {
        const child = new FakeChild(this.children.length + 1, part);
        this.children.push(child);
        return child;
      },
      connect: async () => {
        if (this.serves?.isAlive !== true) return null;
        this.link = { pid: this.serves.pid, isStopping: false, close: () => {} };
        return this.link as unknown as ActiveLink;
      },
    });
    void this.supervisor.ended.then((code) => {
      this.code = code;
    });
  }

  async run(ms: number): Promise<void> {
    const untilMs = this.clock.now() + ms;
    for (let now = this.clock.now(); now < untilMs; now += 25) {
      this.clock.run(now + 25);
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
    }
  }

  /** The processes that are there, by what they were started as. */
  get alive(): string[] {
    return this.children.filter((it) => it.isAlive).map(({ pid, part }) => `${pid} ${part}`);
  }

  /** The one that was started as the `count`th. */
  child(count: number): FakeChild {
    const child = this.children[count - 1];
    if (child === undefined) throw new Error(`there is no process ${count}`);
    return child;
  }

  async serve(count: number): Promise<void> {
    this.serves = this.child(count);
    await this.run(200);
  }
}

describe("a supervisor", () => {
  test("starts a standby once the first process serves, and another one after a death", async () => {
    const world = new World();
    await world.run(5000);
    expect(world.alive).toEqual(["1 active"]);
    await world.serve(1);
    expect(world.alive).toEqual(["1 active", "2 standby"]);
    world.child(1).die("SIGKILL");
    await world.run(1000);
    expect(world.alive).toEqual(["2 standby"]);
    await world.serve(2);
    expect(world.alive).toEqual(["2 standby", "3 standby"]);
    expect(world.lines).toEqual(["error: process 1, which served, ended by SIGKILL"]);
  });

  test("ends with the exit code of a process that never served", async () => {
    const world = new World();
    world.child(1).die(3);
    await world.run(100);
    expect(world.code).toBe(3);
    expect(world.lines).toEqual([]);
  });

  test("passes signals on, and ends all when the node ends in good order", async () => {
    const world = new World();
    await world.serve(1);
    world.supervisor.signal("SIGHUP");
    world.supervisor.stop("SIGTERM");
    expect(world.child(1).signals).toEqual(["SIGHUP", "SIGTERM"]);
    expect(world.child(2).signals).toEqual(["SIGHUP"]);
    world.link.isStopping = true;
    world.child(1).die(1);
    await world.run(100);
    expect(world.alive).toEqual([]);
    expect(world.code).toBe(1);
  });

  test("starts a standby that failed again, later each time", async () => {
    const world = new World();
    await world.serve(1);
    const startsAtMs: number[] = [];
    for (let count = 2; count < 8; count += 1) {
      startsAtMs.push(world.clock.now());
      world.child(count).die(3);
      while (world.children.length === count) await world.run(25);
    }
    const waits = startsAtMs.slice(1).map((at, i) => at - (startsAtMs[i] ?? 0));
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits[0]).toBeGreaterThanOrEqual(1000);
    expect(waits.at(-1)).toBeGreaterThan(10_000);
    expect(world.lines[0]).toBe(
      "warn: the standby, process 2, ended by exit code 3: another one is started in 1 s",
    );
    expect(world.alive).toContain("1 active");
  });

  test("takes over with a new process when both have died", async () => {
    const world = new World();
    await world.serve(1);
    world.child(2).die("SIGKILL");
    world.child(1).die("SIGKILL");
    await world.run(2000);
    expect(world.alive).toEqual(["3 active"]);
    await world.serve(3);
    expect(world.alive).toEqual(["3 active", "4 standby"]);
    expect(world.code).toBeNull();
  });

  test("gives up after eight processes in a row that died soon, and says so", async () => {
    const world = new World();
    await world.serve(1);
    let count = 1;
    for (; world.code === null && count < 20; count += 1) {
      while (world.children.length < count && world.code === null) await world.run(100);
      if (world.code !== null) break;
      await world.serve(count);
      world.child(count).die("SIGSEGV");
      await world.run(100);
    }
    const deaths = world.lines.filter((line) => line.includes("ended by SIGSEGV")).length;
    expect(deaths).toBeWithin(8, 11);
    expect(world.code).toBe(1);
    expect(world.alive).toEqual([]);
    expect(world.lines.join("\n")).toContain(
      "error: 8 processes in a row died within 10 s: no other one is started.",
    );
  });

  test("never gives up on processes that others ended", async () => {
    const world = new World();
    for (let count = 1; count < 20; count += 1) {
      await world.serve(count);
      world.child(count).die("SIGKILL");
      await world.run(100);
    }
    expect(world.code).toBeNull();
    expect(world.alive).toHaveLength(1);
  });
});

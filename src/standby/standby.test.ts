/** A standby and the process that serves, on a network in memory and in virtual time. */
import { describe, expect, test } from "bun:test";
import { SimClock } from "../../harness/sim/clock.ts";
import { drive } from "../../harness/sim/drive.ts";
import { SimNetwork } from "../../harness/sim/network.ts";
import { Log } from "../core/log.ts";
import { SeededRandom } from "../core/random.ts";
import type { Address } from "../net/address.ts";
import type { Listener, Transport } from "../net/transport.ts";
import { Active } from "./active.ts";
import { ActiveLink } from "./active-link.ts";
import { Standby } from "./standby.ts";

const ADDRESS: Address = { kind: "tcp", host: "active", port: 1 };
const PID = 7;

class World {
  readonly clock = new SimClock();
  readonly network = new SimNetwork(this.clock, new SeededRandom(1));
  readonly lines: string[] = [];
  readonly log = new Log((level, _area, line) => this.lines.push(`${level}: ${line}`));
  readonly killed: number[] = [];
  /** Whether the process that served has closed everything, and left the lock. */
  hasEnded = false;
  isFree = true;
  private listener: Listener | null = null;

  active(pid = PID): Active {
    const outside = this.network.transport("active");
    const transport: Transport = {
      ...outside,
      listen: async (address, accept) => {
        this.listener = await outside.listen(address, accept);
        return this.listener;
      },
    };
    const env = { clock: this.clock, transport, log: this.log };
    return new Active(env, { pid, address: ADDRESS });
  }

  /** The kernel closes what the process had open. */
  die(): void {
    this.listener?.close();
    this.network.cut("active", "standby");
  }

  async standby(): Promise<Standby> {
    const { clock, log, network } = this;
    const standby = await drive(
      clock,
      Standby.connect(
        {
          clock,
          log,
          dialler: network.transport("standby"),
          kill: (pid) => this.killed.push(pid),
          hasEnded: () => this.hasEnded,
          lock: () => this.isFree,
        },
        ADDRESS,
      ),
    );
    expect(standby).not.toBeNull();
    return standby as Standby;
  }

  run(ms: number): void {
    this.clock.run(this.clock.now() + ms);
  }
}

describe("a standby", () => {
  test("is none where no process serves", async () => {
    const { clock, network } = new World();
    const link = ActiveLink.connect(network.transport("standby"), ADDRESS, "standby");
    expect(await drive(clock, link)).toBeNull();
  });

  test("is known to the process that serves, with the memory that it takes", async () => {
    const world = new World();
    const active = world.active();
    await active.listen();
    const standby = await world.standby();
    expect(active.standby).toBeNull();
    standby.ready(48 * 2 ** 20);
    world.run(100);
    expect(active.standby).toEqual({ ownBytes: 48 * 2 ** 20 });
    expect(world.lines).toEqual([
      "info: a standby is ready, and takes 48MiB beside what it shares",
    ]);
    world.network.crash("standby");
    world.network.cut("standby", "active");
    world.run(2000);
    expect(active.standby).toBeNull();
    expect(world.lines.at(-1)).toStartWith("warn: the standby has ended");
  });

  test("succeeds once the other has died, has closed everything and left the lock", async () => {
    const world = new World();
    await world.active().listen();
    const standby = await world.standby();
    let died: number | null | undefined;
    void standby.succeed().then((pid) => {
      died = pid;
    });
    world.isFree = false;
    world.die();
    const turns = async (): Promise<void> => {
      for (let i = 0; i < 40; i += 1) {
        world.run(200);
        await Promise.resolve();
      }
    };
    await turns();
    expect(died).toBeUndefined();
    expect(world.lines).toContain(`warn: process ${PID}, which served, has not ended yet`);
    world.hasEnded = true;
    await turns();
    expect(died).toBeUndefined();
    world.isFree = true;
    await turns();
    expect(died).toBe(PID);
  });

  test("ends when the other ends in good order", async () => {
    const world = new World();
    const active = world.active();
    await active.listen();
    const standby = await world.standby();
    const succeeded = standby.succeed();
    active.stop();
    expect(await drive(world.clock, succeeded)).toBeNull();
    expect(world.lines).toEqual([]);
  });

  test("goes on waiting when only the connection broke", async () => {
    const world = new World();
    const active = world.active();
    await active.listen();
    const standby = await world.standby();
    standby.ready(1);
    void standby.succeed();
    world.network.cut("active", "standby");
    for (let i = 0; i < 40; i += 1) {
      world.run(50);
      await Promise.resolve();
    }
    expect(active.standby).toEqual({ ownBytes: 1 });
  });

  test("ends a process that says nothing for 30 s, and none that says something", async () => {
    const world = new World();
    await world.active().listen();
    await world.standby();
    world.run(120_000);
    expect(world.killed).toEqual([]);
    world.network.block("active", "standby");
    world.run(29_000);
    expect(world.killed).toEqual([]);
    world.run(3000);
    expect(world.killed).toEqual([PID]);
    expect(world.lines.at(-1)).toBe(
      `error: process ${PID}, which serves, has said nothing for 30 s: ending it`,
    );
  });
});

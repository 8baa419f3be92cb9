/**
 * The NBD door of a whole node under virtual time. Node 0 has an export, and node 1 lends memory.
 */
import { assert } from "../../src/core/assert.ts";
import { SeededRandom } from "../../src/core/random.ts";
import type { Address } from "../../src/net/address.ts";
import type { NodeConfig } from "../../src/node/config.ts";
import { SimCluster } from "../sim/cluster.ts";
import { drive } from "../sim/drive.ts";
import { BareClient, type BareForm, READ, WRITE } from "./bare-client.ts";

const MIB = 1024 * 1024;
export const NBD: Address = { kind: "tcp", host: "10.0.0.0", port: 10809 };
export const DISK = { name: "disk", byteCount: 16 * MIB };

/** Bytes of which one half compresses. */
export function bytesFrom(random: SeededRandom, byteCount: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteCount);
  for (let at = 0; at < byteCount; at += 1) bytes[at] = at % 512 < 256 ? 7 : random.u32();
  return bytes;
}

export const write = (offset: number, data: Uint8Array) => {
  return { type: WRITE, offset, length: data.length, data };
};
export const read = (offset: number, length: number) => ({ type: READ, offset, length });

export class DoorWorld {
  readonly sim: SimCluster;

  private constructor(sim: SimCluster) {
    this.sim = sim;
  }

  static async start(
    settings: Partial<NodeConfig> = {},
    seed = 5,
    lent = 64 * MIB,
  ): Promise<DoorWorld> {
    const sim = new SimCluster(seed);
    const own = { nbd: [NBD], exports: [DISK], target: 1, lendBytes: 0, ...settings };
    await sim.start([own, { lendBytes: lent }]);
    return new DoorWorld(sim);
  }

  wait<T>(promise: Promise<T>): Promise<T> {
    return drive(this.sim.clock, promise);
  }

  async connect(form: BareForm = "structured", host = "program"): Promise<BareClient> {
    const client = new BareClient();
    this.sim.network.transport(host).connect(NBD, client);
    await this.wait(client.negotiate({ form }));
    return client;
  }

  /** Writes the whole export. The seed of each MiB is its offset + 1. */
  async fill(client: BareClient): Promise<void> {
    for (let at = 0; at < DISK.byteCount; at += MIB) {
      const data = bytesFrom(new SeededRandom(at + 1), MIB);
      assert((await this.wait(client.ask(write(at, data)))).error === 0);
    }
  }

  get door() {
    return this.sim.node(0).node.nbdDoor;
  }

  async stop(): Promise<void> {
    this.sim.node(0).verify();
    await this.sim.stop();
  }
}

/**
 * The node of `ramster stress --join`: one node of this machine that joins a cluster which runs
 * already, and is loaded. So a page is on another machine with one command.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "../../src/client/on-bun.ts";
import { RamsterError } from "../../src/core/errors.ts";
import { formatAddress } from "../../src/net/address.ts";
import { NodeProcess } from "../processes/node-process.ts";
import type { StressOptions } from "./options.ts";

/** A lender is known as soon as the node has joined: a moment later it has offered its memory. */
const LENDER_MS = 10_000;
const JOIN_MS = 30_000;
const POLL_MS = 20;

export class JoinedNode {
  private readonly directory = mkdtempSync(join(tmpdir(), "ramster-stress-"));
  private readonly node: NodeProcess;

  constructor(program: readonly string[], options: StressOptions) {
    const { join: seeds, keyPath, insecure, memoryBytes, replicas, seal, verbose } = options;
    const flags = [
      `--name=stress-${process.pid}`,
      // The address from which this machine sends to a seed.
      ...["--listen=0.0.0.0:0", "--gossip=0.0.0.0:0"],
      `--join=${seeds.map(formatAddress).join(",")}`,
      `--join-timeout=${JOIN_MS}ms`,
      ...(keyPath === null ? [] : [`--key=${keyPath}`]),
      ...(insecure ? ["--insecure"] : []),
      ...(seal ? ["--seal"] : []),
      ...[`--memory=${memoryBytes}`, `--replicas=${replicas}`],
      `--client=unix:${join(this.directory, "node.sock")}`,
    ];
    this.node = new NodeProcess(0, [...program, "node", ...flags], { verbose });
    this.node.died.catch(() => {}); // The rejection is for those who await `died`.
  }

  get client(): string {
    return this.node.client;
  }

  get died(): Promise<never> {
    return this.node.died;
  }

  /** Waits until pages have somewhere to go. */
  async ready(): Promise<void> {
    await this.node.ready(2 * JOIN_MS);
    const client = await connect(this.client);
    const deadline = performance.now() + LENDER_MS;
    for (;;) {
      const { nowhere } = await client.stats();
      if (nowhere === null) break;
      if (performance.now() > deadline) {
        throw new RamsterError("TIMED_OUT", `Cannot load the cluster: ${nowhere}`);
      }
      await Bun.sleep(POLL_MS);
    }
    await client.close();
  }

  async end(): Promise<void> {
    await this.node.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

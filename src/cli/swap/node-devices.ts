/**
 * LocalNodeDevices: asks the node of this machine that serves an export to attach it to a device of
 * the kernel itself (src/exports/kernel-devices.ts). Such a device survives a crash of a node that
 * keeps its memory. With nbd-client it does not.
 */
import type { Client } from "../../client/client.ts";
import { connect } from "../../client/on-bun.ts";
import { RamsterError } from "../../core/errors.ts";
import { type Address, formatAddress, parseAddress } from "../../net/address.ts";
import { openKernelNbd } from "../../netlink/nbd-family.ts";
import type { ExportAt, NodeDevices, Shell } from "./shell.ts";
import { normalize } from "./swap-devices.ts";

/** The control of a node (src/node/controls.ts). */
const CONTROL = "devices";
const TIMEOUT_MS = 10_000;

export class LocalNodeDevices implements NodeDevices {
  private readonly shell: Shell;
  private readonly clients: readonly Address[];

  /** `clients`: where nodes of this machine listen for programs. */
  constructor(shell: Shell, clients: readonly Address[]) {
    this.shell = shell;
    this.clients = clients;
  }

  async attach(at: ExportAt, device: string): Promise<string | null> {
    let why = `no node of this machine has it at ${formatAddress(at.nbd)}`;
    for (const address of this.clients) {
      const answer = await this.ask(address, async (client) => {
        if (!this.serves(await client.getKnob("nbd"), at)) return "";
        await client.setKnob(CONTROL, `attach ${at.exportName} ${device}`);
        return null;
      });
      if (answer === null) return null;
      if (answer !== "") why = answer;
    }
    return why;
  }

  async detach(device: string): Promise<boolean> {
    for (const address of this.clients) {
      const answer = await this.ask(address, async (client) => {
        const served = (await client.getKnob(CONTROL)).split("\n");
        if (!served.some((line) => line.endsWith(`=${device}`))) return "";
        await client.setKnob(CONTROL, `detach ${device}`);
        return null;
      });
      if (answer === null) return true;
    }
    return detachHere(device);
  }

  /** Whether the node listens at the address of the export. `addresses`: its setting. */
  private serves(addresses: string, at: ExportAt): boolean {
    const wanted = formatAddress(at.nbd);
    return addresses.split(",").some((text) => {
      if (text === "none") return false;
      const nbd = parseAddress(text);
      return formatAddress(normalize(this.shell, { nbd, exportName: "" }).nbd) === wanted;
    });
  }

  /** @returns the result of `work`, or why there is none. */
  private async ask(
    address: Address,
    work: (client: Client) => Promise<string | null>,
  ): Promise<string | null> {
    let client: Client | null = null;
    try {
      client = await connect(formatAddress(address), { timeoutMs: TIMEOUT_MS });
      return await work(client);
    } catch (error) {
      if (!(error instanceof RamsterError)) throw error;
      return error.message;
    } finally {
      await client?.close();
    }
  }
}

/** Detaches a device whose node has died. @returns false: it is not that of a node. */
function detachHere(device: string): boolean {
  const kernel = openKernelNbd();
  const index = Number(device.replace("/dev/nbd", ""));
  const isOfNode = kernel?.devices().some((it) => it.index === index) === true;
  return isOfNode && kernel?.detach(index) === null;
}

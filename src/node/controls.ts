/**
 * Controls: what can be read or set only while a node runs, and is not a setting. Controls that
 * were files in the original keep their names (docs/original.md, "control files").
 */
import { RamsterError } from "../core/errors.ts";
import { NODES_MAX, PROTOCOL_VERSION } from "../core/limits.ts";
import { parseCount, refused } from "../core/units.ts";
import type { NbdDoor } from "../exports/nbd-door.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import { NO_EXPORT } from "./config.ts";
import { keyControl } from "./key-control.ts";
import { checkIsPeer } from "./live-settings.ts";
import type { NodeParts } from "./node-parts.ts";
import { ON_OFF } from "./setting-types.ts";

/** What can only be read, as the help shows it. */
export const READ_ONLY_CONTROLS = {
  interface_revision: "version of the protocol between nodes; read-only",
  remote_pers_pages: "persistent pages of this node that are away; read-only",
  certificate: "end of the certificate, see ramster key reload; read-only",
} as const;

/** What can be read and set, as the help shows it. */
export const CONTROLS = {
  manual_node_up: "nodes with a link; set it to a node's number to connect to that now",
  draining: "1: lend nothing, move pages of other nodes away, bring its own home",
  exports: 'names of the exports; set it to fewer, or "none", to discard the others',
  frozen: "1: refuse every put",
  gossip_keys: "fingerprints of the gossip keys, see ramster key",
} as const;

export type ControlName = keyof typeof READ_ONLY_CONTROLS | keyof typeof CONTROLS;

export interface Control {
  get(): string;
  /** Throws ConfigError BAD_CONFIG with the reason. */
  set(value: string): void;
  /** Whether errors must not show the value. */
  readonly isSecret?: boolean;
}

export function controlsOf(parts: NodeParts): Readonly<Record<ControlName, Control>> {
  const { ramster, drain, certificate } = parts;
  const { tmem } = ramster.zcache;
  return {
    interface_revision: readOnly(() => PROTOCOL_VERSION),
    remote_pers_pages: readOnly(() => ramster.counters.remote_pers_pages),
    certificate: readOnly(() => certificate?.end ?? "none"),
    manual_node_up: nodeUpControl(parts),
    draining: onOff(
      () => drain.isOn,
      (isOn) => (isOn ? drain.start() : drain.stop()),
    ),
    exports: exportsControl(parts),
    frozen: onOff(
      () => tmem.frozen,
      (isFrozen) => {
        tmem.frozen = isFrozen;
      },
    ),
    gossip_keys: keyControl(parts.membership?.keyring ?? null),
  };
}

function readOnly(get: () => number | string): Control {
  return {
    get: () => String(get()),
    set: () => {
      throw refused("it can only be read");
    },
  };
}

function onOff(get: () => boolean, set: (isOn: boolean) => void): Control {
  const { plain = ON_OFF, takes } = ON_OFF;
  return {
    get: () => plain.format(get()),
    set: (value) => {
      if (!/^(0|1|on|off)$/.test(value)) throw refused(`it takes ${takes}`);
      set(plain.parse(value));
    },
  };
}

/**
 * A node connects to its peers without this control. Setting it makes the node connect at once. It
 * may be set any number of times.
 */
function nodeUpControl(parts: NodeParts): Control {
  const { links } = parts;
  return {
    get: () => {
      const up = links.peers().filter((peer) => peer.state === "up");
      return up.map((peer) => peer.node).join(",");
    },
    set: (value) => {
      const node = nodeNumber(value);
      checkIsPeer(parts, node);
      links.forgetFailures(node);
      links.want(node);
    },
  };
}

function nodeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw refused("it takes a node's number");
  return parseCount(text, { min: 0, max: NODES_MAX - 1 });
}

/** When it is set to fewer names, the other exports are discarded with all their pages. */
function exportsControl({ nbdDoor }: NodeParts): Control {
  const names = (): string[] => nbdDoor.exports.map(({ name }) => name);
  return {
    get: () => names().join(",") || NO_EXPORT,
    set: (value) => {
      // An empty value may come from an empty variable of a script.
      if (value === "") throw refused(`it takes names of exports, or "${NO_EXPORT}"`);
      const kept = value === NO_EXPORT ? [] : value.split(",");
      const unknown = kept.find((name) => !names().includes(name));
      if (unknown !== undefined) throw refused(`there is no export "${unknown}"`);
      const removed = nbdDoor.exports.filter(({ name }) => !kept.includes(name));
      const used = removed.find(({ connectionCount }) => connectionCount > 0);
      if (used !== undefined) throw refused(`clients of "${used.name}" are connected`);
      for (const { name } of removed) nbdDoor.remove(name);
    },
  };
}

/** Setting it to "reload" reads the key file again. Its value is a KeyFileReport, or "none". */
export function keyFileControl(watch: CertificateWatch | null): Control {
  return {
    get: () => (watch === null ? "none" : JSON.stringify(watch.report)),
    set: (value) => {
      if (watch === null) throw refused("this node has no --key");
      if (value !== "reload") throw refused('it takes "reload"');
      watch.reload();
    },
  };
}

/**
 * The devices of this machine's kernel that the node serves: "EXPORT=/dev/nbdN", one a line.
 *
 *     set   "attach EXPORT", "attach EXPORT /dev/nbdN", "detach /dev/nbdN"
 */
export function devicesControl(door: NbdDoor): Control {
  const how = 'it takes "attach EXPORT", "attach EXPORT /dev/nbdN" or "detach /dev/nbdN"';
  return {
    get: () => {
      const lines = door.devices?.list().map(({ path, exportName }) => `${exportName}=${path}`);
      return lines?.join("\n") ?? "none";
    },
    set: (value) => {
      const words = /^(attach|detach)(?: (\S+))?(?: \/dev\/nbd(\d{1,4}))?$/.exec(value);
      const [, action, name, number] = words ?? [];
      const index = number === undefined ? null : Number(number);
      try {
        if (action === "attach" && name !== undefined) door.attach(name, index);
        else if (action === "detach" && name === undefined && index !== null) door.detach(index);
        else throw refused(how);
      } catch (error) {
        if (!(error instanceof RamsterError) || error.code !== "NO_DEVICE") throw error;
        throw refused(error.message);
      }
    },
  };
}

/**
 * Controls: what can be read or set only while a node runs, and is no setting of its start. Those
 * of the original's control files keep their names (docs/original.md, "control files").
 */
import { NODES_MAX, PROTOCOL_VERSION } from "../core/limits.ts";
import { parseCount, refused } from "../core/units.ts";
import type { CertificateWatch } from "./certificate-watch.ts";
import { NO_EXPORT } from "./config.ts";
import { keyControl } from "./key-control.ts";
import { checkIsPeer } from "./live-settings.ts";
import type { NodeParts } from "./node-parts.ts";
import { ON_OFF } from "./setting-types.ts";

/** What each is for: for the help. */
export const CONTROLS = {
  interface_revision: "version of the protocol between nodes; read-only",
  remote_pers_pages: "persistent pages of this node that are away; read-only",
  manual_node_up: "nodes with a link; set it to a node's number to connect to that now",
  draining: "1: lend nothing, move pages of others away, bring its own home",
  exports: 'names of the exports; set it to fewer, or "none", to discard the others',
  frozen: "1: refuse every put",
  gossip_keys: "fingerprints of the gossip keys, see ramster key",
  certificate: 'end of the certificate; set it to "reload" to read the key file again',
} as const;

export type ControlName = keyof typeof CONTROLS;

export interface Control {
  get(): string;
  /** Throws ConfigError BAD_CONFIG with the reason. */
  set(value: string): void;
  /** The value must not be shown. */
  readonly isSecret?: boolean;
}

export function controlsOf(parts: NodeParts): Readonly<Record<ControlName, Control>> {
  const { ramster, drain } = parts;
  const { tmem } = ramster.zcache;
  return {
    interface_revision: readOnly(() => PROTOCOL_VERSION),
    remote_pers_pages: readOnly(() => ramster.counters.remote_pers_pages),
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
    certificate: certificateControl(parts.certificate),
  };
}

function readOnly(get: () => number): Control {
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
 * Who is up is found out without it. Setting it makes this node connect at once, as often as one
 * likes.
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

/** Set to fewer names, the other exports and all that they hold are discarded. */
function exportsControl({ nbdDoor }: NodeParts): Control {
  const names = (): string[] => nbdDoor.exports.map(({ name }) => name);
  return {
    get: () => names().join(",") || NO_EXPORT,
    set: (value) => {
      // Nothing is what a script sets whose variable is empty.
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

/** The end of the certificate; set to "reload" the key file is read again. */
function certificateControl(watch: CertificateWatch | null): Control {
  return {
    get: () => watch?.end ?? "none",
    set: (value) => {
      if (watch === null) throw refused("this node has no --key");
      if (value !== "reload") throw refused('it takes "reload"');
      watch.reload();
    },
  };
}

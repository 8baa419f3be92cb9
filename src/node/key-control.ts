/**
 * The control of the gossip keys. They are replaced while nodes run, one step after the other on
 * every node: add the new key everywhere, use it everywhere, remove the old one everywhere.
 *
 *     get   fingerprints, the one that encrypts first
 *     set   "add BASE64", "use FINGERPRINT", "remove FINGERPRINT"
 *
 * Only the keys in memory change. The node reads the key file at its next start.
 */
import { refused } from "../core/units.ts";
import type { Keyring } from "../gossip/keyring.ts";
import { parseGossipKey } from "../security/key-file.ts";

export function keyControl(keyring: Keyring | null) {
  return {
    isSecret: true,
    get: (): string => keyring?.fingerprints().join(" ") ?? "none",
    set: (value: string): void => {
      if (keyring === null) throw refused("gossip of this node is in clear");
      const [action, key = "", ...more] = value.split(" ");
      if (more.length > 0) throw refused(HOW);
      if (action === "add") keyring.add(parseGossipKey(key));
      else if (action === "use") keyring.use(keyring.byFingerprint(key));
      else if (action === "remove") keyring.remove(keyring.byFingerprint(key));
      else throw refused(HOW);
    },
  };
}

const HOW = 'it takes "add KEY", "use FINGERPRINT" or "remove FINGERPRINT"';

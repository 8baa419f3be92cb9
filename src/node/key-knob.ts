/**
 * The knob of the gossip keys: they are exchanged while nodes run, on every node one step after the
 * other: add the new key everywhere, use it everywhere, remove the old one everywhere.
 *
 *     get   fingerprints, the one that encrypts first
 *     set   "add BASE64", "use FINGERPRINT", "remove FINGERPRINT"
 *
 * Only what a node has in memory changes: the key file is for its next start.
 */
import { ConfigError } from "../core/errors.ts";
import type { Keyring } from "../gossip/keyring.ts";
import { parseGossipKey } from "../security/key-file.ts";
import type { CertificateWatch } from "./certificate-watch.ts";

export function keyKnob(keyring: Keyring | null) {
  return {
    get: (): string => keyring?.fingerprints().join(" ") ?? "none",
    set: (value: string): void => {
      if (keyring === null) throw new ConfigError("BAD_CONFIG", "gossip of this node is in clear");
      const [action, key = "", ...more] = value.split(" ");
      if (more.length > 0) throw new ConfigError("BAD_CONFIG", HOW);
      if (action === "add") keyring.add(parseGossipKey(key));
      else if (action === "use") keyring.use(keyring.byFingerprint(key));
      else if (action === "remove") keyring.remove(keyring.byFingerprint(key));
      else throw new ConfigError("BAD_CONFIG", HOW);
    },
  };
}

const HOW = 'it takes "add KEY", "use FINGERPRINT" or "remove FINGERPRINT"';

/** The end of the certificate; set to "reload" the key file is read again. */
export function certificateKnob(watch: CertificateWatch | null) {
  return {
    get: (): string => watch?.end ?? "none",
    set: (value: string): void => {
      if (watch === null) throw new ConfigError("BAD_CONFIG", "this node has no --key");
      if (value !== "reload") throw new ConfigError("BAD_CONFIG", 'it takes "reload"');
      watch.reload();
    },
  };
}

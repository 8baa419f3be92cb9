/**
 * The key of a running node: its certificate and gossip keys. `ramster key reload` reads the key
 * file again.
 */
import { resolve } from "node:path";
import type { Log } from "../core/log.ts";
import { RenewableTls } from "../net/renewable-tls.ts";
import { secured } from "../net/secured.ts";
import type { TlsMaterial, Transport } from "../net/transport.ts";
import type { Certificate } from "../node/certificate-watch.ts";
import { type ClusterKey, certificateEndMs, shareAuthority } from "../security/key-file.ts";
import { readKey } from "./key.ts";
import { comesOnce, readTextAgain } from "./text-file.ts";
import { badValue } from "./units.ts";

export interface OwnKey {
  readonly gossipKeys: readonly Uint8Array[];
  /**
   * Reads the gossip keys in the file again. Null: it cannot be read again, as a pipe. Throws as
   * openOwnKey does.
   */
  readonly readGossipKeys: () => readonly Uint8Array[] | null;
  /** A transport with TLS on its TCP streams. */
  readonly transport: Transport;
  readonly certificate: Certificate;
  /** For protocols that start TLS themselves, such as NBD. */
  readonly plain: { readonly transport: Transport; readonly tls: TlsMaterial };
}

/** Any member may ask what is in the file, as often as it likes. A read takes about a millisecond. */
const READ_MS = 1000;

/** Throws ConfigError BAD_CONFIG with one line that names the file. */
export function openOwnKey(path: string, transport: Transport, log: Log): OwnKey {
  const key = readKey(path);
  const tls = new RenewableTls(key.tls);
  return {
    gossipKeys: key.gossipKeys,
    readGossipKeys: atMostOnceIn(READ_MS, () => {
      return comesOnce(path) ? null : readAgain(path).gossipKeys;
    }),
    transport: secured(transport, tls, (line) => log.write("error", "net", line)),
    certificate: certificateIn(path, tls),
    plain: { transport, tls },
  };
}

/** The node must not wait: it has one thread. */
function readAgain(path: string): ClusterKey {
  return readKey(path, "key", readTextAgain);
}

function certificateIn(path: string, tls: RenewableTls): Certificate {
  let endMs = certificateEndMs(tls);
  return {
    path: resolve(path),
    endMs: () => endMs,
    nowMs: () => Date.now(),
    reload: () => {
      const fresh = readAgain(path).tls;
      if (!shareAuthority(tls, fresh)) {
        const why = "it belongs to another cluster: it has no certificate that this node trusts";
        throw badValue({ flag: "key", text: path }, why);
      }
      const isChanged = !isSame(tls, fresh);
      tls.replace(fresh);
      endMs = certificateEndMs(fresh);
      return isChanged;
    },
  };
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  const { authority, certificate, key } = one;
  return authority === other.authority && certificate === other.certificate && key === other.key;
}

/** `read`, whose outcome counts for so long, an error too. */
function atMostOnceIn<T>(ms: number, read: () => T): () => T {
  let untilMs = 0;
  let outcome = read;
  return () => {
    if (performance.now() < untilMs) return outcome();
    untilMs = performance.now() + ms;
    try {
      const value = read();
      outcome = () => value;
    } catch (error) {
      outcome = () => {
        throw error;
      };
    }
    return outcome();
  };
}

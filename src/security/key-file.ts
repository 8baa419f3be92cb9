/**
 * The key of a cluster: one text file, of which every node has a copy and nobody else. Who has it
 * belongs to the cluster.
 *
 *     # comments
 *     gossip-key = BASE64            one or more; the first encrypts
 *     -----BEGIN CERTIFICATE-----    of the authority
 *     -----BEGIN CERTIFICATE-----    of the nodes, signed by it
 *     -----BEGIN PRIVATE KEY-----    of the nodes, PKCS #8
 *
 * The authority's own private key is thrown away when the file is made: nothing more is ever signed
 * by it, and another file is another cluster.
 */
import { X509Certificate } from "node:crypto";
import { ConfigError } from "../core/errors.ts";
import type { TlsMaterial } from "../net/transport.ts";

export interface ClusterKey {
  /** AES keys of 16, 24 or 32 bytes; the first encrypts. */
  readonly gossipKeys: readonly Uint8Array[];
  readonly tls: TlsMaterial;
}

/** Longer is no key file: two certificates and a few keys. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;

const BLOCK = /-----BEGIN ([A-Z ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;
const GOSSIP_LINE = /^gossip-key\s*=\s*(\S+)\s*$/gm;

/** As text, with a line on top that says what it is. */
export function formatKeyFile({ gossipKeys, tls }: ClusterKey): string {
  const keys = gossipKeys.map((key) => `gossip-key = ${Buffer.from(key).toString("base64")}`);
  return [
    "# The key of a ramster cluster. Each node has a copy; keep it from everybody else.",
    ...keys,
    tls.authority.trim(),
    tls.certificate.trim(),
    tls.key.trim(),
    "",
  ].join("\n");
}

/**
 * Reads a key file, as of `nowMs` (Unix time); with null its dates are left to who connects. Throws
 * ConfigError BAD_CONFIG with one line: no key file, a key that is damaged, a certificate that has
 * expired or is not of that authority.
 */
export function parseKeyFile(text: string, nowMs: number | null): ClusterKey {
  const blocks = [...text.matchAll(BLOCK)];
  const certificates = blocks.filter(([, type]) => type === "CERTIFICATE").map(([pem]) => pem);
  const keys = blocks.filter(([, type]) => type === "PRIVATE KEY").map(([pem]) => pem);
  const [authority, certificate] = certificates;
  const [key] = keys;
  if (authority === undefined || certificate === undefined || key === undefined) {
    throw refuse("it is no key file, make one with ramster keygen");
  }
  checkCertificate(authority, certificate, nowMs);
  const gossipKeys = [...text.matchAll(GOSSIP_LINE)].map(([, base64 = ""]) => {
    return parseGossipKey(base64);
  });
  if (gossipKeys.length === 0) throw refuse("it has no gossip-key");
  return { gossipKeys, tls: { authority, certificate, key } };
}

function checkCertificate(authority: string, certificate: string, nowMs: number | null): void {
  const own = certificateOf(certificate);
  const issuer = certificateOf(authority);
  if (!own.verify(issuer.publicKey)) {
    throw refuse("its certificate is not of its authority: parts of two files");
  }
  if (nowMs === null) return;
  for (const it of [own, issuer]) {
    if (Date.parse(it.validTo) < nowMs) throw refuse(`its certificate expired on ${it.validTo}`);
    if (Date.parse(it.validFrom) > nowMs) {
      throw refuse(`its certificate is valid from ${it.validFrom} on: is the clock right?`);
    }
  }
}

function certificateOf(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw refuse("one of its certificates is damaged");
  }
}

/** A gossip key as it stands in the file. Throws ConfigError BAD_CONFIG. */
export function parseGossipKey(base64: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  if (Buffer.from(bytes).toString("base64") !== base64) {
    throw refuse("a gossip key is no base64");
  }
  if (![16, 24, 32].includes(bytes.byteLength)) {
    throw refuse(`a gossip key has 16, 24 or 32 bytes, one here has ${bytes.byteLength}`);
  }
  return bytes;
}

/** The caller knows which file it is. */
function refuse(reason: string): ConfigError {
  return new ConfigError("BAD_CONFIG", reason);
}

/**
 * The key of a cluster: one text file, of which every node has a copy and nobody else. Who has it
 * belongs to the cluster.
 *
 *     # comments
 *     gossip-key = BASE64            one or more; the first encrypts
 *     -----BEGIN CERTIFICATE-----    of the authority; all authorities here are trusted
 *     -----BEGIN CERTIFICATE-----    of the nodes, signed by one of them; the first is shown
 *     -----BEGIN PRIVATE KEY-----    of the nodes, PKCS #8; one for each certificate, in order
 *
 * The authority's own private key is thrown away when the file is made: nothing more is ever signed
 * by it, and another file is another cluster. While the certificate of a cluster is exchanged
 * (renew-key.ts) a file has two authorities, and two certificates of nodes until the new one is
 * shown.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ConfigError } from "../core/errors.ts";
import type { TlsMaterial } from "../net/transport.ts";

export interface ClusterKey {
  /** AES keys of 16, 24 or 32 bytes; the first encrypts. */
  readonly gossipKeys: readonly Uint8Array[];
  readonly tls: TlsMaterial;
  /** A certificate that is to be shown later; null: there is none. */
  readonly next: Pick<TlsMaterial, "certificate" | "key"> | null;
}

/** Longer is no key file: two certificates and a few keys. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;

const BLOCK = /-----BEGIN ([A-Z ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;
const GOSSIP_LINE = /^gossip-key\s*=\s*(\S+)\s*$/gm;

/** As text, with a line on top that says what it is. */
export function formatKeyFile({ gossipKeys, tls, next }: ClusterKey): string {
  const keys = gossipKeys.map((key) => `gossip-key = ${Buffer.from(key).toString("base64")}`);
  return [
    "# The key of a ramster cluster. Each node has a copy; keep it from everybody else.",
    ...keys,
    tls.authority.trim(),
    tls.certificate.trim(),
    tls.key.trim(),
    ...(next === null ? [] : [next.certificate.trim(), next.key.trim()]),
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
  const authorities = certificates.filter((pem) => certificateOf(pem).ca);
  const own = certificates.filter((pem) => !authorities.includes(pem));
  const pairs = own.map((certificate, i) => ({ certificate, key: keys[i] ?? "" }));
  const [shown, next = null, ...more] = pairs;
  if (authorities.length === 0 || shown === undefined || keys.length === 0) {
    throw refuse("it is no key file, make one with ramster keygen");
  }
  if (more.length > 0 || keys.length !== pairs.length) {
    throw refuse("it has a private key for each certificate of nodes, and at most two of them");
  }
  for (const pair of pairs) checkPair(pair, authorities);
  if (nowMs !== null) checkDates(shown.certificate, authorities, nowMs);
  const gossipKeys = [...text.matchAll(GOSSIP_LINE)].map(([, base64 = ""]) => {
    return parseGossipKey(base64);
  });
  if (gossipKeys.length === 0) throw refuse("it has no gossip-key");
  return { gossipKeys, tls: { authority: authorities.join("\n"), ...shown }, next };
}

/** PEM texts of the authorities that a node trusts. */
export function authoritiesOf({ authority }: Pick<TlsMaterial, "authority">): string[] {
  return [...authority.matchAll(BLOCK)].map(([pem]) => pem);
}

/** Whether there is one that both trust. */
export function shareAuthority(one: TlsMaterial, other: TlsMaterial): boolean {
  const trusted = new Set(authoritiesOf(one));
  return authoritiesOf(other).some((authority) => trusted.has(authority));
}

/** The one of them that has signed a certificate, or null. */
export function issuerOf(certificate: string, authorities: readonly string[]): string | null {
  return authorities.find((authority) => isSignedBy(certificate, authority)) ?? null;
}

/** Unix time from which on no connection can be made with what is shown. */
export function certificateEndMs({ certificate, authority }: TlsMaterial): number {
  const issuer = issuerOf(certificate, authoritiesOf({ authority }));
  const all = issuer === null ? [certificate] : [certificate, issuer];
  return Math.min(...all.map((pem) => Date.parse(certificateOf(pem).validTo)));
}

function isSignedBy(certificate: string, authority: string): boolean {
  return certificateOf(certificate).verify(certificateOf(authority).publicKey);
}

function checkPair(
  { certificate, key }: Pick<TlsMaterial, "certificate" | "key">,
  authorities: readonly string[],
): void {
  if (issuerOf(certificate, authorities) === null) {
    throw refuse("its certificate is not of its authority: parts of two files");
  }
  if (!isKeyOf(certificate, key)) {
    throw refuse("its private key is not that of its certificate: parts of two files");
  }
}

function isKeyOf(certificate: string, key: string): boolean {
  try {
    return certificateOf(certificate).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw refuse("its private key is damaged");
  }
}

function checkDates(certificate: string, authorities: readonly string[], nowMs: number): void {
  const issuer = issuerOf(certificate, authorities);
  for (const pem of issuer === null ? [certificate] : [certificate, issuer]) {
    const it = certificateOf(pem);
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

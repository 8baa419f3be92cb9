/**
 * The key of a cluster: one text file, with a copy on every node. Who has the file belongs to the
 * cluster, so nobody else may have it.
 *
 *     # comments
 *     gossip-key = BASE64            one or more; the first encrypts
 *     -----BEGIN CERTIFICATE-----    of the authority; every authority in the file is trusted
 *     -----BEGIN CERTIFICATE-----    of the nodes, signed by an authority; the first is shown
 *     -----BEGIN PRIVATE KEY-----    of the nodes, PKCS #8; one for each certificate, in order
 *
 * The private key of the authority is discarded when the file is made. So it signs nothing more,
 * and another file is another cluster. While the certificate of a cluster is replaced
 * (renew-key.ts), a file has two authorities. It has two certificates of nodes until the new one
 * is shown.
 */
import { Buffer } from "node:buffer";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { ConfigError } from "../core/errors.ts";
import type { TlsMaterial } from "../net/transport.ts";

export interface ClusterKey {
  /** AES keys of 16, 24 or 32 bytes; the first encrypts. */
  readonly gossipKeys: readonly Uint8Array[];
  readonly tls: TlsMaterial;
  /** A certificate that is to be shown later, or null. */
  readonly next: Pick<TlsMaterial, "certificate" | "key"> | null;
}

/** A key file, of four certificates and a few keys, is never longer. */
export const KEY_FILE_BYTES_MAX = 64 * 1024;

const BLOCK = /-----BEGIN ([A-Z ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;
const GOSSIP_LINE = /^gossip-key\s*=\s*(\S+)\s*$/gm;

/** The text of a key file. Its first line says what the file is. */
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
 * Reads a key file, and checks its dates at `nowMs` (Unix time; null: not at all). Throws
 * ConfigError BAD_CONFIG with a one-line reason.
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
    throw refuse("it is not a key file: make one with ramster keygen");
  }
  if (more.length > 0 || keys.length !== pairs.length) {
    throw refuse("it needs one or two node certificates, each with its private key");
  }
  for (const pair of pairs) checkPair(pair, authorities);
  if (nowMs !== null) checkDates(shown.certificate, authorities, nowMs);
  const gossipKeys = [...text.matchAll(GOSSIP_LINE)].map(([, base64 = ""]) => {
    return parseGossipKey(base64);
  });
  if (gossipKeys.length === 0) throw refuse("it has no gossip-key line");
  return { gossipKeys, tls: { authority: authorities.join("\n"), ...shown }, next };
}

/** The PEM texts of the authorities that a node trusts. */
export function authoritiesOf({ authority }: Pick<TlsMaterial, "authority">): string[] {
  return [...authority.matchAll(BLOCK)].map(([pem]) => pem);
}

/** Whether both trust the same authority. */
export function shareAuthority(one: TlsMaterial, other: TlsMaterial): boolean {
  const trusted = new Set(authoritiesOf(one));
  return authoritiesOf(other).some((authority) => trusted.has(authority));
}

/** The authority that has signed a certificate, or null. */
export function issuerOf(certificate: string, authorities: readonly string[]): string | null {
  return authorities.find((authority) => isSignedBy(certificate, authority)) ?? null;
}

/** The Unix time at which the certificate that is shown, or its issuer, expires. */
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
    throw refuse("its authority did not sign its certificate: it mixes two files");
  }
  if (!isKeyOf(certificate, key)) {
    throw refuse("its private key does not match its certificate: it mixes two files");
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
      throw refuse(
        `its certificate is valid from ${it.validFrom}: check the clock of this machine`,
      );
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

/** Reads a gossip key in base64. Throws ConfigError BAD_CONFIG. */
export function parseGossipKey(base64: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  if (Buffer.from(bytes).toString("base64") !== base64) {
    throw refuse("a gossip key is not base64");
  }
  if (![16, 24, 32].includes(bytes.byteLength)) {
    throw refuse(`a gossip key has ${bytes.byteLength} bytes: it must have 16, 24 or 32`);
  }
  return bytes;
}

/** The caller adds the name of the file. */
function refuse(reason: string): ConfigError {
  return new ConfigError("BAD_CONFIG", reason);
}

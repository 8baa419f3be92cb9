/** Makes the key of a new cluster: an authority, one certificate for all nodes, a gossip key. */
import { GOSSIP_KEY_BYTES } from "../core/limits.ts";
import { TLS_NAME } from "../net/transport.ts";
import type { ClusterKey } from "./key-file.ts";

/** P-256: fast, and every TLS library has it. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * @param options `nowMs`: Unix time. Certificates are valid for `days`, and from a day earlier for
 * nodes whose clocks are slow.
 */
export async function makeKey(options: { nowMs: number; days: number }): Promise<ClusterKey> {
  const x509 = await loadX509();
  const notBefore = new Date(options.nowMs - DAY_MS);
  const notAfter = new Date(options.nowMs + options.days * DAY_MS);
  const dates = { notBefore, notAfter, signingAlgorithm: ALGORITHM };
  const authorityKeys = await newKeys();
  const nodeKeys = await newKeys();
  const identifier = await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey);
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    serialNumber: "01",
    // Each authority has a name of its own: TLS finds the issuer of a certificate by name.
    name: `CN=ramster authority ${identifier.keyId}`,
    keys: authorityKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      identifier,
    ],
  });
  const certificate = await x509.X509CertificateGenerator.create({
    ...dates,
    serialNumber: "02",
    subject: `CN=${TLS_NAME}`,
    issuer: authority.subject,
    signingKey: authorityKeys.privateKey,
    publicKey: nodeKeys.publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: "dns", value: TLS_NAME }]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", nodeKeys.privateKey);
  return {
    gossipKeys: [crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES))],
    tls: {
      authority: authority.toString("pem"),
      certificate: certificate.toString("pem"),
      key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY"),
    },
    next: null,
  };
}

/**
 * Loads the library only when a key is made, which a node never does. reflect-metadata must be
 * loaded before it.
 */
async function loadX509() {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** Makes the key of a new cluster: an authority, a certificate of it for all nodes, a gossip key. */
import "reflect-metadata"; // For the library below, and before it.
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { TLS_NAME } from "../net/bun-tls.ts";
import type { ClusterKey } from "./key-file.ts";

/** P-256: quick, and known to every TLS there is. */
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** AES-256. */
const GOSSIP_KEY_BYTES = 32;
const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * @param options `nowMs`: Unix time. Certificates are valid from a day before, for nodes whose
 * clocks are late, until `days` after.
 */
export async function makeKey(options: { nowMs: number; days: number }): Promise<ClusterKey> {
  const notBefore = new Date(options.nowMs - DAY_MS);
  const notAfter = new Date(options.nowMs + options.days * DAY_MS);
  const dates = { notBefore, notAfter, signingAlgorithm: ALGORITHM };
  const authorityKeys = await newKeys();
  const nodeKeys = await newKeys();
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...dates,
    serialNumber: "01",
    name: "CN=ramster authority",
    keys: authorityKeys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  });
  const certificate = await X509CertificateGenerator.create({
    ...dates,
    serialNumber: "02",
    subject: `CN=${TLS_NAME}`,
    issuer: authority.subject,
    signingKey: authorityKeys.privateKey,
    publicKey: nodeKeys.publicKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: "dns", value: TLS_NAME }]),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", nodeKeys.privateKey);
  return {
    gossipKeys: [crypto.getRandomValues(new Uint8Array(GOSSIP_KEY_BYTES))],
    tls: {
      authority: authority.toString("pem"),
      certificate: certificate.toString("pem"),
      key: PemConverter.encode(pkcs8, "PRIVATE KEY"),
    },
  };
}

function newKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

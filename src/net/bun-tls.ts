/**
 * TLS on Bun's sockets: both sides show a certificate of the cluster's authority.
 *
 * What Bun 1.4.5 does, tried before it was relied upon:
 *   - `open` comes with the connection, before anything is proved; `handshake` follows with the
 *     outcome. With `rejectUnauthorized` a failed one closes the socket on both sides.
 *   - On the side that accepts, `handshake` says ok for a certificate of anybody: that it is not
 *     believed shows in the error beside it, and in `authorized`. The socket is closed afterwards.
 *   - `ca` takes the place of all other authorities, also of those in NODE_EXTRA_CA_CERTS and of
 *     the system's. NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing.
 *   - Unless told otherwise it speaks TLS 1.2 and 1.3, with CBC suites too. No session is ever
 *     resumed.
 *   - `secureOptions` and `ciphers` count, also in upgradeTLS(). One that has no version or suite
 *     in common is told so by an alert.
 *   - The side that has seen the other's certificate fail is told why; the other one is told
 *     ECONNRESET. One that speaks no TLS at all is EPROTO.
 *   - A client without a certificate is told after its own handshake has gone well (TLS 1.3), by an
 *     alert that closes the socket.
 */
import type { TlsMaterial } from "./transport.ts";

/**
 * The name in every certificate of ours: nodes have no host names to prove, only that they belong
 * to the cluster. Which node it is, is said by the handshake above.
 */
export const TLS_NAME = "ramster";

/** As OpenSSL numbers its options. */
const SSL_OP_NO_TLSV1 = 0x0400_0000;
const SSL_OP_NO_TLSV1_1 = 0x1000_0000;
const SSL_OP_NO_TLSV1_2 = 0x0800_0000;

/** Both ends are this program: TLS 1.3. */
const OWN = { secureOptions: SSL_OP_NO_TLSV1 | SSL_OP_NO_TLSV1_1 | SSL_OP_NO_TLSV1_2 } as const;

/** Other programs may have TLS 1.2 alone: of that what is authenticated encryption. */
const OTHERS = {
  ciphers: [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
  ].join(":"),
} as const;

/** For Bun.listen and Bun.connect. */
export function tlsOptions(material: TlsMaterial) {
  return { ...sharedOptions(material), ...OWN };
}

/** For a protocol of others within which TLS is begun. */
export function tlsOptionsForOthers(material: TlsMaterial) {
  return { ...sharedOptions(material), ...OTHERS };
}

function sharedOptions({ authority, certificate, key }: TlsMaterial) {
  const own = { ca: authority, cert: certificate, key };
  return { ...own, requestCert: true, rejectUnauthorized: true, serverName: TLS_NAME };
}

const FOREIGN = "its certificate is of another cluster";

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  CERT_SIGNATURE_FAILURE: FOREIGN,
  DEPTH_ZERO_SELF_SIGNED_CERT: FOREIGN,
  ECONNRESET: "it refused the certificate, or speaks no TLS",
  EPROTO: "it speaks no TLS, or has no certificate",
  SELF_SIGNED_CERT_IN_CHAIN: FOREIGN,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: FOREIGN,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: FOREIGN,
};

/** Why a handshake failed, as a phrase. */
export function tlsReason(code: string): string {
  return `no secured connection: ${REASONS[code] ?? code}`;
}

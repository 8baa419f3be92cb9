/**
 * TLS on Bun's sockets: both sides present a certificate of the cluster's authority.
 *
 * Behaviour of Bun 1.4.5 that this file relies on, each tried:
 *   - `open` comes with the connection, before authentication; `handshake` follows with the
 *     outcome. With `rejectUnauthorized` a failure closes the socket on both sides.
 *   - On the accepting side, `handshake` reports ok for any certificate. That it is not trusted
 *     shows in the error beside it, and in `authorized`. The socket is closed afterwards.
 *   - `ca` replaces all other authorities, including the system's and NODE_EXTRA_CA_CERTS.
 *     NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing.
 *   - By default it offers TLS 1.2 and 1.3, including CBC suites. Sessions are never resumed.
 *   - `secureOptions` and `ciphers` are honoured, also in upgradeTLS(). A peer without a common
 *     version or suite gets an alert.
 *   - The side that rejects a certificate learns why; the other side gets ECONNRESET. A peer that
 *     does not speak TLS is EPROTO.
 *   - In TLS 1.3 a client without a certificate is rejected after its own handshake succeeded, by
 *     an alert that closes the socket.
 */
import { TLS_NAME, type TlsMaterial } from "./transport.ts";

/** SSL_OP_* constants of OpenSSL (include/openssl/ssl.h). */
const SSL_OP_NO_TLSV1 = 0x0400_0000;
const SSL_OP_NO_TLSV1_1 = 0x1000_0000;
const SSL_OP_NO_TLSV1_2 = 0x0800_0000;

/** For streams with ramster at both ends: TLS 1.3 only. */
const OWN = { secureOptions: SSL_OP_NO_TLSV1 | SSL_OP_NO_TLSV1_1 | SSL_OP_NO_TLSV1_2 } as const;

/**
 * For streams to other programs, which may have only TLS 1.2: its suites with authenticated
 * encryption.
 */
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

/** For streams of other programs that start TLS within their protocol. */
export function tlsOptionsForOthers(material: TlsMaterial) {
  return { ...sharedOptions(material), ...OTHERS };
}

function sharedOptions({ authority, certificate, key }: TlsMaterial) {
  const own = { ca: authority, cert: certificate, key };
  return { ...own, requestCert: true, rejectUnauthorized: true, serverName: TLS_NAME };
}

/** Reasons: why a stream closed, as a phrase for a person, from the error of the runtime. */

/** Texts for codes of the operating system. */
const SOCKET_REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRNOTAVAIL: "not an address of this machine",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by the other side",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ENOENT: "no such file or directory",
  ENOTDIR: "part of the path is not a directory",
  ENOTFOUND: "unknown host name",
  EPIPE: "connection closed by the other side",
  ETIMEDOUT: "connection timed out",
};

/** The code of an error of the runtime; "" when it has none. */
export function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** Why a socket failed. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  return SOCKET_REASONS[code] ?? (code === "" ? message : code);
}

const FOREIGN = "its certificate is of another cluster";

const TLS_REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  CERT_SIGNATURE_FAILURE: FOREIGN,
  DEPTH_ZERO_SELF_SIGNED_CERT: FOREIGN,
  ECONNRESET: "the other side refused the certificate, or does not speak TLS",
  EPROTO: "the other side does not speak TLS, or has no certificate",
  SELF_SIGNED_CERT_IN_CHAIN: FOREIGN,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: FOREIGN,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: FOREIGN,
};

/** Why a handshake failed, as a phrase. */
export function tlsReason(code: string): string {
  return `no secured connection: ${TLS_REASONS[code] ?? code}`;
}

/**
 * Replaces the certificate of a running cluster, in three steps. Each step makes a new key file.
 * Every node must have it before the next step:
 *
 *     add      the old certificate is shown, and both authorities are trusted
 *     use      the new certificate is shown, and both authorities are trusted
 *     remove   the old authority is no longer trusted
 *
 * So at each moment every node trusts what any node shows. Gossip keys stay: `ramster key` replaces
 * those.
 */
import { ConfigError } from "../core/errors.ts";
import { authoritiesOf, type ClusterKey, issuerOf } from "./key-file.ts";

export const RENEW_STEPS = ["add", "use", "remove"] as const;
export type RenewStep = (typeof RENEW_STEPS)[number];

/**
 * The key of the next step. `fresh` makes a new key, for "add". Rejects with ConfigError BAD_CONFIG
 * when `step` is not the next one for `old`.
 */
export async function renewKey(
  old: ClusterKey,
  step: RenewStep,
  fresh: () => Promise<ClusterKey>,
): Promise<ClusterKey> {
  const authorities = authoritiesOf(old.tls);
  const expected = nextStep(old, authorities);
  if (step !== expected) {
    throw new ConfigError("BAD_CONFIG", `its next step is "${expected}"`);
  }
  if (step === "add") {
    const { tls } = await fresh();
    const authority = [...authorities, tls.authority].join("\n");
    const next = { certificate: tls.certificate, key: tls.key };
    return { ...old, tls: { ...old.tls, authority }, next };
  }
  const tls = { ...old.tls, ...old.next };
  if (step === "use") return { ...old, tls, next: null };
  const authority = issuerOf(tls.certificate, authorities) ?? tls.authority;
  return { ...old, tls: { ...tls, authority } };
}

function nextStep({ next }: ClusterKey, authorities: readonly string[]): RenewStep {
  if (next !== null) return "use";
  return authorities.length > 1 ? "remove" : "add";
}

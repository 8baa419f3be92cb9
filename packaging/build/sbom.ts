/** The bill of materials of the program, as CycloneDX 1.6: what is bundled, with hashes. */
import { createHash } from "node:crypto";
import type { Bundled } from "./bundled.ts";
import { LICENSE, NAME, type Release, SUMMARY } from "./release.ts";

/** The same release has the same text, so its serial number is made from what is in it. */
export function sbomText(packages: readonly Bundled[], release: Release): string {
  const components = packages.map(component);
  const self = {
    type: "application",
    "bom-ref": `${NAME}@${release.version}`,
    name: NAME,
    version: release.version,
    description: SUMMARY,
    licenses: [{ license: { id: LICENSE } }],
    purl: `pkg:npm/${NAME}@${release.version}`,
  };
  const bom = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([self, components]))}`,
    version: 1,
    metadata: { timestamp: new Date(release.epoch * 1000).toISOString(), component: self },
    components,
    dependencies: [
      { ref: self["bom-ref"], dependsOn: components.map((it) => it["bom-ref"]) },
      ...components.map((it) => ({ ref: it["bom-ref"], dependsOn: [] })),
    ],
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

function component({ name, version, license, integrity }: Bundled) {
  const [, group, plain = name] = /^(@[^/]+)\/(.+)$/.exec(name) ?? [];
  return {
    type: integrity === null ? "platform" : "library",
    "bom-ref": `${name}@${version}`,
    ...(group === undefined ? {} : { group }),
    name: plain,
    version,
    licenses: [{ license: { id: license } }],
    purl: `pkg:npm/${name.replace("@", "%40")}@${version}`,
    ...(integrity === null ? {} : { hashes: [{ alg: "SHA-512", content: hexOf(integrity) }] }),
  };
}

function hexOf(integrity: string): string {
  return Buffer.from(integrity.replace(/^sha512-/, ""), "base64").toString("hex");
}

/** A UUID of version 8, of the hash of a text (RFC 9562). */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
